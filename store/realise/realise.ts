import { availableParallelism } from "node:os";
import { DevshellError, type ByteString } from "../../core/index.ts";
import { storePathName } from "../format/storePath.ts";
import { writeError } from "../format/narRestore.ts";
import type { NarInfo } from "../format/narInfo.ts";
import type {
  BuiltinBuilder,
  Derivation,
  DerivedPath,
  OutputName,
  RealiseOptions,
  StorePath,
  ValidPathInfo,
} from "../types.ts";
import { Activities } from "./activities.ts";
import type { Substituter } from "./binaryCache.ts";
import { buildDerivation } from "./buildDerivation.ts";
import { buildObstacle, derivationLabel, knownOutputsText } from "./buildRequest.ts";
import { buildenv } from "./builtins/buildenv.ts";
import { fetchurl } from "./builtins/fetchurl.ts";
import { unpackChannel } from "./builtins/unpackChannel.ts";
import { readDerivationOptions } from "./derivationOptions.ts";
import { cleanLeftovers } from "./leftovers.ts";
import { isDownload, outputPathsOf, planRealisation, type RealisePlan } from "./plan.ts";
import { isIntact } from "./registerBuild.ts";
import { exitStatusOf, type RealiseReport, type RealiseResult } from "./report.ts";
import { Semaphore } from "./semaphore.ts";
import type { RealiseStore } from "./storePort.ts";
import { SubstituterSet } from "./substituterSet.ts";

export interface RealiseRequestOptions extends RealiseOptions {
  /** Builders that run in this process, by their name after `builtin:`; they come before the store's own. */
  readonly builtinBuilders?: ReadonlyMap<string, BuiltinBuilder> | undefined;
}

const CONCURRENT_DOWNLOADS = 8;

/**
 * Makes targets valid: by what is there, by substitution, by building. Work that is shared is done once, also
 * between processes. Failures do not throw: they are in the report (only an abort throws the signal's reason).
 */
export async function realise(
  store: RealiseStore,
  targets: readonly DerivedPath[],
  options: RealiseRequestOptions = {},
): Promise<RealiseReport> {
  options.signal?.throwIfAborted();
  const realiser = new Realiser(store, options);
  return realiser.run(targets);
}

type Mode = NonNullable<RealiseOptions["mode"]>;

/** Why work that was not at fault ended: something else failed and `keep-going` is off. */
class Cancelled extends Error {}

class Realiser {
  readonly #store: RealiseStore;
  readonly #options: RealiseRequestOptions;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #builtins: ReadonlyMap<string, BuiltinBuilder>;
  readonly #downloads = new Semaphore(CONCURRENT_DOWNLOADS);
  readonly #substituters: SubstituterSet;
  readonly #foreignBuilds: Semaphore;
  readonly #builtinBuilds: Semaphore;
  readonly #goals = new Map<string, Promise<void>>();
  readonly #builds = new Map<StorePath, Promise<void>>();
  readonly #infos = new Map<StorePath, ValidPathInfo>();
  readonly #activities: Activities;
  readonly #failures: DevshellError[] = [];
  #crash: { readonly error: unknown } | undefined;

  constructor(store: RealiseStore, options: RealiseRequestOptions) {
    const { config } = store.settings;
    this.#store = store;
    this.#options = options;
    this.#signal =
      options.signal === undefined ? this.#stop.signal : AbortSignal.any([options.signal, this.#stop.signal]);
    this.#activities = new Activities(options.onEvent, this.#signal);
    this.#substituters = new SubstituterSet(store.settings, this.#signal, (problem) =>
      this.#activities.warn(problem),
    );
    this.#builtins = new Map([
      ["fetchurl", fetchurl],
      ["unpack-channel", unpackChannel],
      ["buildenv", buildenv],
      ...(options.builtinBuilders ?? []),
    ]);
    this.#foreignBuilds = new Semaphore(config.maxJobs);
    this.#builtinBuilds = new Semaphore(availableParallelism());
  }

  async run(targets: readonly DerivedPath[]): Promise<RealiseReport> {
    const { signal, dryRun = false } = this.#options;
    const plan = await this.#plan(targets);
    this.#activities.emit({ kind: "plan", ...plan });
    if (dryRun) {
      const results = targets.map((target) => this.#resultOf(target, "planned"));
      return { results, plan, failures: [], exitStatus: 0 };
    }
    // Others may clean at the same time: what is gone is gone.
    await cleanLeftovers(this.#store.settings.stateDir).catch((error: unknown) => {
      if (!(error instanceof Error && "code" in error)) throw error;
    });
    const settled = await Promise.allSettled(targets.map((target) => this.#realiseTarget(target)));
    // Work whose last waiter has gone may still be ending.
    await Promise.allSettled([...this.#goals.values(), ...this.#builds.values()]);
    signal?.throwIfAborted();
    if (this.#crash !== undefined) throw this.#crash.error;
    const results = settled.map((outcome, index): RealiseResult => {
      const target = targets[index];
      if (target === undefined) throw new Error("unreachable");
      if (outcome.status === "fulfilled") return this.#resultOf(target, "done");
      const isCancelled = outcome.reason instanceof Cancelled;
      return {
        ...this.#resultOf(target, isCancelled ? "cancelled" : "failed"),
        error: outcome.reason as unknown,
      };
    });
    return { results, plan, failures: this.#failures, exitStatus: exitStatusOf(this.#failures) };
  }

  async #plan(targets: readonly DerivedPath[]): Promise<RealisePlan> {
    return planRealisation({
      store: this.#store,
      targets,
      isForced: this.#options.mode !== undefined && this.#options.mode !== "normal",
      querySubstituters: async (path) => (await this.#substituters.find(path))?.info,
    });
  }

  #resultOf(target: DerivedPath, status: RealiseResult["status"]): RealiseResult {
    if (target.kind === "opaque") return { target, status, outputs: new Map([["out", target.path]]) };
    const outputs = this.#store.isValidPath(target.drvPath)
      ? outputPathsOf(this.#store.readDerivation(target.drvPath), target.outputs)
      : undefined;
    return { target, status, outputs: outputs ?? new Map() };
  }

  async #realiseTarget(target: DerivedPath): Promise<void> {
    if (target.kind === "opaque") await this.#ensurePath(target.path, this.#options.mode);
    else await this.#ensureBuilt(target.drvPath, target.outputs, this.#options.mode ?? "normal");
  }

  /** One promise for each thing to do, made before it starts, so that nothing is done twice. */
  #goal(key: string, work: () => Promise<void>): Promise<void> {
    const known = this.#goals.get(key);
    if (known !== undefined) return known;
    const goal = Promise.resolve()
      .then(work)
      .catch((error: unknown) => {
        const isKnown = error instanceof Cancelled || this.#failures.some((failure) => failure === error);
        throw isKnown ? error : this.#fail(this.#store.settings.storeDir, error);
      });
    this.#goals.set(key, goal);
    goal.catch(() => undefined); // those who wait hear of it
    return goal;
  }

  #ensurePath(path: StorePath, mode: Mode = "normal"): Promise<void> {
    return this.#goal(`${mode} ${path}`, async () => {
      this.#throwIfStopped();
      if (this.#store.isValidPath(path)) {
        this.#store.addTempRoots([path]);
        // The collector may have been quicker than the root.
        if (mode === "repair" ? this.#isIntact(path) : this.#store.isValidPath(path)) return;
      }
      if (!(await this.#substitute(path, mode === "repair")))
        throw this.#fail(
          path,
          new DevshellError(
            "REALISE_UNKNOWN_PATH",
            mode === "repair"
              ? `cannot repair path '${path}': there is no substituter that has it`
              : `path '${path}' is required, but there is no substituter that can build it`,
          ),
        );
    });
  }

  #isIntact(path: StorePath): boolean {
    const info = this.#store.queryPathInfo(path);
    return info !== undefined && isIntact(this.#store, info);
  }

  #ensureBuilt(
    drvPath: StorePath,
    wanted: readonly OutputName[] | "*",
    mode: Mode = "normal",
  ): Promise<void> {
    const key = `${mode} ${drvPath}!${wanted === "*" ? wanted : [...wanted].sort().join()}`;
    return this.#goal(key, async () => {
      await this.#ensurePath(drvPath);
      const derivation = this.#store.readDerivation(drvPath);
      this.#checkWanted(drvPath, derivation, wanted);
      const paths = outputPathsOf(derivation, wanted);
      if (mode !== "check" && paths !== undefined) {
        this.#store.addTempRoots(paths.values());
        if (mode === "repair" && [...paths.values()].every((path) => this.#isIntact(path))) return;
        if (mode === "normal" && (await this.#substituteOutputs(drvPath, derivation, paths))) return;
      }
      if (mode === "check") this.#requireBuiltBefore(drvPath, derivation, wanted);
      await this.#build(drvPath, derivation, mode);
    });
  }

  /** @returns whether all are valid now */
  async #substituteOutputs(
    drvPath: StorePath,
    derivation: Derivation,
    paths: ReadonlyMap<OutputName, StorePath>,
  ): Promise<boolean> {
    const invalid = [...paths.values()].filter((path) => !this.#store.isValidPath(path));
    if (invalid.length === 0) return true;
    const { config } = this.#store.settings;
    if (!config.substitute || config.substituters.length === 0) return false;
    if (!readDerivationOptions(derivation).allowSubstitutes) return false;
    const offers = await Promise.all(invalid.map((path) => this.#substituters.find(path)));
    if (!offers.every((offer) => offer !== undefined)) return false;
    const settled = await Promise.allSettled(invalid.map((path) => this.#ensurePath(path)));
    const failures = settled.filter(isFailure).map((outcome) => outcome.reason as unknown);
    if (failures.length > 0 && config.fallback) {
      // Built instead: no longer failures, and whoever wants the paths later shall find them.
      for (const failure of failures) {
        this.#activities.warn(failure);
        const at = this.#failures.findIndex((known) => known === failure);
        if (at >= 0) this.#failures.splice(at, 1);
      }
      for (const path of invalid) this.#goals.delete(`normal ${path}`);
      return false;
    }
    if (failures.length > 0)
      throw this.#note(
        new DevshellError(
          "SUBSTITUTE_FAILED",
          `some substitutes for the outputs of derivation '${drvPath}' failed (usually happens due to networking issues); ` +
            "try '--fallback' to build derivation from source",
        ),
      );
    this.#throwIfStopped();
    return true;
  }

  #checkWanted(drvPath: StorePath, derivation: Derivation, wanted: readonly OutputName[] | "*"): void {
    const unknown = wanted === "*" ? [] : wanted.filter((name) => !derivation.outputs.has(name));
    if (unknown.length > 0)
      throw this.#fail(
        drvPath,
        new DevshellError(
          "REALISE_UNKNOWN_OUTPUT",
          `derivation '${drvPath}' does not have wanted outputs '${unknown.join("', '")}'`,
          { hint: `it has ${[...derivation.outputs.keys()].map((name) => `"${name}"`).join(", ")}` },
        ),
      );
  }

  #requireBuiltBefore(drvPath: StorePath, derivation: Derivation, wanted: readonly OutputName[] | "*"): void {
    const missing = [...derivation.outputs].flatMap(([name, output]) =>
      "path" in output && (wanted === "*" || wanted.includes(name)) && !this.#store.isValidPath(output.path)
        ? [output.path]
        : [],
    );
    if (missing.length > 0)
      throw this.#fail(
        drvPath,
        new DevshellError(
          "REALISE_CHECK_UNBUILT",
          `some outputs of '${drvPath}' are not valid, so checking is not possible`,
        ),
      );
  }

  #build(drvPath: StorePath, derivation: Derivation, mode: Mode): Promise<void> {
    const known = this.#builds.get(drvPath);
    if (known !== undefined) return known;
    const build = Promise.resolve().then(() => this.#buildNow(drvPath, derivation, mode));
    build.catch(() => undefined);
    this.#builds.set(drvPath, build);
    return build;
  }

  async #buildNow(drvPath: StorePath, derivation: Derivation, mode: Mode): Promise<void> {
    this.#throwIfStopped();
    await this.#ensureInputs(drvPath, derivation);
    const store = this.#store;
    const name = derivation.builder.startsWith("builtin:") ? derivation.builder.slice(8) : undefined;
    const builtin = name === undefined ? undefined : this.#builtins.get(name);
    try {
      const options = readDerivationOptions(derivation);
      const obstacle = buildObstacle(drvPath, derivation, options, store.settings);
      if (obstacle !== undefined) throw obstacle;
      if (name !== undefined && builtin === undefined)
        throw new DevshellError(
          "BUILD_REJECTED",
          `Cannot build '${drvPath}'.\nReason: unsupported builtin builder '${name}'.`,
        );
      const isFetched = isDownload(derivation);
      const slots = isFetched
        ? this.#downloads
        : builtin === undefined
          ? this.#foreignBuilds
          : this.#builtinBuilds;
      await slots.run(async () => {
        using locks = await store.lockPaths(knownOutputs(derivation), { signal: this.#signal });
        if (mode === "normal" && allOutputsValid(store, derivation)) {
          locks.discard();
          return;
        }
        const kind = isFetched ? "download" : "build";
        await this.#activities.run({ kind, name: derivationLabel(drvPath), path: drvPath }, (id) =>
          buildDerivation({
            store,
            drvPath,
            derivation,
            options,
            inputPaths: this.#inputClosure(derivation),
            pathInfo: (path) => this.#info(path),
            builtin,
            mode,
            signal: this.#signal,
            onLine: (line) => this.#activities.emit({ kind: "log", id, line }),
            onPhase: (phase) => this.#activities.emit({ kind: "phase", id, phase }),
            onProgress: (doneBytes, totalBytes) =>
              this.#activities.emit({ kind: "progress", id, doneBytes, totalBytes }),
          }),
        );
        if (mode === "normal") locks.discard();
      }, this.#signal);
    } catch (error) {
      throw this.#fail(store.settings.storeDir, error);
    }
  }

  /** @throws where an input could not be made; that is told before any cancellation which it caused */
  async #ensureInputs(drvPath: StorePath, derivation: Derivation): Promise<void> {
    const settled = await Promise.allSettled([
      ...derivation.inputSrcs.map((path) => this.#ensurePath(path)),
      ...[...derivation.inputDrvs].map(([input, outputs]) => this.#ensureBuilt(input, outputs)),
    ]);
    const failed = settled.filter(isFailure).length;
    if (failed === 0) {
      this.#throwIfStopped();
      return;
    }
    throw this.#note(
      new DevshellError(
        "BUILD_DEPENDENCY_FAILED",
        `Cannot build '${drvPath}'.\nReason: ${failed} ${failed === 1 ? "dependency" : "dependencies"} failed.${knownOutputsText(derivation)}`,
        { exitStatus: 100 },
      ),
    );
  }

  /** The paths that a build may see: its sources, its inputs' wanted outputs, and all they refer to. */
  #inputClosure(derivation: Derivation): ReadonlySet<StorePath> {
    const roots = [...derivation.inputSrcs];
    for (const [input, outputs] of derivation.inputDrvs)
      roots.push(...(outputPathsOf(this.#store.readDerivation(input), outputs)?.values() ?? []));
    const closure = new Set(roots);
    for (const path of closure) for (const reference of this.#info(path).references) closure.add(reference);
    return closure;
  }

  #info(path: StorePath): ValidPathInfo {
    const known = this.#infos.get(path);
    if (known !== undefined) return known;
    const info = this.#store.queryPathInfo(path);
    if (info === undefined) throw new DevshellError("STORE_INVALID_PATH", `path '${path}' is not valid`);
    this.#infos.set(path, info);
    return info;
  }

  /** Tries every substituter that offers the path. @returns false where none does */
  async #substitute(path: StorePath, isRepair = false): Promise<boolean> {
    let offer = await this.#substituters.find(path);
    while (offer !== undefined) {
      const { info, substituter } = offer;
      const others = info.references.filter((reference) => reference !== path);
      const settled = await Promise.allSettled(others.map((reference) => this.#ensurePath(reference)));
      if (settled.some(isFailure))
        throw this.#note(
          new DevshellError("SUBSTITUTE_FAILED", `some references of path '${path}' could not be realised`),
        );
      this.#throwIfStopped();
      try {
        await this.#downloads.run(async () => {
          using locks = await this.#store.lockPaths([path], { signal: this.#signal });
          if (isRepair || !this.#store.isValidPath(path))
            await this.#download(path, info, substituter, isRepair);
          locks.discard();
        }, this.#signal);
        return true;
      } catch (error) {
        const next = this.#signal.aborted ? undefined : await this.#substituters.findAfter(path, substituter);
        if (next === undefined) throw this.#fail(path, error, this.#store.settings.config.fallback);
        this.#activities.warn(error);
        offer = next;
      }
    }
    return false;
  }

  async #download(
    path: StorePath,
    info: NarInfo,
    substituter: Substituter,
    isRepair: boolean,
  ): Promise<void> {
    await this.#activities.run(
      { kind: "substitute", name: storePathName(path), path, totalBytes: info.fileSizeBytes },
      async (id) => {
        const download = await substituter.openNar(info, {
          signal: this.#signal,
          onProgress: (doneBytes, totalBytes) =>
            this.#activities.emit({ kind: "progress", id, doneBytes, totalBytes }),
          onRetry: (message) => this.#activities.emit({ kind: "log", id, line: `warning: ${message}` }),
        });
        try {
          await this.#store.addToStoreFromStream(info, download.nar, {
            signal: this.#signal,
            isLocked: true,
            isRepair,
          });
        } catch (error) {
          // A file that passed its own hash yet is not what was promised is of no use to the next run.
          if (!this.#signal.aborted) await download.discard();
          throw error;
        }
        await download.discard();
      },
    );
  }

  /** Notes a failure and, unless `keep-going` is on or something else will be tried, stops everything else. */
  #fail(path: ByteString, error: unknown, isTriedOtherwise = false): unknown {
    if (this.#signal.aborted) return new Cancelled("cancelled");
    // The disk's refusals are the user's to mend; anything else that is no DevshellError is a bug, thrown at the end.
    const failure = writeError(failedPath(error) ?? path, error);
    if (!(failure instanceof DevshellError)) {
      this.#crash ??= { error };
      this.#stop.abort(new Cancelled("cancelled"));
      return error;
    }
    this.#note(failure);
    if (!this.#store.settings.config.keepGoing && !isTriedOtherwise)
      this.#stop.abort(new Cancelled("cancelled"));
    return failure;
  }

  #note(error: DevshellError): DevshellError {
    if (!this.#failures.includes(error)) this.#failures.push(error);
    return error;
  }

  #throwIfStopped(): void {
    if (this.#signal.aborted) throw new Cancelled("cancelled");
  }
}

function knownOutputs(derivation: Derivation): readonly StorePath[] {
  return [...derivation.outputs.values()].flatMap((output) => ("path" in output ? [output.path] : []));
}

function allOutputsValid(store: RealiseStore, derivation: Derivation): boolean {
  return knownOutputs(derivation).every((path) => store.isValidPath(path));
}

/** What a system call was refused for, where its error says so. */
function failedPath(error: unknown): string | undefined {
  return error instanceof Error && "path" in error && typeof error.path === "string" ? error.path : undefined;
}

/** A failure of its own, not the echo of another one. */
function isFailure(outcome: PromiseSettledResult<unknown>): outcome is PromiseRejectedResult {
  return outcome.status === "rejected" && !(outcome.reason instanceof Cancelled);
}
