import { DevshellError } from "../../core/index.ts";
import type { BuiltTarget, StorePath } from "../types.ts";
import type { BuildMode } from "./buildRequest.ts";
import { outputPathsOf, type OutputPaths } from "./outputs/outputPaths.ts";
import type { PathGoals } from "./goals/pathGoals.ts";
import type { Work } from "./goals/work.ts";

export interface Repairer {
  readonly work: Work;
  readonly paths: PathGoals;
  readonly builds: { ensure(target: BuiltTarget, mode: BuildMode): Promise<OutputPaths> };
}

export interface RepairRequest extends Repairer {
  readonly drvPath: StorePath;
  /** The derivation's own, found whole. */
  readonly outputs: OutputPaths;
}

/**
 * Looks at all that a derivation's outputs refer to, and has what is damaged built again by the derivation's inputs, or
 * else substituted.
 */
export async function repairClosure({ work, paths, builds, drvPath, outputs }: RepairRequest): Promise<void> {
  const damaged = closureOf(work, outputs).filter((path) => !paths.isIntact(path));
  if (damaged.length === 0) return;
  const builders = buildersOf(work, drvPath);
  const settled = await Promise.allSettled(
    damaged.map(async (path) => {
      const builder = builders.get(path);
      work.activities.tell(`found corrupted or missing path '${path}' in the output closure of '${drvPath}'`);
      if (builder === undefined) await paths.require(path, true);
      else await builds.ensure({ drvPath: builder, outputs: "*" }, "repair");
    }),
  );
  work.throwIfStopped();
  if (settled.some(({ status }) => status === "rejected"))
    throw work.note(
      new DevshellError(
        "REALISE_NOT_REPAIRED",
        `some paths in the output closure of derivation '${drvPath}' could not be repaired`,
      ),
    );
}

/** Makes a path what was registered: by substitution, else by building its deriver again. */
export async function repairPath(
  { work, paths, builds }: Repairer,
  path: StorePath,
  isOffered: boolean,
): Promise<void> {
  const deriver = isOffered ? undefined : work.store.queryPathInfo(path)?.deriver;
  const isBuilt = deriver !== undefined && work.store.isValidPath(deriver);
  if (isBuilt && !paths.isIntact(path)) await builds.ensure({ drvPath: deriver, outputs: "*" }, "repair");
  else await paths.require(path, true);
}

/** What the outputs refer to, themselves left out. */
function closureOf(work: Work, outputs: OutputPaths): StorePath[] {
  const own = new Set(outputs.values());
  const closure = new Set(own);
  for (const path of closure)
    for (const reference of work.store.queryPathInfo(path)?.references ?? []) closure.add(reference);
  return [...closure].filter((path) => !own.has(path)).sort();
}

/** Output → the derivation of it, among all that a derivation needs. */
function buildersOf(work: Work, drvPath: StorePath): ReadonlyMap<StorePath, StorePath> {
  const { store } = work;
  const builders = new Map<StorePath, StorePath>();
  const seen = new Set([drvPath]);
  for (const path of seen) {
    if (!store.isValidPath(path)) continue;
    const derivation = store.readDerivation(path);
    for (const output of outputPathsOf(derivation, "*")?.values() ?? []) builders.set(output, path);
    for (const input of derivation.inputDrvs.keys()) seen.add(input);
  }
  return builders;
}
