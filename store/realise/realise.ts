import { availableParallelism } from "node:os";
import { DevshellError } from "../../core/index.ts";
import type { BuiltinBuilder, DerivedPath, RealiseOptions } from "../types.ts";
import { Activities } from "./activities.ts";
import { BuildGoals, byName } from "./goals/buildGoals.ts";
import { buildenv } from "./builtins/buildenv.ts";
import { fetchurl } from "./builtins/fetchurl.ts";
import { unpackChannel } from "./builtins/unpackChannel.ts";
import { hasDerivation } from "./evalStore.ts";
import { cleanLeftovers } from "./leftovers.ts";
import { knownOutputPathsOf, type OutputPaths } from "./outputs/outputPaths.ts";
import { PathGoals } from "./goals/pathGoals.ts";
import { planRealisation } from "./plan.ts";
import { repairPath } from "./repair.ts";
import { exitStatusOf, type RealiseReport, type RealiseResult } from "./report.ts";
import type { ServeBuilder } from "./builder/restriction.ts";
import { Semaphore } from "./goals/semaphore.ts";
import type { RealiseStore } from "./storePort.ts";
import { SubstituterSet } from "./goals/substituterSet.ts";
import { Cancelled, Work } from "./goals/work.ts";

export interface RealiseRequestOptions extends RealiseOptions {
  /** Builders that run in this process, by their name after `builtin:`; they come before the store's own. */
  readonly builtinBuilders?: ReadonlyMap<string, BuiltinBuilder> | undefined;
  /** Asked for by someone who may not act as us: nothing runs, or reads files, in our name. */
  readonly isForStranger?: boolean | undefined;
  /** Serves builders that use the store themselves; without it they are refused. */
  readonly serveBuilder?: ServeBuilder | undefined;
}

const CONCURRENT_DOWNLOADS = 8;
/** Nix's own default. */
const SUBSTITUTION_JOBS = 16;

/**
 * Makes targets valid: by what is there, by substitution, by building. Work that is shared is done once, also
 * between processes. Failures do not throw: they are in the report (only an abort throws the signal's reason).
 */
export async function realise(
  store: RealiseStore,
  targets: readonly DerivedPath[],
  options: RealiseRequestOptions = {},
): Promise<RealiseReport> {
  const { signal: outer, mode = "normal" } = options;
  outer?.throwIfAborted();
  const stop = new AbortController();
  const signal = outer === undefined ? stop.signal : AbortSignal.any([outer, stop.signal]);
  const activities = new Activities(options.onEvent, signal);
  await using substituters = new SubstituterSet(store.settings, signal, (problem) =>
    activities.warn(problem),
  );
  const plan = await planRealisation({
    store,
    targets,
    isForced: mode !== "normal",
    querySubstituters: async (path, address) => (await substituters.find(path, address))?.info,
  });
  activities.emit({ kind: "plan", ...plan });
  if (options.dryRun === true) {
    const results = targets.map((target) => resultOf(store, target, "planned"));
    return { results, plan, failures: [], exitStatus: 0 };
  }
  // Others may clean at the same time: what is gone is gone.
  await cleanLeftovers(store.settings.stateDir).catch((error: unknown) => {
    if (!(error instanceof Error && "code" in error)) throw error;
  });
  const work = new Work(store, activities, stop, signal);
  const downloads = new Semaphore(CONCURRENT_DOWNLOADS);
  const { raw } = store.settings.config;
  const substitutions = new Semaphore(Number(raw.get("max-substitution-jobs")) || SUBSTITUTION_JOBS);
  const paths = new PathGoals(work, substituters, substitutions);
  const builtin = new Semaphore(availableParallelism());
  const slots = { downloads, builtin, foreign: new Semaphore(store.settings.config.maxJobs) };
  const isForStranger = options.isForStranger === true;
  const others = [...(options.builtinBuilders ?? [])].map(
    ([name, builder]) => [name, isForStranger ? refuseStranger : builder] as const,
  );
  const builtins = new Map([...STORE_BUILDERS, ...others]);
  const asked = new Set(targets.flatMap((target) => (target.kind === "built" ? [target.drvPath] : [])));
  const builds = new BuildGoals({
    work,
    paths,
    substituters,
    builtins,
    slots,
    asked,
    isForStranger,
    isLogShown: options.isLogShown === true,
    serveBuilder: options.serveBuilder,
    realise,
  });
  const begin = async (target: DerivedPath): Promise<OutputPaths> => {
    if (target.kind === "built") return await builds.ensure(target, mode);
    if (mode !== "repair") await paths.require(target.path);
    else
      await repairPath(
        { work, paths, builds },
        target.path,
        (await substituters.find(target.path)) !== undefined,
      );
    return new Map([["out", target.path]]);
  };
  const order = inOrder(targets);
  const settled = await Promise.allSettled(order.map(begin));
  await Promise.all([paths.end(), builds.end()]);
  outer?.throwIfAborted();
  work.throwCrash();
  const outcomes = new Map(settled.map((outcome, index) => [order[index], outcome]));
  const results = targets.map((target): RealiseResult => {
    const outcome = outcomes.get(target);
    if (outcome === undefined) throw new Error("unreachable");
    if (outcome.status === "fulfilled") return { target, status: "done", outputs: outcome.value };
    const error = outcome.reason as unknown;
    return { ...resultOf(store, target, error instanceof Cancelled ? "cancelled" : "failed"), error };
  });
  return { results, plan, failures: work.failures, exitStatus: exitStatusOf(work.failures) };
}

const STORE_BUILDERS: ReadonlyMap<string, BuiltinBuilder> = new Map([
  ["fetchurl", fetchurl],
  ["unpack-channel", unpackChannel],
  ["buildenv", buildenv],
]);

/** Paths first, then builds as Nix begins them: with few slots this decides what fails first. */
function inOrder(targets: readonly DerivedPath[]): readonly DerivedPath[] {
  const builds = targets.filter((target) => target.kind === "built");
  return [...targets.filter(({ kind }) => kind === "opaque"), ...builds.sort(byName)];
}

/** Of what others bring it is not known that it reads nothing but the store, and runs nothing. */
const refuseStranger: BuiltinBuilder = ({ derivation }) => {
  throw new DevshellError(
    "BUILD_REJECTED",
    `builtin builder '${derivation.builder}' works in the daemon's own name, which is for its trusted users only`,
    { hint: "add the user to `trusted-users`, or build in a store of the user's own" },
  );
};

function resultOf(store: RealiseStore, target: DerivedPath, status: RealiseResult["status"]): RealiseResult {
  if (target.kind === "opaque") return { target, status, outputs: new Map([["out", target.path]]) };
  const { drvPath, via = [], outputs } = target;
  const outer = via.length === 0 ? drvPath : store.queryOutput({ drvPath, outputs: via });
  const known =
    outer !== undefined && hasDerivation(store, outer)
      ? knownOutputPathsOf(store, outer, store.readDerivation(outer), outputs)
      : undefined;
  return { target, status, outputs: known ?? new Map() };
}
