import { knownOutputPaths } from "../format/derivation.ts";
import { builtInputsOf, resolveDerivation, shouldResolve } from "../format/resolveDerivation.ts";
import type { Store } from "../store.ts";
import type { BuiltTarget, OutputName, Realisation, StorePath } from "../types.ts";
import type { RemoteStore } from "./types.ts";

type Outputs = ReadonlyMap<OutputName, StorePath | undefined>;

/** Where a store keeps derivations' outputs, by what it says that they turned out to be; the derivations are ours. */
export class OutputsThere {
  /** What it had to say to find the paths. */
  readonly realisations: Realisation[] = [];
  readonly #derivations: Store;
  readonly #store: RemoteStore;
  readonly #signal: AbortSignal | undefined;
  readonly #known = new Map<StorePath, Promise<Outputs>>();

  constructor(derivations: Store, store: RemoteStore, signal?: AbortSignal) {
    this.#derivations = derivations;
    this.#store = store;
    this.#signal = signal;
  }

  /**
   * The wanted outputs' paths, whether or not they are there.
   * @returns `undefined` where one is not known
   */
  async find({
    drvPath,
    via = [],
    outputs,
  }: BuiltTarget): Promise<ReadonlyMap<OutputName, StorePath> | undefined> {
    const inner = await this.#path(drvPath, via);
    if (inner === undefined || !this.#derivations.isValidPath(inner)) return undefined;
    const found = new Map<OutputName, StorePath>();
    for (const [name, path] of await this.#outputs(inner)) {
      if (outputs !== "*" && !outputs.includes(name)) continue;
      if (path === undefined) return undefined;
      found.set(name, path);
    }
    return found;
  }

  async #path(drvPath: StorePath, outputs: readonly OutputName[]): Promise<StorePath | undefined> {
    let path: StorePath | undefined = drvPath;
    for (const output of outputs) {
      if (path === undefined || !this.#derivations.isValidPath(path)) return undefined;
      path = (await this.#outputs(path)).get(output);
    }
    return path;
  }

  #outputs(drvPath: StorePath): Promise<Outputs> {
    const known = this.#known.get(drvPath);
    if (known !== undefined) return known;
    const outputs = this.#findOutputs(drvPath);
    this.#known.set(drvPath, outputs);
    return outputs;
  }

  async #findOutputs(drvPath: StorePath): Promise<Outputs> {
    const derivation = this.#derivations.readDerivation(drvPath);
    const outputs = knownOutputPaths(derivation);
    if ([...outputs.values()].every((path) => path !== undefined)) return outputs;
    if (!shouldResolve(derivation, false)) return await this.#realised(drvPath, outputs);
    const inputs = new Map<string, StorePath | undefined>();
    for (const input of builtInputsOf(derivation))
      for (const output of input.outputs) {
        const way = [...input.via, output];
        inputs.set([input.drvPath, ...way].join("!"), await this.#path(input.drvPath, way));
      }
    const made = resolveDerivation(this.#derivations.storeDir, derivation, (element) =>
      inputs.get([element.drvPath, ...element.outputs].join("!")),
    );
    return made === undefined
      ? outputs
      : await this.#realised(made.drvPath, knownOutputPaths(made.derivation));
  }

  async #realised(drvPath: StorePath, outputs: Outputs): Promise<Outputs> {
    const found = new Map(outputs);
    for (const [output, path] of outputs) {
      if (path !== undefined) continue;
      const realisation = await this.#store.queryRealisation?.({ drvPath, output }, this.#signal);
      if (realisation !== undefined) this.realisations.push(realisation);
      found.set(
        output,
        realisation?.outputPath ?? this.#derivations.queryRealisation(drvPath, output)?.outputPath,
      );
    }
    return found;
  }
}
