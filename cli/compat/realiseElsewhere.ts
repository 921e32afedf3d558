import { DevshellError } from "../../core/index.ts";
import type { StoreContext } from "../../env/index.ts";
import {
  OutputsThere,
  StoreEndpoint,
  copyPaths,
  withoutMachines,
  type DerivedPath,
  type OutputName,
  type RealiseReport,
  type StorePath,
} from "../../store/index.ts";
import type { AskedStore } from "./askedStore.ts";
import { realisedTargets } from "./nix/realisations.ts";
import { say } from "./output.ts";

/**
 * Makes targets valid in a store in which nothing can be built, such as a binary cache: by what it has, or by what the
 * machines of the option `builders` make, which is copied there.
 */
export async function realiseElsewhere(
  { context, store }: AskedStore,
  targets: readonly DerivedPath[],
  options: Parameters<StoreContext["tryRealise"]>[1],
): Promise<RealiseReport> {
  const { signal } = context;
  const there = new OutputsThere(context.evalStore, store, signal);
  const found = await Promise.all(
    targets.map(async (target) => {
      const outputs: ReadonlyMap<OutputName, StorePath> | undefined =
        target.kind === "opaque" ? new Map([["out", target.path]]) : await there.find(target);
      const infos = await Promise.all(
        [...(outputs?.values() ?? [])].map((path) => store.query(path, signal)),
      );
      return infos.includes(undefined) ? undefined : outputs;
    }),
  );
  if (found.every((outputs) => outputs !== undefined)) {
    const results = targets.map((target, index) => ({
      target,
      status: "done" as const,
      outputs: found[index] ?? new Map<OutputName, StorePath>(),
    }));
    return { results, plan: NOTHING, failures: [], exitStatus: 0 };
  }
  // What would be built is told without anybody who could.
  if (options?.dryRun !== true) useBuilders(context);
  const report = await context.tryRealise(targets, options);
  if (report.failures.length > 0 || options?.dryRun === true) return report;
  const { paths, realisations } = realisedTargets(context.store, targets);
  const source = new StoreEndpoint(context.store);
  await copyPaths({
    source,
    target: store,
    paths,
    isRecursive: true,
    signal,
    // Without a display of how far it is, which the bundle of what evaluates does not hold.
    onPath: (path) => say(`copying path '${path}' to '${store.url}'...`),
  });
  for (const realisation of realisations) await store.addRealisation?.(realisation, { signal });
  return report;
}

const NOTHING: RealiseReport["plan"] = {
  builds: [],
  downloads: [],
  downloadBytes: 0,
  unpackedBytes: 0,
  unknown: [],
};

/** @throws {DevshellError} `STORE_CANNOT_BUILD` where there are none */
function useBuilders(context: StoreContext): void {
  const { config, confDir } = context.settings;
  const builders = config.raw.get("builders") ?? `@${confDir}/machines`;
  // One that is this machine's own store is where we build anyway.
  const { rest, taken } = withoutMachines(builders, config.system, ({ url }) =>
    /^(?:auto|local|daemon)?(?:\?|$)/.test(url),
  );
  if (taken.length === 0 && rest === "")
    throw new DevshellError(
      "STORE_CANNOT_BUILD",
      "Unable to build with a primary store that isn't a local store; either pass a different '--store' or enable remote builds.\n\n" +
        "For more information check 'man nix.conf' and search for '/machines'.",
    );
  const jobs = taken.reduce((sum, { maxJobs }) => sum + maxJobs, 0);
  context.useSettings(
    new Map([
      ["max-jobs", String(jobs)],
      ["builders", rest],
    ]),
  );
}
