import { DevshellError } from "../../../core/index.ts";
import { storePathName } from "../../format/storePath.ts";
import * as calls from "../../protocol/calls.ts";
import { isSuccess, type BuildResult, type BuildStatus } from "../../protocol/buildResult.ts";
import { plain } from "../../protocol/messages.ts";
import type { RealisePlan } from "../../realise/plan.ts";
import { exitStatusOf, type RealiseReport, type RealiseResult } from "../../realise/report.ts";
import type { DerivedPath, OutputName, RealiseOptions, StorePath } from "../../types.ts";
import type { DaemonClient } from "./daemonClient.ts";
import type { DaemonStore } from "./daemonStore.ts";

const EXIT_STATUS: Readonly<Partial<Record<BuildStatus, number>>> = {
  permanentFailure: 100,
  cachedFailure: 100,
  dependencyFailed: 100,
  inputRejected: 100,
  logLimitExceeded: 100,
  transientFailure: 100,
  timedOut: 101,
  outputRejected: 102,
  notDeterministic: 104,
};

/** Has a daemon make targets valid. Failures do not throw: they are in the report. */
export async function realiseInDaemon(
  store: DaemonStore,
  targets: readonly DerivedPath[],
  options: RealiseOptions = {},
): Promise<RealiseReport> {
  const { signal, dryRun = false, mode = "normal", onEvent } = options;
  signal?.throwIfAborted();
  return await store.use(
    async (client) => {
      const plan = planOf(await client.run(calls.queryMissing(client.wire, targets)));
      onEvent?.({ kind: "plan", ...plan });
      if (dryRun) {
        const results = targets.map((target): RealiseResult => ({
          target,
          status: "planned",
          outputs: new Map(),
        }));
        return { results, plan, failures: [], exitStatus: 0 };
      }
      const results = await build(store, client, targets, mode);
      const failures = [
        ...new Set(results.flatMap(({ error }) => (error instanceof DevshellError ? [error] : []))),
      ];
      return { results, plan, failures, exitStatus: exitStatusOf(failures) };
    },
    { onEvent, signal },
  );
}

function planOf(missing: calls.Missing): RealisePlan {
  const byName = (a: StorePath, b: StorePath): number => {
    const [nameA, nameB] = [storePathName(a), storePathName(b)];
    return nameA < nameB ? -1 : nameA > nameB ? 1 : a < b ? -1 : 1;
  };
  return {
    ...missing,
    downloads: [...missing.downloads].sort(byName),
    unknown: [...missing.unknown].sort(byName),
  };
}

async function build(
  store: DaemonStore,
  client: DaemonClient,
  targets: readonly DerivedPath[],
  mode: NonNullable<RealiseOptions["mode"]>,
): Promise<RealiseResult[]> {
  if (client.wire.version.minor >= calls.RESULTS_SINCE) {
    const answers = await client.run(calls.buildPathsWithResults(client.wire, targets, mode));
    return targets.map((target, index) => {
      const answer = answers[index];
      if (answer === undefined)
        throw new DevshellError(
          "PROTOCOL_INVALID",
          "the daemon answered with fewer results than were asked for",
        );
      return resultOf(store, target, answer);
    });
  }
  try {
    await client.run(calls.buildPaths(client.wire, targets, mode));
    return targets.map((target) => ({ target, status: "done", outputs: knownOutputs(store, target) }));
  } catch (error) {
    if (!(error instanceof DevshellError) || error.code !== "DAEMON_FAILED") throw error;
    return targets.map((target) => ({ target, status: "failed", outputs: new Map(), error }));
  }
}

function resultOf(store: DaemonStore, target: DerivedPath, answer: BuildResult): RealiseResult {
  if (!isSuccess(answer.status)) {
    const message = plain(answer.message).replace(/^error: /, "") || `build of ${nameOf(target)} failed`;
    const error = new DevshellError("BUILD_FAILED", message, {
      exitStatus: EXIT_STATUS[answer.status] ?? 1,
      hint: hintOf(store, message),
    });
    return { target, status: "failed", outputs: new Map(), error };
  }
  const outputs = new Map([...answer.outputs].map(([name, { path }]) => [name, path] as const));
  return { target, status: "done", outputs: outputs.size > 0 ? outputs : knownOutputs(store, target) };
}

function knownOutputs(store: DaemonStore, target: DerivedPath): ReadonlyMap<OutputName, StorePath> {
  if (target.kind === "opaque") return new Map([["out", target.path]]);
  const { drvPath, outputs } = target;
  return new Map(
    [...store.queryDerivationOutputs(drvPath)].flatMap(([name, path]) =>
      path !== undefined && (outputs === "*" || outputs.includes(name)) ? [[name, path] as const] : [],
    ),
  );
}

/** Nix's own daemon knows no builders of ours. */
function hintOf(store: DaemonStore, message: string): string | undefined {
  return /builtin:debian-|builtin builder '(?:builtin:)?debian-/.test(message)
    ? `the daemon at '${store.place.url}' has no builders for <debian>: \`NIX_REMOTE=local\` uses a store of your own`
    : undefined;
}

function nameOf(target: DerivedPath): string {
  return target.kind === "opaque" ? `'${target.path}'` : `'${target.drvPath}'`;
}
