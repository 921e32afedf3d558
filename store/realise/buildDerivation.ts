import { statfsSync } from "node:fs";
import { chown, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DevshellError, fsPath, type ByteString } from "../../core/index.ts";
import type { BuiltinBuilder, OutputName, StorePath } from "../types.ts";
import { builderInput } from "./builder/buildEnvironment.ts";
import { BuildLog } from "./buildLog.ts";
import { BuilderService } from "./builder/builderService.ts";
import { hasNetwork, knownOutputsText, knownPath, quotedLog, type BuildRequest } from "./buildRequest.ts";
import {
  launchDirectly,
  runBuilder,
  type BuilderExit,
  type BuilderLaunch,
} from "./builder/builderProcess.ts";
import { describeExit } from "./builder/describeExit.ts";
import { startChild } from "./builder/builderChild.ts";
import { confineBuilder } from "./builder/confineBuilder.ts";
import { externalBuilderFor } from "./builder/externalBuilders.ts";
import { EXTERNAL_BUILD_DIR, launchExternally, withoutMark } from "./builder/launchExternally.ts";
import type { OutputPaths } from "./outputs/outputPaths.ts";
import { runPostBuildHook } from "./postBuildHook.ts";
import { runPreBuildHook } from "./builder/preBuildHook.ts";
import { BUILDER_RPC, RECURSIVE_NIX } from "./builder/restriction.ts";
import { compareOutputs, registerOutputs } from "./outputs/registerBuild.ts";
import { refuseSubmission, registerSubmitted } from "./outputs/registerSubmitted.ts";
import { checkSandboxStore, launchInSandbox, sandboxBuildDir } from "./builder/sandbox.ts";
import { Scratch, existsAt } from "./builder/scratch.ts";

const NEARLY_FULL_BYTES = 8 << 20;
const NEARLY_FULL_FILES = 64;

/**
 * Builds a derivation whose inputs are valid and whose outputs' locks are held, and registers its outputs.
 * In `check` mode it compares with what is registered instead.
 * @returns where all outputs are
 * @throws {DevshellError} `BUILD_FAILED`, `BUILD_TIMED_OUT`, `BUILD_NOT_DETERMINISTIC`, `OUTPUT_REJECTED`, …;
 *   the signal's reason when aborted
 */
export async function buildDerivation(request: BuildRequest): Promise<OutputPaths> {
  const { store, drvPath, derivation } = request;
  await using scratch = await Scratch.create(request);
  await using log = BuildLog.open(
    store.settings,
    drvPath,
    { line: request.onLine, phase: request.onPhase, warn: request.onWarn },
    request.builtin === undefined,
  );
  try {
    const made =
      request.builtin === undefined
        ? await runForeign(request, scratch, log)
        : await runBuiltin(request, request.builtin, scratch, log);
    const inputPaths = new Set([...request.inputPaths, ...made.added]);
    if (made.submitted !== undefined) {
      const outputs = registerSubmitted(request, made.submitted);
      await runPostBuildHook(request, outputs);
      return outputs;
    }
    for (const [name] of derivation.outputs)
      if (!existsAt(scratch.hostPath(name)) && !isThere(request, name))
        throw new DevshellError(
          "OUTPUT_REJECTED",
          `builder for '${drvPath}' failed to produce output path for output '${name}' at '${scratch.hostPath(name)}'`,
          { exitStatus: 100 },
        );
    const finish = request.mode === "check" ? compareOutputs : registerOutputs;
    const outputs = await finish({ ...request, inputPaths }, scratch);
    if (request.builtin === undefined) await runPostBuildHook(request, outputs);
    return outputs;
  } catch (error) {
    request.signal.throwIfAborted();
    await scratch.keepIfWanted(request.onLine);
    throw error;
  }
}

/** Only its siblings were missing. */
function isThere(request: BuildRequest, name: OutputName): boolean {
  const path = request.mode === "normal" ? knownPath(request, name) : undefined;
  return path !== undefined && request.store.isValidPath(path);
}

/** What a builder did beside leaving outputs behind. */
interface Made {
  /** What its outputs may refer to beside its inputs. */
  readonly added: ReadonlySet<StorePath>;
  /** What it says its outputs are. */
  readonly submitted: ReadonlyMap<OutputName, StorePath> | undefined;
}

async function runForeign(request: BuildRequest, scratch: Scratch, log: BuildLog): Promise<Made> {
  const { store, derivation, options, inputPaths, pathInfo } = request;
  const { settings } = store;
  const external = externalBuilderFor(settings, derivation.system);
  // A thread takes a moment to start.
  const confined =
    external === undefined
      ? confineBuilder(settings, { hasNetwork: hasNetwork(derivation) })
      : Promise.resolve(startChild);
  confined.catch(() => undefined);
  const workDir = external === undefined ? scratch.buildDir : join(scratch.buildDir, "build");
  if (external !== undefined) await mkdir(fsPath(workDir), { mode: 0o700 });
  const buildDir =
    external !== undefined
      ? EXTERNAL_BUILD_DIR
      : scratch.chrootDir === undefined
        ? scratch.buildDir
        : sandboxBuildDir(settings);
  const usingStore = options.requiredSystemFeatures.find((name) => USES_STORE.has(name));
  // Where such a program runs the builder our socket need not be.
  if (usingStore !== undefined && external !== undefined)
    throw new DevshellError(
      "BUILD_REJECTED",
      `Cannot build '${request.drvPath}'.\nReason: '${usingStore}' is not supported yet by external derivation builders.`,
      { exitStatus: 100 },
    );
  const extraPaths = await runPreBuildHook(request, scratch.chrootDir);
  refuseSubmission(request);
  await using service =
    usingStore === undefined ? undefined : await BuilderService.start(request, scratch, buildDir);
  const input = builderInput({
    derivation,
    options,
    settings,
    buildDir,
    outputs: scratch.outputs,
    inputPaths,
    pathInfo,
    outputsOf: (path) => store.queryDerivationOutputs(path).values(),
    rewrites: scratch.rewrites,
    storeAddress: service?.address,
    hostEnv: process.env,
  });
  for (const [name, content] of input.files) await writeInput(scratch, join(workDir, name), content);
  const command = {
    builder: derivation.builder,
    args: input.args,
    env: input.env,
    hostBuildDir: scratch.buildDir,
  };
  const launch: BuilderLaunch =
    external !== undefined
      ? await launchExternally(external, {
          settings,
          derivation,
          input,
          inputPaths,
          outputs: scratch.outputs,
          topDir: scratch.buildDir,
          workDir,
        })
      : scratch.chrootDir === undefined
        ? launchDirectly(command, scratch.builderUser)
        : await launchInSandbox({
            settings,
            command,
            chrootDir: scratch.chrootDir,
            inputPaths,
            realPath: (path) => store.realPath(path),
            hasNetwork: hasNetwork(derivation),
            builderUser: scratch.builderUser,
            extraPaths,
          });
  const maxLogBytes = Number(settings.config.raw.get("max-build-log-size") ?? "0");
  const tooLong = new AbortController();
  const clean = external === undefined ? (chunk: Buffer): Buffer => chunk : withoutMark();
  const exit = await runBuilder(launch, {
    start: await confined,
    onBegun: request.onBegun,
    signal: AbortSignal.any([request.signal, tooLong.signal]),
    timeoutMs: settings.config.buildTimeoutSeconds * 1000,
    maxSilentMs: settings.config.maxSilentSeconds * 1000,
    onOutput: (chunk) => {
      log.write(clean(chunk));
      if (maxLogBytes > 0 && log.sizeBytes > maxLogBytes)
        tooLong.abort(
          new DevshellError(
            "BUILD_LOG_TOO_LONG",
            `building of '${request.drvPath}' killed after writing more than ${maxLogBytes} bytes of log output`,
          ),
        );
    },
  });
  await scratch.endBuilder();
  if (exit.kind !== "exited" || exit.status !== 0) throw builderFailure(request, exit, log, scratch);
  if (scratch.chrootDir !== undefined) checkSandboxStore(scratch.chrootDir, settings.storeDir);
  return { added: service?.added() ?? new Set(), submitted: service?.submitted() };
}

const USES_STORE: ReadonlySet<string> = new Set([RECURSIVE_NIX, BUILDER_RPC]);

async function writeInput(scratch: Scratch, path: ByteString, content: ByteString): Promise<void> {
  const file = fsPath(path);
  await writeFile(file, content, { encoding: "latin1", flag: "wx" });
  const { builderUser } = scratch;
  if (builderUser !== undefined) await chown(file, builderUser.uid, builderUser.gid);
}

function builderFailure(
  request: BuildRequest,
  exit: BuilderExit,
  log: BuildLog,
  { buildDir }: Scratch,
): DevshellError {
  const { drvPath, store } = request;
  if (exit.kind === "setupFailed")
    return new DevshellError("SANDBOX_FAILED", `Cannot build '${drvPath}'.\nReason: ${exit.message}`, {
      hint: "set sandbox = false to build without one",
    });
  if (exit.kind === "timedOut")
    return new DevshellError("BUILD_TIMED_OUT", `building of '${drvPath}' ${describeExit(exit)}`, {
      exitStatus: 101,
    });
  const failure = buildFailure(request, `builder ${describeExit(exit)}`, log.tail);
  if (![store.realPath(store.settings.storeDir), buildDir].some(isNearlyFull)) return failure;
  return new DevshellError(
    failure.code,
    `${failure.message}\nnote: build failure may have been caused by lack of free disk space`,
    { exitStatus: failure.exitStatus, hint: "free some with `devshell gc`" },
  );
}

/** Before the build directory is deleted: whether a builder may have had no room. */
function isNearlyFull(directory: ByteString): boolean {
  const { bavail, bsize, files, ffree } = statfsSync(fsPath(directory));
  return bavail * bsize < NEARLY_FULL_BYTES || (files > 0 && ffree < NEARLY_FULL_FILES);
}

function buildFailure(request: BuildRequest, reason: string, tail: readonly string[]): DevshellError {
  const { drvPath, derivation } = request;
  const head = `Cannot build '${drvPath}'.\nReason: ${reason}.${knownOutputsText(derivation)}`;
  return new DevshellError("BUILD_FAILED", head + quotedLog(request, tail), { exitStatus: 100 });
}

async function runBuiltin(
  request: BuildRequest,
  builtin: BuiltinBuilder,
  scratch: Scratch,
  log: BuildLog,
): Promise<Made> {
  const { drvPath, derivation, store, signal } = request;
  try {
    await builtin({
      drvPath,
      derivation,
      outputs: new Map([...scratch.outputs.keys()].map((name) => [name, scratch.hostPath(name)])),
      tmpDir: scratch.buildDir,
      settings: store.settings,
      isForStranger: request.isForStranger,
      log: (line) => log.write(Buffer.from(`${line}\n`, "latin1")),
      progress: request.onProgress,
      signal,
    });
    return { added: new Set(), submitted: undefined };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof DevshellError)) throw error;
    log.write(Buffer.from(`error: ${error.message}\n`, "latin1"));
    // A mismatch names the derivation itself; anything else is put in its place.
    if (error.code === "HASH_MISMATCH") throw error;
    throw new DevshellError(
      error.code,
      `Cannot build '${drvPath}'.\nReason: ${error.message}.${knownOutputsText(derivation)}`,
      { hint: error.hint, cause: error, exitStatus: 100 },
    );
  }
}
