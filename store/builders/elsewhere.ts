import { derivationLabel, type BuildRequest } from "../realise/buildRequest.ts";
import { knownOutputPathsOf, outputPathsOf, type OutputPaths } from "../realise/outputs/outputPaths.ts";
import type { Work } from "../realise/goals/work.ts";
import { buildOnMachine } from "./buildOnMachine.ts";
import { RemoteBuilders } from "./remoteBuilders.ts";
import type { Realise } from "./types.ts";

/** A derivation whose inputs are valid, to be built wherever that is best. */
export interface ElsewhereRequest extends Pick<BuildRequest, "drvPath" | "derivation" | "options"> {
  readonly isPossibleHere: boolean;
  readonly hasRoomHere: () => boolean;
  /** The whole request, once an activity has begun. */
  readonly begin: (id: number) => BuildRequest;
}

/** The scheduler's way to the machines of the option `builders`. */
export class Elsewhere {
  readonly #work: Work;
  readonly #realise: Realise;
  #builders: RemoteBuilders | undefined;

  constructor(work: Work, realise: Realise) {
    this.#work = work;
    this.#realise = realise;
  }

  /**
   * @returns the outputs, all valid; `undefined` where it is to be built here, or nowhere
   * @throws {DevshellError} `MACHINE_INVALID`, `BUILD_FAILED`, …
   */
  async build(request: ElsewhereRequest): Promise<OutputPaths | undefined> {
    const { drvPath, derivation, options, isPossibleHere, hasRoomHere } = request;
    const { store, signal, activities } = this.#work;
    this.#builders ??= new RemoteBuilders(store.settings, this.#realise, (problem) =>
      activities.warn(problem),
    );
    if (this.#builders.isEmpty || (options.preferLocalBuild && isPossibleHere)) return undefined;
    // Nothing is known of some outputs beforehand: the derivation stands for them.
    const locked = outputPathsOf(derivation, "*")?.values() ?? [drvPath];
    using locks = await store.lockPaths(locked, { signal });
    const known = knownOutputPathsOf(store, drvPath, derivation, "*");
    if (known !== undefined) store.addTempRoots(known.values());
    if (known !== undefined && [...known.values()].every((path) => store.isValidPath(path))) {
      locks.discard();
      return known;
    }
    await using machine = await this.#builders.claim({
      drvPath,
      system: derivation.system,
      features: options.requiredSystemFeatures,
      isPossibleHere,
      hasRoomHere,
      signal,
    });
    if (machine === undefined) return undefined;
    const outputs = await activities.run(
      {
        kind: "build",
        name: derivationLabel(drvPath),
        path: drvPath,
        builder: derivation.builder,
        machine: machine.url,
      },
      (id) => buildOnMachine(request.begin(id), machine),
    );
    locks.discard();
    return outputs;
  }
}
