import { DevshellError } from "../../../core/index.ts";
import { derivationKind, knownOutputPaths } from "../../format/derivation.ts";
import { printDerivation } from "../../format/printDerivation.ts";
import { derivationNameOfPath } from "../../format/storePath.ts";
import { failureOfError } from "../../protocol/messages.ts";
import {
  statusOf,
  writeBuildResult,
  type BuildResult,
  type BuiltOutput,
} from "../../protocol/buildResult.ts";
import type { OperationName } from "../../protocol/version.ts";
import {
  formatDerivedPath,
  readBasicDerivation,
  readBuildMode,
  readDerivedPath,
  readPath,
  type BuildMode,
} from "../../protocol/values.ts";
import { readList } from "../../protocol/wire.ts";
import { realise, type RealiseReport, type RealiseResult } from "../../realise/index.ts";
import { withDerivation } from "../../realise/storeOverlay.ts";
import type { Derivation, DerivedPath, OutputName, StorePath } from "../../types.ts";
import type { Operation, Session } from "../session.ts";

/** Before that a build is always a normal one. */
const MODES_SINCE = 15;
const REPAIR_REFUSED = "repairing is not allowed because you are not in 'trusted-users'";

/** What makes paths valid. */
export const building: Readonly<Partial<Record<OperationName, Operation>>> = {
  async buildPaths(session) {
    const { targets, mode } = await readRequest(session);
    await session.work(async () => throwFailures(session, await build(session, targets, mode), targets));
    session.reply.number(1);
  },

  async buildPathsWithResults(session) {
    const { targets, mode } = await readRequest(session);
    const results = await session.work(async () => {
      const startTime = now();
      const before = targets.map((target) => isThere(session, target));
      const report = await build(session, targets, mode);
      tellCauses(session, report);
      return report.results.map((result, index) =>
        buildResult(session, result, {
          report,
          startTime,
          wasThere: before[index] === true && mode === "normal",
        }),
      );
    });
    session.reply.number(results.length);
    for (const [index, result] of results.entries()) {
      const target = targets[index];
      if (target === undefined) throw new Error("more results than targets");
      session.reply.string(formatDerivedPath(target, session.wire));
      writeBuildResult(session.reply, result, session.wire, idsOf(session, target));
    }
  },

  async buildDerivation(session) {
    const given = await session.read(readPath(session.wire));
    const derivation = await session.read(readBasicDerivation(session.wire, derivationNameOfPath(given)));
    const mode = await session.read(readBuildMode());
    const { drvPath, result } = await session.work(async () => {
      const path = claim(session, given, derivation);
      if (mode === "repair") session.requireTrust(REPAIR_REFUSED);
      const target: DerivedPath = { kind: "built", drvPath: path, outputs: "*" };
      const store = session.realiseStore(withDerivation(session.store, path, derivation));
      const wasThere =
        mode === "normal" &&
        [...knownOutputPaths(derivation).values()].every((output) => isValid(session, output));
      const startTime = now();
      const report = await realise(store, [target], realiseOptions(session, mode));
      const [only] = report.results;
      if (only === undefined) throw new Error("a build has no result");
      return { drvPath: path, result: buildResult(session, only, { report, startTime, wasThere }) };
    });
    writeBuildResult(session.reply, result, session.wire, (output) => idOf(session, drvPath, output));
  },

  async ensurePath(session) {
    const path = await session.read(readPath(session.wire));
    const targets: DerivedPath[] = [{ kind: "opaque", path }];
    await session.work(async () => throwFailures(session, await build(session, targets, "normal"), targets));
    session.reply.number(1);
  },

  async queryMissing(session) {
    const targets = await session.read(readList("targets", () => readDerivedPath(session.wire)));
    const { plan } = await session.work(() => {
      session.checkSeen(targets.map((target) => (target.kind === "opaque" ? target.path : target.drvPath)));
      return realise(session.realiseStore(), targets, { dryRun: true, signal: session.signal });
    });
    session.reply
      .strings([...plan.builds].sort())
      .strings([...plan.downloads].sort())
      .strings([...plan.unknown].sort())
      .number(plan.downloadBytes)
      .number(plan.unpackedBytes);
  },
};

async function readRequest(
  session: Session,
): Promise<{ readonly targets: readonly DerivedPath[]; readonly mode: BuildMode }> {
  const targets = await session.read(readList("targets", () => readDerivedPath(session.wire)));
  const mode = session.wire.version.minor >= MODES_SINCE ? await session.read(readBuildMode()) : "normal";
  return { targets, mode };
}

async function build(
  session: Session,
  targets: readonly DerivedPath[],
  mode: BuildMode,
): Promise<RealiseReport> {
  if (mode === "repair") session.requireTrust(REPAIR_REFUSED);
  session.checkSeen(targets.map((target) => (target.kind === "opaque" ? target.path : target.drvPath)));
  const report = await realise(session.realiseStore(), targets, realiseOptions(session, mode));
  const done = report.results.filter(({ status }) => status === "done");
  await session.reveal(done.flatMap(({ outputs }) => [...outputs.values()]));
  return report;
}

function realiseOptions(session: Session, mode: BuildMode): Parameters<typeof realise>[2] {
  return {
    mode,
    builtinBuilders: session.builtinBuilders,
    isForStranger: session.isStranger,
    serveBuilder: session.serveBuilder,
    onEvent: session.log.events(),
    signal: session.signal,
  };
}

/**
 * Whether a client may have a derivation built that is not in the store, and under which path. What its outputs are
 * called must follow from something: from their content, or from the client being trusted.
 */
function claim(session: Session, drvPath: StorePath, derivation: Derivation): StorePath {
  if (session.isTrusted) return drvPath;
  const kind = derivationKind(derivation);
  if (kind !== "fixed" && kind !== "contentAddressed")
    throw new DevshellError(
      "DAEMON_UNTRUSTED",
      "you are not privileged to build input-addressed derivations",
    );
  return session.store.addText(`${derivation.name}.drv`, printDerivation(derivation), derivation.inputSrcs);
}

/** What failed on the way to the targets: their own results name only themselves. */
function tellCauses(session: Session, { failures, results }: RealiseReport): void {
  for (const failure of failures)
    if (!results.some(({ error }) => error === failure))
      session.log.say("error", `error: ${failure.message}`);
}

/** One failure is told as it is; several are told one by one, and then which targets they are of. */
function throwFailures(session: Session, report: RealiseReport, targets: readonly DerivedPath[]): void {
  const [first] = report.failures;
  if (first === undefined) return;
  const failed = report.results.flatMap(({ status }, index) => {
    const target = targets[index];
    return status === "done" || target === undefined ? [] : [formatTarget(target)];
  });
  if (report.failures.length === 1 || failed.length === 0) throw first;
  for (const failure of report.failures) session.log.say("error", `error: ${failure.message}`);
  throw new DevshellError("BUILD_FAILED", `build of ${failed.map((name) => `'${name}'`).join(", ")} failed`, {
    exitStatus: report.exitStatus,
  });
}

function formatTarget(target: DerivedPath): string {
  if (target.kind === "opaque") return target.path;
  return `${target.drvPath}^${target.outputs === "*" ? "*" : target.outputs.join(",")}`;
}

interface Circumstances {
  readonly report: RealiseReport;
  readonly startTime: number;
  readonly wasThere: boolean;
}

function buildResult(
  session: Session,
  { target, status, error, outputs }: RealiseResult,
  { report, startTime, wasThere }: Circumstances,
): BuildResult {
  const isDone = status === "done";
  const cause = error instanceof DevshellError ? error : (report.failures[0] ?? error);
  const wasBuilt = target.kind === "built" && report.plan.builds.includes(target.drvPath);
  const succeeded = wasThere
    ? "alreadyValid"
    : wasBuilt || report.plan.downloads.length === 0
      ? "built"
      : "substituted";
  const built = target.kind === "built" && isDone ? outputsOf(session, target, outputs) : new Map();
  return {
    status: isDone ? succeeded : statusOf(cause),
    message: isDone ? "" : failureOfError(cause).message,
    timesBuilt: isDone && succeeded === "built" ? 1 : 0,
    isNonDeterministic: !isDone && statusOf(cause) === "notDeterministic",
    startTime,
    stopTime: now(),
    outputs: built,
  };
}

/** Those that are known only after the build too. */
function outputsOf(
  session: Session,
  target: DerivedPath & { readonly kind: "built" },
  known: ReadonlyMap<OutputName, StorePath>,
): ReadonlyMap<OutputName, BuiltOutput> {
  const { store } = session;
  const all = store.isValidPath(target.drvPath) ? store.queryDerivationOutputs(target.drvPath) : known;
  return new Map(
    [...all].flatMap(([name, path]) => {
      const isWanted = target.outputs === "*" || target.outputs.includes(name);
      if (path === undefined || !isWanted) return [];
      const signatures = store.queryRealisation(target.drvPath, name)?.signatures ?? [];
      return [[name, { path, signatures }] as const];
    }),
  );
}

function isThere(session: Session, target: DerivedPath): boolean {
  if (target.kind === "opaque") return isValid(session, target.path);
  if (!isValid(session, target.drvPath)) return false;
  return [...session.store.queryDerivationOutputs(target.drvPath)].every(
    ([name, path]) => (target.outputs !== "*" && !target.outputs.includes(name)) || isValid(session, path),
  );
}

function isValid(session: Session, path: StorePath | undefined): boolean {
  return path !== undefined && session.store.isValidPath(path);
}

/** What realisations are called for clients without paths in them: by the derivation's hash. */
function idOf(session: Session, drvPath: StorePath, output: OutputName): string {
  let hash = "0".repeat(64);
  if (isValid(session, drvPath)) {
    const modulo = session.store.hasher.hashOfPath(drvPath);
    if (modulo.kind === "derivation") hash = modulo.base16;
    else if (modulo.kind === "outputs") hash = modulo.hashes.get(output) ?? hash;
  }
  return `sha256:${hash}!${output}`;
}

function idsOf(session: Session, target: DerivedPath): (output: OutputName) => string {
  const drvPath = target.kind === "built" ? target.drvPath : undefined;
  return (output) => (drvPath === undefined ? `!${output}` : idOf(session, drvPath, output));
}

function now(): number {
  return Math.floor(Date.now() / 1000);
}
