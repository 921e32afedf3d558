import { DevshellError, bytesOfText } from "../../core/index.ts";
import { formatContentAddress, isContentAddressed } from "../format/contentAddress.ts";
import { narChunks } from "../format/nar.ts";
import { outputPathName, storePathName } from "../format/storePath.ts";
import { isSuccess, type BuildResult } from "../protocol/buildResult.ts";
import { plain } from "../protocol/messages.ts";
import { BuildLog } from "../realise/buildLog.ts";
import { knownOutputsText, quotedLog, type BuildRequest } from "../realise/buildRequest.ts";
import { outputPathsOf, type OutputPaths } from "../realise/outputs/outputPaths.ts";
import { runPostBuildHook } from "../realise/postBuildHook.ts";
import type { RealiseStore } from "../realise/storePort.ts";
import { referencesFirst } from "../remote/copyPaths.ts";
import type { RemotePathInfo } from "../remote/types.ts";
import { copies } from "../ssh/messageSink.ts";
import type { Derivation, StorePath, ValidPathInfo } from "../types.ts";
import type { ClaimedMachine } from "./remoteBuilders.ts";

/** A build whose inputs are valid here, and whose outputs' locks are held. */
export interface RemoteBuild extends Pick<
  BuildRequest,
  "drvPath" | "derivation" | "inputPaths" | "pathInfo" | "signal"
> {
  readonly store: Pick<
    RealiseStore,
    "settings" | "isValidPath" | "addTempRoots" | "realPath" | "addToStoreFromStream" | "registerRealisation"
  >;
}

/**
 * Builds a derivation elsewhere, keeping its log here.
 * @throws {DevshellError} `BUILD_FAILED`, …; the signal's reason when aborted
 */
export async function buildOnMachine(request: BuildRequest, machine: ClaimedMachine): Promise<OutputPaths> {
  const { store, drvPath } = request;
  await using log = BuildLog.open(store.settings, drvPath, {
    line: request.onLine,
    phase: request.onPhase,
    warn: request.onWarn,
  });
  machine.onLine = (line) => {
    // The other side's own word, not the builder's.
    if (line.startsWith("note: keeping build directory ")) request.onLine(line);
    else log.write(Buffer.from(`${line}\n`, "latin1"));
  };
  const { result, outputs } = await runOnMachine(request, machine);
  if (outputs === undefined) {
    if (store.settings.config.keepFailed) request.onLine(keptElsewhere(request));
    throw buildFailure(request, machine, result, log.tail);
  }
  await runPostBuildHook(request, outputs);
  return outputs;
}

/**
 * Sends what a build needs and the machine lacks, has it build, and fetches the outputs.
 * @returns where they are; `undefined` where the build failed
 */
export async function runOnMachine(
  request: RemoteBuild,
  machine: ClaimedMachine,
): Promise<{ readonly result: BuildResult; readonly outputs: OutputPaths | undefined }> {
  const { store, drvPath, signal } = request;
  const { config } = store.settings;
  await sendInputs(request, machine);
  const limits = {
    maxSilentSeconds: config.maxSilentSeconds,
    timeoutSeconds: config.buildTimeoutSeconds,
    maxLogBytes: Number(config.raw.get("max-build-log-size") ?? "0"),
    keepFailed: config.keepFailed,
  };
  let result: BuildResult | undefined;
  if (isDoubted(request, machine)) {
    // Its own look at the derivation tells it what the outputs are called.
    await sendPaths(request, machine, closureOf(request, drvPath));
    result = await machine.store.buildInStore?.(drvPath, limits, signal);
  }
  result ??= await machine.store.buildDerivation(drvPath, withoutDerivations(request), limits, signal);
  if (!isSuccess(result.status)) return { result, outputs: undefined };
  return { result, outputs: await fetchOutputs(request, machine, result) };
}

/** As the protocol has it: every path that the build may see instead of the derivations that made them. */
function withoutDerivations({ derivation, inputPaths }: RemoteBuild): Derivation {
  if (derivation.inputDrvs.size === 0) return derivation;
  return { ...derivation, inputDrvs: new Map(), dynamicInputs: undefined, inputSrcs: [...inputPaths].sort() };
}

async function sendInputs(request: RemoteBuild, machine: ClaimedMachine): Promise<void> {
  using _uploads = await machine.lockUploads(request.signal);
  await sendPaths(request, machine, [...request.inputPaths].sort());
}

/** What the machine lacks of these; what they refer to is there, or among them. */
async function sendPaths(
  { store, pathInfo, signal }: RemoteBuild,
  machine: ClaimedMachine,
  wanted: readonly StorePath[],
): Promise<void> {
  const isSubstituted = /^(true|yes|1)$/.test(
    store.settings.config.raw.get("builders-use-substitutes") ?? "",
  );
  const there = await machine.store.queryValidPaths(wanted, { isSubstituted, signal });
  const infos = new Map(wanted.flatMap((path) => (there.has(path) ? [] : [[path, pathInfo(path)] as const])));
  for (const path of referencesFirst([...infos.keys()], infos)) {
    const info = infos.get(path)!;
    const nar = asyncOf(copies(narChunks(store.realPath(path), { signal })));
    await machine.store.addPath({ ...info, isUltimate: false }, nar, { signal, checksSignatures: false });
  }
}

/** Whether the machine would not believe us what the outputs are called: those of fixed content say it themselves. */
function isDoubted({ derivation }: RemoteBuild, { store }: ClaimedMachine): boolean {
  const kinds = [...derivation.outputs.values()].map(({ kind }) => kind);
  return store.trustsUs === false && !kinds.every((kind) => kind === "fixed" || kind === "contentAddressed");
}

function closureOf({ pathInfo }: RemoteBuild, root: StorePath): readonly StorePath[] {
  const closure = new Set([root]);
  for (const path of closure) for (const reference of pathInfo(path).references) closure.add(reference);
  return [...closure].sort();
}

/** What was built there is checked here against what was announced, and what is fixed against its hash. */
async function fetchOutputs(
  { store, derivation, drvPath, pathInfo, signal }: RemoteBuild,
  machine: ClaimedMachine,
  result: BuildResult,
): Promise<OutputPaths> {
  const outputs = outputPathsOf(derivation, "*") ?? builtPaths(derivation, drvPath, machine, result);
  store.addTempRoots(outputs.values());
  const missing = [...outputs.values()].filter((path) => !store.isValidPath(path));
  const infos = new Map<StorePath, RemotePathInfo>();
  for (const path of missing) {
    const info = await machine.store.query(path, signal);
    if (info === undefined) throw notThere(drvPath, machine, `it does not have '${path}'`);
    infos.set(path, info);
  }
  for (const [output, { kind }] of derivation.outputs) {
    const path = outputs.get(output);
    if (path === undefined || (kind !== "contentAddressed" && kind !== "impure")) continue;
    // What it is called was the machine's own word: it could put anything anywhere.
    const info = infos.get(path) ?? pathInfo(path);
    const isRightlyNamed = storePathName(path) === outputPathName(derivation.name, output);
    if (!isRightlyNamed || !isContentAddressed(store.settings.storeDir, info))
      throw notThere(drvPath, machine, `'${path}' is not addressed by what '${output}' holds`);
  }
  for (const path of referencesFirst(missing, infos)) {
    const info = infos.get(path)!;
    const download = await machine.store.openNar(info, { signal });
    const contentAddress = fixedAddress(derivation, path) ?? info.contentAddress;
    await store.addToStoreFromStream({ ...incoming(info), contentAddress, deriver: drvPath }, download.nar, {
      signal,
      isLocked: true,
    });
    await download.discard();
  }
  for (const [output, { kind }] of derivation.outputs) {
    const outputPath = outputs.get(output);
    if (kind !== "contentAddressed" || outputPath === undefined) continue;
    const signatures = result.outputs.get(output)?.signatures ?? [];
    store.registerRealisation({ drvPath, output, outputPath, signatures });
  }
  return outputs;
}

/** Where outputs are whose places follow from what they turned out to be. */
function builtPaths(
  derivation: Derivation,
  drvPath: StorePath,
  machine: ClaimedMachine,
  { outputs }: BuildResult,
): OutputPaths {
  return new Map(
    [...derivation.outputs.keys()].map((name) => {
      const built = outputs.get(name);
      if (built === undefined) throw notThere(drvPath, machine, `it does not say where '${name}' is`);
      return [name, built.path];
    }),
  );
}

function notThere(drvPath: StorePath, { url }: ClaimedMachine, why: string): DevshellError {
  return new DevshellError(
    "BUILD_FAILED",
    `Cannot build '${drvPath}'.\nReason: '${url}' built it, but ${why}.`,
    {
      exitStatus: 100,
    },
  );
}

function incoming(info: RemotePathInfo): ValidPathInfo {
  const { narFile: _, ...known } = info;
  return { ...known, isUltimate: false };
}

function fixedAddress(derivation: Derivation, path: StorePath): string | undefined {
  for (const output of derivation.outputs.values())
    if (output.kind === "fixed" && output.path === path)
      return formatContentAddress({ method: output.method, hash: output.hash });
  return undefined;
}

export function keptElsewhere({ store, derivation }: RemoteBuild): string {
  const { system, extraPlatforms } = store.settings.config;
  const isOurs = derivation.system === system || extraPlatforms.includes(derivation.system);
  const hint =
    " You can re-run the command with `--builders ''` to disable remote building for this invocation.";
  return `warning: The failed build directory was kept on the remote builder due to \`--keep-failed\`.${isOurs ? hint : ""}`;
}

const CODES: Readonly<Partial<Record<BuildResult["status"], readonly [code: string, exitStatus: number]>>> = {
  timedOut: ["BUILD_TIMED_OUT", 101],
  logLimitExceeded: ["BUILD_LOG_TOO_LONG", 100],
  outputRejected: ["OUTPUT_REJECTED", 100],
  notDeterministic: ["BUILD_NOT_DETERMINISTIC", 104],
};

function buildFailure(
  request: BuildRequest,
  { url }: ClaimedMachine,
  { status, message }: BuildResult,
  tail: readonly string[],
): DevshellError {
  const { drvPath, derivation } = request;
  const [code, exitStatus] = CODES[status] ?? ["BUILD_FAILED", 100];
  const head = `Cannot build '${drvPath}'.\nReason: build of '${drvPath}' on '${bytesOfText(url)}' failed: ${plain(message)}${knownOutputsText(derivation)}`;
  return new DevshellError(code, head + quotedLog(request, tail), { exitStatus });
}

async function* asyncOf<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items;
}
