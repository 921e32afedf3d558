import { DevshellError } from "../../../core/index.ts";
import { Elsewhere } from "../../builders/elsewhere.ts";
import type { Realise } from "../../builders/types.ts";
import { addressOfOutput } from "../../format/contentAddress.ts";
import { derivationKind } from "../../format/derivation.ts";
import { builtInputsOf, resolveDerivation, shouldResolve } from "../../format/resolveDerivation.ts";
import type { MadeDerivation } from "../../format/makeDerivation.ts";
import { compareBytes, isDerivationPath, storePathName } from "../../format/storePath.ts";
import type {
  BuiltTarget,
  BuiltinBuilder,
  Derivation,
  OutputName,
  StorePath,
  ValidPathInfo,
} from "../../types.ts";
import { buildDerivation } from "../buildDerivation.ts";
import {
  buildObstacle,
  derivationLabel,
  knownOutputsText,
  type BuildMode,
  type BuildRequest,
} from "../buildRequest.ts";
import { maySubstitute, readDerivationOptions } from "../derivationOptions.ts";
import { hasDerivation } from "../evalStore.ts";
import { isFeatureOn } from "../experimentalFeatures.ts";
import {
  knownOutputPathsOf,
  outputPathsOf,
  selectOutputs,
  type OutputPaths,
  type WantedOutputs,
} from "../outputs/outputPaths.ts";
import type { PathGoals } from "./pathGoals.ts";
import { isDownload } from "../plan.ts";
import { repairClosure } from "../repair.ts";
import type { ServeBuilder } from "../builder/restriction.ts";
import type { Semaphore } from "./semaphore.ts";
import type { SubstituterSet } from "./substituterSet.ts";
import { Turns } from "./turns.ts";
import { Cancelled, Goals, Unavailable, isFailure, type Work } from "./work.ts";

/** How many of each may run at once. */
export interface BuildSlots {
  readonly downloads: Semaphore;
  readonly builtin: Semaphore;
  readonly foreign: Semaphore;
}

export interface BuildGoalsOptions {
  readonly work: Work;
  readonly paths: PathGoals;
  readonly substituters: SubstituterSet;
  readonly builtins: ReadonlyMap<string, BuiltinBuilder>;
  readonly slots: BuildSlots;
  /** What was asked for itself: its failure is told once, and without `keep-going` ends what else was asked for. */
  readonly asked: ReadonlySet<StorePath>;
  readonly isForStranger: boolean;
  readonly isLogShown: boolean;
  readonly serveBuilder: ServeBuilder | undefined;
  /** For machines that are other stores of this one. */
  readonly realise: Realise;
}

/** A derivation at hand, and what is wanted of it. */
interface BuildGoal {
  readonly drvPath: StorePath;
  readonly derivation: Derivation;
  readonly wanted: WantedOutputs;
  readonly mode: BuildMode;
  /** Set where the derivation was made here and may not be in the store. */
  readonly made?: MadeDerivation | undefined;
}

/** Where the outputs are that a derivation needs, by {@link inputKey}. */
type InputPaths = ReadonlyMap<string, StorePath>;

/** Makes outputs of derivations valid: by what is there, by substitution, by building them or what resolves them. */
export class BuildGoals {
  readonly #options: BuildGoalsOptions;
  readonly #work: Work;
  readonly #goals: Goals<OutputPaths>;
  readonly #elsewhere: Elsewhere;
  readonly #builds = new Map<StorePath, Promise<OutputPaths>>();
  readonly #beginnings = new Turns();
  readonly #infos = new Map<StorePath, ValidPathInfo>();

  constructor(options: BuildGoalsOptions) {
    this.#options = options;
    this.#work = options.work;
    this.#goals = new Goals(options.work);
    this.#elsewhere = new Elsewhere(options.work, options.realise);
  }

  /** @returns the wanted outputs' paths, all valid (with `check`: all compared) */
  ensure(target: BuiltTarget, mode: BuildMode = "normal"): Promise<OutputPaths> {
    const { via = [], outputs } = target;
    const key = goalKey(mode, [target.drvPath, ...via].join("!"), outputs);
    return this.#goals.reach(key, async () => {
      const drvPath = via.length === 0 ? target.drvPath : await this.#obtain(target.drvPath, via);
      const { store } = this.#work;
      if (store.isValidPath(drvPath) || !hasDerivation(store, drvPath))
        await this.#options.paths.require(drvPath);
      const derivation = store.readDerivation(drvPath);
      return this.#ensureOutputs({ drvPath, derivation, wanted: outputs, mode });
    });
  }

  async end(): Promise<void> {
    await this.#goals.end();
    await Promise.allSettled(this.#builds.values());
  }

  /** Builds the derivation that is itself an output. */
  async #obtain(drvPath: StorePath, via: readonly OutputName[]): Promise<StorePath> {
    const what = `${drvPath}^${via.join("^")}`;
    const output = via.at(-1) ?? "";
    let outputs: OutputPaths;
    try {
      outputs = await this.ensure({ drvPath, via: via.slice(0, -1), outputs: [output] });
    } catch (error) {
      if (error instanceof Cancelled) throw error;
      throw this.#work.note(
        new DevshellError("BUILD_DEPENDENCY_FAILED", `failed to obtain derivation of '${what}'`, {
          exitStatus: 100,
        }),
      );
    }
    const path = outputs.get(output);
    if (path === undefined || !isDerivationPath(path))
      throw new DevshellError("BUILD_NO_DERIVATION", `Cannot build '${what}': it is no derivation`, {
        hint: "the name of an output that is to be a derivation must end in .drv",
      });
    return path;
  }

  async #ensureOutputs(goal: BuildGoal): Promise<OutputPaths> {
    const { drvPath, derivation, wanted, mode } = goal;
    const { store } = this.#work;
    this.#work.throwIfStopped();
    this.#checkWanted(goal);
    const known =
      knownOutputPathsOf(store, drvPath, derivation, wanted) ??
      (mode === "normal" ? await this.#substituteUnknown(goal) : undefined);
    if (known !== undefined && mode !== "check") {
      store.addTempRoots(known.values());
      if (mode === "repair" && [...known.values()].every((path) => this.#options.paths.isIntact(path))) {
        await repairClosure({
          work: this.#work,
          paths: this.#options.paths,
          builds: this,
          drvPath,
          outputs: known,
        });
        return known;
      }
      if (mode === "normal" && (await this.#substituteOutputs(drvPath, derivation, known))) return known;
    }
    if (mode === "check") this.#requireBuiltBefore(drvPath, known);
    const inputs = await this.#ensureInputs(goal);
    if (shouldResolve(derivation, this.#isResolvedEagerly(derivation)))
      return this.#ensureResolved(goal, inputs);
    if (goal.made !== undefined) store.writeDerivation(goal.made);
    return selectOutputs(await this.#build(goal, inputs), wanted);
  }

  /** As Nix does where outputs may be content-addressed; and where placeholders must be replaced in any case. */
  #isResolvedEagerly({ inputDrvs }: Derivation): boolean {
    const { store } = this.#work;
    if (isFeatureOn(store.settings.config, "ca-derivations")) return true;
    return [...inputDrvs.keys()].some((input) =>
      [...store.readDerivation(input).outputs.values()].some((output) => !("path" in output)),
    );
  }

  #checkWanted({ drvPath, derivation, wanted }: BuildGoal): void {
    const unknown = wanted === "*" ? [] : wanted.filter((name) => !derivation.outputs.has(name));
    if (unknown.length > 0)
      throw this.#work.fail(
        drvPath,
        new DevshellError(
          "REALISE_UNKNOWN_OUTPUT",
          `derivation '${drvPath}' does not have wanted outputs '${unknown.join("', '")}'`,
          { hint: `it has ${[...derivation.outputs.keys()].map((name) => `"${name}"`).join(", ")}` },
        ),
      );
  }

  #requireBuiltBefore(drvPath: StorePath, known: OutputPaths | undefined): void {
    if (known !== undefined && [...known.values()].every((path) => this.#work.store.isValidPath(path)))
      return;
    throw this.#work.fail(
      drvPath,
      new DevshellError(
        "REALISE_CHECK_UNBUILT",
        `some outputs of '${drvPath}' are not valid, so checking is not possible`,
        { hint: "only what was built, or can be substituted, can be compared; --repair builds it anew" },
      ),
    );
  }

  /** @returns whether all are valid now */
  async #substituteOutputs(drvPath: StorePath, derivation: Derivation, known: OutputPaths): Promise<boolean> {
    const { store, activities } = this.#work;
    const missing = [...known].filter(([, path]) => !store.isValidPath(path));
    if (missing.length === 0) return true;
    const { config } = store.settings;
    if (!config.substitute || config.substituters.length === 0) return false;
    if (!maySubstitute(derivation, config)) return false;
    const offers = await Promise.all(
      missing.map(([name, path]) =>
        this.#options.substituters.find(path, addressOfOutput(derivation.outputs.get(name))),
      ),
    );
    if (!offers.every((offer) => offer !== undefined)) return false;
    const settled = await Promise.allSettled(missing.map(([, path]) => this.#options.paths.ensure(path)));
    const failures = settled.filter(isFailure).map((outcome) => outcome.reason as unknown);
    const isUnavailable = failures.every((failure) => failure instanceof Unavailable);
    if (failures.length > 0 && (config.fallback || isUnavailable)) {
      // Built instead: no longer failures.
      for (const failure of failures) {
        activities.warn(failure);
        this.#work.forgive(failure);
      }
      for (const [, path] of missing) this.#options.paths.forget(path);
      return false;
    }
    if (failures.length > 0)
      throw this.#work.note(
        new DevshellError(
          "SUBSTITUTE_FAILED",
          `some substitutes for the outputs of derivation '${drvPath}' failed (usually happens due to networking issues); ` +
            "try '--fallback' to build derivation from source",
        ),
      );
    this.#work.throwIfStopped();
    return true;
  }

  /** Substitutes outputs whose paths others found out. */
  async #substituteUnknown({ drvPath, derivation, wanted }: BuildGoal): Promise<OutputPaths | undefined> {
    const { store } = this.#work;
    if (derivation.inputDrvs.size > 0 || derivationKind(derivation) !== "contentAddressed") return undefined;
    if (!maySubstitute(derivation, store.settings.config)) return undefined;
    const names = wanted === "*" ? [...derivation.outputs.keys()] : wanted;
    const found = await Promise.all(
      names.map((output) => this.#options.substituters.findRealisation(drvPath, derivation, output)),
    );
    if (!found.every((realisation) => realisation !== undefined)) return undefined;
    const paths = new Map(found.map(({ output, outputPath }) => [output, outputPath]));
    if (!(await this.#substituteOutputs(drvPath, derivation, paths))) return undefined;
    for (const realisation of found) store.registerRealisation(realisation);
    return paths;
  }

  /** What is built each time anew would make those that use it other ones each time, though they are kept. */
  #checkPurity(drvPath: StorePath, derivation: Derivation): void {
    const kind = derivationKind(derivation);
    if (kind === "impure" || kind === "fixed" || kind === "inputAddressed") return;
    const impure = [...derivation.inputDrvs.keys()].find((input) => {
      const { store } = this.#work;
      return hasDerivation(store, input) && derivationKind(store.readDerivation(input)) === "impure";
    });
    if (impure !== undefined)
      throw new DevshellError(
        "BUILD_IMPURE_INPUT",
        `pure derivation '${drvPath}' depends on impure derivation '${impure}'`,
      );
  }

  /** @throws where an input could not be made; that is told before any cancellation which it caused */
  async #ensureInputs({ drvPath, derivation, mode }: BuildGoal): Promise<InputPaths> {
    this.#checkPurity(drvPath, derivation);
    const inputMode = mode === "repair" ? "repair" : "normal";
    const inputs = new Map<string, StorePath>();
    const builtInputs = [...builtInputsOf(derivation)].sort(byName);
    const settled = await Promise.allSettled([
      ...derivation.inputSrcs.map((path) => this.#options.paths.require(path)),
      ...builtInputs.map(async (input) => {
        for (const [output, path] of await this.ensure(input, inputMode))
          inputs.set(inputKey(input.drvPath, [...input.via, output]), path);
      }),
    ]);
    const wasAsked = builtInputs.some(
      (input, index) =>
        this.#options.asked.has(input.drvPath) &&
        settled.slice(derivation.inputSrcs.length)[index]?.status === "rejected",
    );
    if (wasAsked) this.#work.throwIfStopped();
    const failed = settled.filter(isFailure).length;
    if (failed === 0) {
      this.#work.throwIfStopped();
      return inputs;
    }
    throw this.#work.note(
      new DevshellError(
        "BUILD_DEPENDENCY_FAILED",
        `Cannot build '${drvPath}'.\nReason: ${failed} ${failed === 1 ? "dependency" : "dependencies"} failed.${knownOutputsText(derivation)}`,
        { exitStatus: 100 },
      ),
    );
  }

  /** Has the derivation built that names the inputs' outputs by path: others may resolve to the same. */
  async #ensureResolved(
    { drvPath, derivation, wanted, mode }: BuildGoal,
    inputs: InputPaths,
  ): Promise<OutputPaths> {
    const { store, activities } = this.#work;
    const made = resolveDerivation(store.settings.storeDir, derivation, (element) =>
      inputs.get(inputKey(element.drvPath, element.outputs)),
    );
    if (made === undefined) throw new Error(`The inputs of ${drvPath} are built but not known`);
    activities.tell(`resolved derivation: '${drvPath}' -> '${made.drvPath}'`);
    try {
      return await this.#goals.reach(goalKey(mode, made.drvPath, wanted), () =>
        this.#ensureOutputs({ drvPath: made.drvPath, derivation: made.derivation, wanted, mode, made }),
      );
    } catch (error) {
      if (error instanceof Cancelled) throw error;
      throw this.#work.note(
        new DevshellError(
          "BUILD_DEPENDENCY_FAILED",
          `build of resolved derivation '${made.drvPath}' failed`,
          {
            exitStatus: 100,
          },
        ),
      );
    }
  }

  #build(goal: BuildGoal, inputs: InputPaths): Promise<OutputPaths> {
    const known = this.#builds.get(goal.drvPath);
    if (known !== undefined) return known;
    const build = Promise.resolve().then(() => this.#buildNow(goal, inputs));
    build.catch(() => undefined);
    this.#builds.set(goal.drvPath, build);
    return build;
  }

  async #buildNow(goal: BuildGoal, inputs: InputPaths): Promise<OutputPaths> {
    const { drvPath, derivation } = goal;
    const { store, activities } = this.#work;
    this.#work.throwIfStopped();
    const name = derivation.builder.startsWith("builtin:") ? derivation.builder.slice(8) : undefined;
    const builtin = name === undefined ? undefined : this.#options.builtins.get(name);
    try {
      const options = readDerivationOptions(derivation);
      const obstacle = buildObstacle(drvPath, derivation, options, store.settings);
      if (name === undefined && goal.mode === "normal") {
        const built = await this.#elsewhere.build({
          drvPath,
          derivation,
          options,
          isPossibleHere: obstacle === undefined,
          hasRoomHere: () => this.#options.slots.foreign.hasRoom,
          begin: this.#beginner(goal, inputs, { options, builtin, onBegun: undefined }),
        });
        if (built !== undefined) return built;
      }
      if (obstacle !== undefined) throw obstacle;
      for (const warning of options.warnings) activities.warn(warning);
      if (name !== undefined && builtin === undefined)
        throw new DevshellError(
          "BUILD_REJECTED",
          `Cannot build '${drvPath}'.\nReason: unsupported builtin builder '${name}'.`,
        );
      const { downloads, foreign, builtin: builtinSlots } = this.#options.slots;
      const slots = isDownload(derivation) ? downloads : builtin === undefined ? foreign : builtinSlots;
      const paths = [...lockedPaths(drvPath, derivation)];
      for (;;) {
        const outputs = await slots.run(
          () => this.#buildInTurn(goal, inputs, { options, builtin }),
          this.#work.signal,
        );
        if (outputs !== undefined) return outputs;
        // Another process is at it: waiting takes no slot.
        using locks = await store.lockPaths(paths, { signal: this.#work.signal });
        locks.discard();
      }
    } catch (error) {
      throw this.#work.settle(error);
    }
  }

  /**
   * Builders begin one after the other, as in Nix: of those that fail at once it is the first whose failure is told.
   * @returns `undefined` where another process holds the locks
   */
  #buildInTurn(
    goal: BuildGoal,
    inputs: InputPaths,
    how: Pick<BuildRequest, "options" | "builtin">,
  ): Promise<OutputPaths | undefined> {
    const build = async (onBegun?: () => void): Promise<OutputPaths | undefined> => {
      try {
        this.#work.throwIfStopped();
        return await this.#buildLocked(goal, inputs, { ...how, onBegun });
      } catch (error) {
        // Noted before the slot is free and the turn over: what waits for them shall not begin.
        throw this.#work.settle(error);
      }
    };
    return how.builtin === undefined ? this.#beginnings.take(build) : build();
  }

  async #buildLocked(
    goal: BuildGoal,
    inputs: InputPaths,
    how: Pick<BuildRequest, "options" | "builtin" | "onBegun">,
  ): Promise<OutputPaths | undefined> {
    const { drvPath, derivation, mode } = goal;
    const { store, activities } = this.#work;
    using locks = store.tryLockPaths(lockedPaths(drvPath, derivation));
    if (locks === undefined) return undefined;
    const known = knownOutputPathsOf(store, drvPath, derivation, "*");
    if (known !== undefined) store.addTempRoots(known.values());
    if (mode === "normal" && known !== undefined && areValid(store, known)) {
      locks.discard();
      return known;
    }
    const activity = {
      kind: isDownload(derivation) ? "download" : "build",
      name: derivationLabel(drvPath),
      path: drvPath,
      builder: how.builtin === undefined ? derivation.builder : undefined,
    } as const;
    const begin = this.#beginner(goal, inputs, how);
    const outputs = await activities.run(activity, (id) => buildDerivation(begin(id)));
    if (mode === "normal") locks.discard();
    return outputs;
  }

  /** The request of a build, once its activity has a number. */
  #beginner(
    { drvPath, derivation, mode }: BuildGoal,
    inputs: InputPaths,
    { options, builtin, onBegun }: Pick<BuildRequest, "options" | "builtin" | "onBegun">,
  ): (id: number) => BuildRequest {
    const { store, signal, activities } = this.#work;
    return (id) => ({
      store,
      drvPath,
      derivation,
      options,
      inputPaths: this.#inputClosure(derivation, inputs),
      pathInfo: (path) => this.#info(path),
      builtin,
      onBegun,
      isForStranger: this.#options.isForStranger,
      isLogShown: this.#options.isLogShown,
      serveBuilder: this.#options.serveBuilder,
      mode,
      signal,
      onLine: (line) => activities.emit({ kind: "log", id, line }),
      onWarn: (problem) => activities.warn(problem),
      onPhase: (phase) => activities.emit({ kind: "phase", id, phase }),
      onProgress: (doneBytes, totalBytes) => activities.emit({ kind: "progress", id, doneBytes, totalBytes }),
    });
  }

  /** The paths that a build may see: its sources, its inputs' wanted outputs, and all they refer to. */
  #inputClosure(derivation: Derivation, inputs: InputPaths): ReadonlySet<StorePath> {
    const closure = new Set([...derivation.inputSrcs, ...inputs.values()]);
    for (const path of closure) for (const reference of this.#info(path).references) closure.add(reference);
    return closure;
  }

  #info(path: StorePath): ValidPathInfo {
    const known = this.#infos.get(path);
    if (known !== undefined) return known;
    const info = this.#work.store.queryPathInfo(path);
    if (info === undefined) throw new DevshellError("STORE_INVALID_PATH", `path '${path}' is not valid`);
    this.#infos.set(path, info);
    return info;
  }
}

/** Where nothing is known beforehand the derivation stands for its outputs. */
function lockedPaths(drvPath: StorePath, derivation: Derivation): Iterable<StorePath> {
  return outputPathsOf(derivation, "*")?.values() ?? [drvPath];
}

function areValid(store: Work["store"], paths: OutputPaths): boolean {
  return [...paths.values()].every((path) => store.isValidPath(path));
}

function goalKey(mode: BuildMode, what: string, wanted: WantedOutputs): string {
  return `${mode} ${what}!${wanted === "*" ? wanted : [...wanted].sort().join()}`;
}

/** As Nix begins them: by name, then by path. */
export function byName(a: { readonly drvPath: StorePath }, b: { readonly drvPath: StorePath }): number {
  const [nameA, nameB] = [storePathName(a.drvPath), storePathName(b.drvPath)];
  return compareBytes(nameA, nameB) || compareBytes(a.drvPath, b.drvPath);
}

function inputKey(drvPath: StorePath, outputs: readonly OutputName[]): string {
  return [drvPath, ...outputs].join("!");
}
