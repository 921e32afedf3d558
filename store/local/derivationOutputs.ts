import { knownOutputPaths } from "../format/derivation.ts";
import type { BuiltElement } from "../format/derivationHasher.ts";
import { resolveDerivation, shouldResolve } from "../format/resolveDerivation.ts";
import type { Derivation, OutputName, Realisation, StorePath } from "../types.ts";

export interface OutputsSource {
  readonly storeDir: string;
  readDerivation(drvPath: StorePath): Derivation;
  queryRealisation(drvPath: StorePath, output: OutputName): Realisation | undefined;
}

type Outputs = Map<OutputName, StorePath | undefined>;

/**
 * The paths of a derivation's outputs as far as they are known: by the derivation itself, or since what is built in its
 * place has been built.
 */
export function queryOutputs(source: OutputsSource, drvPath: StorePath): Outputs {
  return new OutputsQuery(source).outputs(drvPath);
}

/** Where an output is that may be one of a derivation which is an output; `undefined` unless known. */
export function queryOutput(source: OutputsSource, element: BuiltElement): StorePath | undefined {
  return new OutputsQuery(source).path(element);
}

/** One question: what it finds out on the way is remembered, for graphs share their parts. */
class OutputsQuery {
  readonly #source: OutputsSource;
  readonly #known = new Map<StorePath, Outputs>();

  constructor(source: OutputsSource) {
    this.#source = source;
  }

  path({ drvPath, outputs }: BuiltElement): StorePath | undefined {
    let path: StorePath | undefined = drvPath;
    for (const output of outputs) path = path === undefined ? undefined : this.outputs(path).get(output);
    return path;
  }

  outputs(drvPath: StorePath): Outputs {
    const known = this.#known.get(drvPath);
    if (known !== undefined) return known;
    const outputs = this.#find(drvPath);
    this.#known.set(drvPath, outputs);
    return outputs;
  }

  #find(drvPath: StorePath): Outputs {
    const derivation = this.#source.readDerivation(drvPath);
    const outputs = knownOutputPaths(derivation);
    if ([...outputs.values()].every((path) => path !== undefined)) return outputs;
    if (!shouldResolve(derivation, false)) return this.#realised(drvPath, outputs);
    const made = resolveDerivation(this.#source.storeDir, derivation, (element) => this.path(element));
    return made === undefined ? outputs : this.#realised(made.drvPath, knownOutputPaths(made.derivation));
  }

  #realised(drvPath: StorePath, outputs: Outputs): Outputs {
    for (const [name, path] of outputs)
      if (path === undefined) outputs.set(name, this.#source.queryRealisation(drvPath, name)?.outputPath);
    return outputs;
  }
}
