import { derivationLabel, type BuildRequest } from "../realise/buildRequest.ts";
import { knownOutputPathsOf, outputPathsOf, type OutputPaths } from "../realise/outputs/outputPaths.ts";
import type { Work } from "../realise/goals/work.ts";
import { BuildHook, foreignHook } from "./buildHook.ts";
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

/** The scheduler's way to the machines of the option `builders`, or to the program of `build-hook`. */
export class Elsewhere {
  readonly #work: Work;
  readonly #realise: Realise;
  #builders: RemoteBuilders | undefined;
  /** The program of `build-hook` has said that it builds nothing. */
  #isHookDone = false;

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
    const program = foreignHook(store.settings);
    if (program === undefined)
      this.#builders ??= new RemoteBuilders(store.settings, this.#realise, (problem) =>
        activities.warn(problem),
      );
    const isNobody = this.#builders === undefined ? this.#isHookDone : this.#builders.isEmpty;
    if (isNobody || (options.preferLocalBuild && isPossibleHere)) return undefined;
    // Nothing is known of some outputs beforehand: the derivation stands for them.
    const locked = outputPathsOf(derivation, "*")?.values() ?? [drvPath];
    using locks = await store.lockPaths(locked, { signal });
    const known = knownOutputPathsOf(store, drvPath, derivation, "*");
    if (known !== undefined) store.addTempRoots(known.values());
    if (known !== undefined && [...known.values()].every((path) => store.isValidPath(path))) {
      locks.discard();
      return known;
    }
    const asked = {
      drvPath,
      system: derivation.system,
      features: options.requiredSystemFeatures,
      isPossibleHere,
      hasRoomHere,
      signal,
    };
    const claimed =
      program === undefined
        ? await this.#builders?.claim(asked)
        : await BuildHook.claim(program, store.settings, asked, (line) => activities.warn(line));
    if (claimed === "never") this.#isHookDone = true;
    if (claimed === undefined || claimed === "never") return undefined;
    await using machine = claimed;
    const outputs = await activities.run(
      {
        kind: "build",
        name: derivationLabel(drvPath),
        path: drvPath,
        builder: derivation.builder,
        machine: machine.url,
      },
      (id) => {
        const whole = request.begin(id);
        return machine instanceof BuildHook ? machine.build(whole) : buildOnMachine(whole, machine);
      },
    );
    locks.discard();
    return outputs;
  }
}
