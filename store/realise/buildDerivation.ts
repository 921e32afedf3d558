import { closeSync, existsSync, lstatSync, openSync } from "node:fs";
import { chmod, lstat, mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  DevshellError,
  bytesOfText,
  fsPath,
  hashBytes,
  textOfBytes,
  type ByteString,
} from "../../core/index.ts";
import { isFixedOutput } from "../format/derivation.ts";
import { hashNar } from "../format/nar.ts";
import { restoreNar } from "../format/narRestore.ts";
import { makeStorePath, storePathBaseName, storePathHashPart, storePathName } from "../format/storePath.ts";
import { tryLock } from "../local/fileLock.ts";
import { canonicalise } from "../local/files.ts";
import type { ScratchOutput } from "../local/types.ts";
import type { BuiltinBuilder, Derivation, OutputName, StorePath, ValidPathInfo } from "../types.ts";
import { builderInput } from "./buildEnvironment.ts";
import { BuildLog } from "./buildLog.ts";
import {
  describeExit,
  launchDirectly,
  runBuilder,
  type BuilderExit,
  type BuilderLaunch,
} from "./builderProcess.ts";
import type { DerivationOptions } from "./derivationOptions.ts";
import { checkOutputs } from "./outputChecks.ts";
import { hashRewrittenNar, rewrittenNar } from "./rewriteNar.ts";
import {
  SANDBOX_BUILD_DIR,
  checkSandboxStore,
  launchInSandbox,
  sandboxObstacle,
  sandboxedPath,
} from "./sandbox.ts";
import type { RealiseStore } from "./storePort.ts";

export interface BuildRequest {
  readonly store: RealiseStore;
  readonly drvPath: StorePath;
  readonly derivation: Derivation;
  readonly options: DerivationOptions;
  /** The closure of the inputs, all valid. */
  readonly inputPaths: ReadonlySet<StorePath>;
  readonly pathInfo: (path: StorePath) => ValidPathInfo;
  readonly builtin: BuiltinBuilder | undefined;
  readonly mode: "normal" | "check" | "repair";
  readonly signal: AbortSignal;
  readonly onLine: (line: string) => void;
  readonly onPhase: (phase: string) => void;
  readonly onProgress: (doneBytes: number, totalBytes?: number) => void;
}

/**
 * Builds a derivation whose inputs are valid and whose outputs' locks are held, and registers its outputs.
 * In `check` mode it compares with what is registered instead.
 * @throws {DevshellError} `BUILD_FAILED`, `BUILD_TIMED_OUT`, `BUILD_NOT_DETERMINISTIC`, `OUTPUT_REJECTED`, …;
 *   the signal's reason when aborted
 */
export async function buildDerivation(request: BuildRequest): Promise<void> {
  const { store, drvPath, derivation } = request;
  await using scratch = await Scratch.create(request);
  await using log = BuildLog.open(
    store.settings,
    drvPath,
    { line: request.onLine, phase: request.onPhase },
    request.builtin === undefined,
  );
  try {
    if (request.builtin === undefined) await runForeign(request, scratch, log);
    else await runBuiltin(request, request.builtin, scratch, log);
  } catch (error) {
    request.signal.throwIfAborted();
    await scratch.keepIfWanted(request.onLine);
    throw error;
  }
  for (const [name] of derivation.outputs)
    if (!existsAt(scratch.hostPath(name)))
      throw new DevshellError(
        "OUTPUT_REJECTED",
        `builder for '${drvPath}' failed to produce output path for output '${name}' at '${scratch.hostPath(name)}'`,
        { exitStatus: 100 },
      );
  if (request.mode === "check") await compareOutputs(request, scratch);
  else await registerOutputs(request, scratch);
}

/** Why this machine may not build it, in Nix's words; `undefined` where it may. */
export function buildObstacle(
  drvPath: StorePath,
  derivation: Derivation,
  options: DerivationOptions,
  { config }: RealiseStore["settings"],
): DevshellError | undefined {
  const reasons: string[] = [];
  const isBuiltin = derivation.builder.startsWith("builtin:");
  if (config.maxJobs === 0 && !isBuiltin)
    reasons.push(
      "local builds are disabled (max-jobs = 0)\nHint: set 'max-jobs' to a non-zero value to enable local builds, " +
        "or configure remote builders via 'builders'",
    );
  const isOurs = derivation.system === config.system || config.extraPlatforms.includes(derivation.system);
  if (!isOurs && !isBuiltin)
    reasons.push(
      `platform mismatch\nRequired system: '${derivation.system}'\nCurrent system: '${config.system}'`,
    );
  const available = systemFeatures(config.raw.get("system-features"));
  const missing = options.requiredSystemFeatures.filter((feature) => !available.includes(feature));
  if (missing.length > 0 && !isBuiltin)
    reasons.push(
      `missing system features\nRequired features: {${[...options.requiredSystemFeatures].sort().join(", ")}}\n` +
        `Available features: {${available.join(", ")}}`,
    );
  const [floating] = [...derivation.outputs].filter(
    ([, output]) => output.kind !== "inputAddressed" && output.kind !== "fixed",
  );
  if (reasons.length === 0 && floating !== undefined)
    return new DevshellError(
      "BUILD_UNSUPPORTED",
      `Cannot build '${drvPath}': output '${floating[0]}' is ${floating[1].kind}, which is not built yet`,
    );
  if (reasons.length === 0) return undefined;
  return new DevshellError(
    "BUILD_REJECTED",
    [`Cannot build '${drvPath}'.`, ...reasons.map((reason) => `Reason: ${reason}`)].join("\n"),
  );
}

function finalPaths(derivation: Derivation): readonly StorePath[] {
  return [...derivation.outputs.values()].flatMap((output) => ("path" in output ? [output.path] : []));
}

/** As Nix ends the message of a build that failed. */
export function knownOutputsText(derivation: Derivation): string {
  const paths = [...derivation.outputs.values()].flatMap((output) => ("path" in output ? [output.path] : []));
  return paths.length === 0
    ? ""
    : `\nOutput paths:${paths
        .sort()
        .map((path) => `\n  ${path}`)
        .join("")}`;
}

function systemFeatures(configured: string | undefined): readonly string[] {
  if (configured !== undefined)
    return configured
      .split(/\s+/)
      .filter((word) => word !== "")
      .sort();
  return ["benchmark", "big-parallel", ...(existsSync("/dev/kvm") ? ["kvm"] : []), "nixos-test"];
}

const RUNNING_PREFIX = "running-";

/** Where builders work, each in a directory of its own. */
export function buildsDir(stateDir: string): string {
  return join(stateDir, "builds");
}

async function makeDirectoryFor(prefix: ByteString): Promise<ByteString> {
  return bytesOfText(await mkdtemp(textOfBytes(prefix)));
}

async function createLockedDirectory(
  parent: string,
): Promise<{ readonly path: string; readonly lockFd: number }> {
  await mkdir(fsPath(parent), { recursive: true, mode: 0o755 });
  for (;;) {
    const path = await makeDirectoryFor(join(parent, RUNNING_PREFIX));
    const lockFd = openSync(fsPath(path), "r");
    // Whoever cleans up may have taken it before it was locked.
    if (tryLock(lockFd, "exclusive") && existsSync(fsPath(path))) return { path, lockFd };
    closeSync(lockFd);
  }
}

/** Deletes the build directories of processes that were killed. */
export async function removeOrphanedBuilds(stateDir: string): Promise<void> {
  const directory = buildsDir(stateDir);
  const names = await readdir(fsPath(directory), "latin1").catch(() => []);
  for (const name of names.filter((entry) => entry.startsWith(RUNNING_PREFIX))) {
    const path = join(directory, name);
    const fd = openSync(fsPath(path), "r");
    try {
      if (tryLock(fd, "exclusive")) await removeTree(path);
    } finally {
      closeSync(fd);
    }
  }
}

/** The places a build works in: its directory, its sandbox's root, where its outputs appear. */
class Scratch implements AsyncDisposable {
  readonly buildDir: string;
  /** Set where the builder is to run in a sandbox. */
  readonly chrootDir: string | undefined;
  /** As the builder is told. */
  readonly outputs: ReadonlyMap<OutputName, StorePath>;
  /** Final → scratch digests, where an output's final place is taken. */
  readonly rewrites: ReadonlyMap<ByteString, ByteString>;
  readonly #request: BuildRequest;
  /** Locked for as long as we live, so that other processes know a dead one's directory. */
  readonly #lockFd: number;
  #isKept = false;

  private constructor(
    request: BuildRequest,
    place: Pick<Scratch, "buildDir" | "chrootDir" | "outputs" | "rewrites"> & { readonly lockFd: number },
  ) {
    this.#request = request;
    this.buildDir = place.buildDir;
    this.chrootDir = place.chrootDir;
    this.outputs = place.outputs;
    this.rewrites = place.rewrites;
    this.#lockFd = place.lockFd;
  }

  static async create(request: BuildRequest): Promise<Scratch> {
    const { store, drvPath, derivation, mode } = request;
    const { settings } = store;
    const isSandboxed = await wantsSandbox(request);
    const chrootDir = isSandboxed ? `${store.realPath(drvPath)}.chroot` : undefined;
    const outputs = new Map<OutputName, StorePath>();
    const rewrites = new Map<ByteString, ByteString>();
    for (const [name, output] of derivation.outputs) {
      if (!("path" in output)) throw new Error(`Output ${name} of ${drvPath} has no path`);
      const isTaken = !isSandboxed && (mode !== "normal" || store.isValidPath(output.path));
      const path = isTaken ? fallbackPath(settings.storeDir, drvPath, name, output.path) : output.path;
      outputs.set(name, path);
      if (isTaken) rewrites.set(storePathHashPart(output.path), storePathHashPart(path));
      // What a killed build left.
      if (!isSandboxed) await removeTree(store.realPath(path));
    }
    if (chrootDir !== undefined) {
      await removeTree(chrootDir);
      await mkdir(fsPath(chrootDir), { mode: 0o700 });
    }
    const parent = settings.config.raw.get("build-dir") ?? buildsDir(settings.stateDir);
    const { path: buildDir, lockFd } = await createLockedDirectory(parent);
    return new Scratch(request, { buildDir, lockFd, chrootDir, outputs, rewrites });
  }

  /** Where an output appears on the host. */
  hostPath(name: OutputName): string {
    const path = this.outputs.get(name) ?? "";
    return this.chrootDir === undefined
      ? this.#request.store.realPath(path)
      : sandboxedPath(this.chrootDir, path);
  }

  async keepIfWanted(tell: (line: string) => void): Promise<void> {
    if (!this.#request.store.settings.config.keepFailed) return;
    this.#isKept = true;
    // Under another name: what is called as a running build's directory goes when its process does.
    const prefix = join(dirname(this.buildDir), `nix-build-${derivationLabel(this.#request.drvPath)}-`);
    const kept = await makeDirectoryFor(prefix);
    await rename(fsPath(this.buildDir), fsPath(kept));
    await chmod(fsPath(kept), 0o755);
    tell(`note: keeping build directory '${kept}'`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isKept) await removeTree(this.buildDir);
    closeSync(this.#lockFd);
    if (this.chrootDir !== undefined) {
      await removeTree(this.chrootDir);
      return;
    }
    const { store } = this.#request;
    for (const path of this.outputs.values())
      if (!store.isValidPath(path)) await removeTree(store.realPath(path));
  }
}

async function wantsSandbox({
  store,
  drvPath,
  derivation,
  options,
  builtin,
  onLine,
}: BuildRequest): Promise<boolean> {
  const { config } = store.settings;
  if (builtin !== undefined || config.sandbox === "off") return false;
  if (config.sandbox === "on" && options.isOutsideSandbox)
    throw new DevshellError(
      "BUILD_REJECTED",
      `derivation '${drvPath}' has '__noChroot' set, but that's not allowed when 'sandbox' is 'true'`,
    );
  if (config.sandbox === "relaxed" && (options.isOutsideSandbox || isFixedOutput(derivation))) return false;
  const obstacle = await sandboxObstacle();
  if (obstacle === undefined) return true;
  if (config.raw.get("sandbox-fallback") === "false")
    throw new DevshellError("SANDBOX_UNAVAILABLE", `Cannot sandbox the build of '${drvPath}': ${obstacle}`, {
      hint: "allow user namespaces (sysctl kernel.unprivileged_userns_clone=1), or set sandbox = false",
    });
  onLine(`warning: building without a sandbox: ${obstacle}`);
  return false;
}

/** A store path that nothing else has, as long as the final one, so that its digest can be replaced afterwards. */
function fallbackPath(storeDir: string, drvPath: StorePath, output: OutputName, path: StorePath): StorePath {
  const inner = hashBytes("sha256", `${output}\0${path}`);
  return makeStorePath(storeDir, `rewrite:${drvPath}:name:${output}`, inner, storePathName(path));
}

async function runForeign(request: BuildRequest, scratch: Scratch, log: BuildLog): Promise<void> {
  const { store, derivation, options, inputPaths, pathInfo } = request;
  const { settings } = store;
  const isSandboxed = scratch.chrootDir !== undefined;
  const buildDir = isSandboxed ? SANDBOX_BUILD_DIR : scratch.buildDir;
  const input = builderInput({
    derivation,
    options,
    settings,
    buildDir,
    outputs: scratch.outputs,
    inputPaths,
    pathInfo,
    rewrites: scratch.rewrites,
    hostEnv: process.env,
  });
  for (const [name, content] of input.files)
    await writeFile(fsPath(join(scratch.buildDir, name)), content, { encoding: "latin1", flag: "wx" });
  const command = {
    builder: derivation.builder,
    args: input.args,
    env: input.env,
    hostBuildDir: scratch.buildDir,
  };
  const launch: BuilderLaunch =
    scratch.chrootDir === undefined
      ? launchDirectly(command)
      : await launchInSandbox({
          settings,
          command,
          chrootDir: scratch.chrootDir,
          inputPaths,
          realPath: (path) => store.realPath(path),
          hasNetwork: isFixedOutput(derivation),
        });
  const maxLogBytes = Number(settings.config.raw.get("max-build-log-size") ?? "0");
  const tooLong = new AbortController();
  const exit = await runBuilder(launch, {
    signal: AbortSignal.any([request.signal, tooLong.signal]),
    timeoutMs: settings.config.buildTimeoutSeconds * 1000,
    maxSilentMs: settings.config.maxSilentSeconds * 1000,
    onOutput: (chunk) => {
      const slow = log.write(chunk);
      if (maxLogBytes > 0 && log.sizeBytes > maxLogBytes)
        tooLong.abort(
          new DevshellError(
            "BUILD_LOG_TOO_LONG",
            `building of '${request.drvPath}' killed after writing more than ${maxLogBytes} bytes of log output`,
          ),
        );
      return slow;
    },
  });
  if (exit.kind !== "exited" || exit.status !== 0) throw builderFailure(request, exit, log);
  if (scratch.chrootDir !== undefined) checkSandboxStore(scratch.chrootDir, settings.storeDir);
}

function builderFailure(
  { drvPath, derivation }: BuildRequest,
  exit: BuilderExit,
  log: BuildLog,
): DevshellError {
  if (exit.kind === "setupFailed")
    return new DevshellError("SANDBOX_FAILED", `Cannot build '${drvPath}'.\nReason: ${exit.message}`, {
      hint: "set sandbox = false to build without one",
    });
  if (exit.kind === "timedOut")
    return new DevshellError("BUILD_TIMED_OUT", `building of '${drvPath}' ${describeExit(exit)}`, {
      exitStatus: 101,
    });
  return buildFailure(drvPath, derivation, `builder ${describeExit(exit)}`, log.tail);
}

function buildFailure(
  drvPath: StorePath,
  derivation: Derivation,
  reason: string,
  tail: readonly string[],
): DevshellError {
  const head = `Cannot build '${drvPath}'.\nReason: ${reason}.${knownOutputsText(derivation)}`;
  const lines =
    tail.length === 0
      ? ""
      : `\nLast ${tail.length} log lines:\n${tail.map((line) => `> ${line}\n`).join("")}For full logs, run:\n  nix log ${drvPath}`;
  return new DevshellError("BUILD_FAILED", head + lines, { exitStatus: 100 });
}

async function runBuiltin(
  request: BuildRequest,
  builtin: BuiltinBuilder,
  scratch: Scratch,
  log: BuildLog,
): Promise<void> {
  const { drvPath, derivation, store, signal } = request;
  try {
    await builtin({
      drvPath,
      derivation,
      outputs: new Map([...scratch.outputs.keys()].map((name) => [name, scratch.hostPath(name)])),
      tmpDir: scratch.buildDir,
      settings: store.settings,
      log: (line) => void log.write(Buffer.from(`${line}\n`, "latin1")),
      progress: request.onProgress,
      signal,
    });
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof DevshellError)) throw error;
    await log.write(Buffer.from(`error: ${error.message}\n`, "latin1"));
    // A mismatch names the derivation itself; anything else is put in its place.
    if (error.code === "HASH_MISMATCH") throw error;
    throw new DevshellError(
      error.code,
      `Cannot build '${drvPath}'.\nReason: ${error.message}.${knownOutputsText(derivation)}`,
      { hint: error.hint, cause: error, exitStatus: 100 },
    );
  }
}

async function registerOutputs(request: BuildRequest, scratch: Scratch): Promise<void> {
  const { store, drvPath, derivation, options, inputPaths, pathInfo } = request;
  const outputs: ScratchOutput[] = [];
  for (const [name, output] of derivation.outputs) {
    if (!("path" in output)) continue;
    const known = store.queryPathInfo(output.path);
    if (known !== undefined && request.mode !== "repair") continue; // only its siblings were missing
    const hostPath = scratch.hostPath(name);
    refuseOthersWriting(hostPath, name);
    const scratchPath = scratch.rewrites.size > 0 ? await rewriteInPlace(hostPath, scratch) : hostPath;
    if (known !== undefined) {
      replaceOutput(request, known, scratchPath);
      continue;
    }
    outputs.push({
      name,
      scratchPath,
      target:
        output.kind === "fixed"
          ? { kind: "fixed", path: output.path, hash: output.hash, method: output.method }
          : { kind: "path", path: output.path },
    });
  }
  if (outputs.length === 0) return;
  try {
    await store.registerOutputs({
      outputs,
      // A sibling that is valid already may be referred to as well.
      candidates: [...inputPaths, ...finalPaths(derivation)],
      deriver: drvPath,
      discardReferences: options.unsafeDiscardReferences,
      check: (infos) =>
        checkOutputs({ storeDir: store.settings.storeDir, drvPath, options, infos, pathInfo }),
    });
  } catch (error) {
    throw error instanceof DevshellError ? rejection(drvPath, error) : error;
  }
}

/** Puts a rebuilt output in the place of a damaged one, if it is what was registered. */
function replaceOutput(
  { store, drvPath }: BuildRequest,
  known: ValidPathInfo,
  scratchPath: ByteString,
): void {
  canonicalise(scratchPath);
  if (!hashNar(scratchPath).hash.digest.equals(known.narHash.digest))
    throw new DevshellError(
      "REALISE_NOT_REPAIRED",
      `cannot repair path '${known.path}': derivation '${drvPath}' may not be deterministic`,
      { exitStatus: 104 },
    );
  store.moveIntoPlace(scratchPath, known.path, true);
}

/** Whether a path's files are what was registered. */
export function isIntact(store: RealiseStore, info: ValidPathInfo): boolean {
  const path = store.realPath(info.path);
  return existsAt(path) && hashNar(path).hash.digest.equals(info.narHash.digest);
}

/** What the store says of an output, said of the derivation as Nix does. */
function rejection(drvPath: StorePath, error: DevshellError): DevshellError {
  const options = { hint: error.hint, cause: error, exitStatus: 100 };
  switch (error.code) {
    case "STORE_HASH_MISMATCH": {
      const hashes = error.message
        .slice(error.message.indexOf("\n"))
        .replace("  got:       ", "     got:    ");
      const message = `hash mismatch in fixed-output derivation '${drvPath}':${hashes}`;
      return new DevshellError("HASH_MISMATCH", message, { ...options, exitStatus: 102 });
    }
    case "STORE_REFERENCES_FORBIDDEN": {
      const message = `fixed-output derivations must not reference store paths: '${drvPath}': ${error.message}`;
      return new DevshellError("OUTPUT_REJECTED", message, { ...options, exitStatus: 102 });
    }
    case "STORE_REFERENCE_CYCLE":
      return new DevshellError(
        "OUTPUT_REJECTED",
        `cycle detected in build of '${drvPath}': ${error.message}`,
        options,
      );
    default:
      return error;
  }
}

function refuseOthersWriting(path: string, output: OutputName): void {
  const entry = lstatSync(fsPath(path));
  if (!entry.isSymbolicLink() && (entry.mode & 0o022) !== 0)
    throw new DevshellError(
      "OUTPUT_REJECTED",
      `suspicious ownership or permission on '${path}' for output '${output}'; rejecting this build output`,
    );
}

function finalRewrites(scratch: Scratch): ReadonlyMap<ByteString, ByteString> {
  return new Map([...scratch.rewrites].map(([final, temporary]) => [temporary, final]));
}

/** Copies an output with scratch digests replaced by the final ones. */
async function rewriteInPlace(path: string, scratch: Scratch): Promise<string> {
  const copy = `${path}.rewritten`;
  await removeTree(copy);
  await restoreNar(copy, rewrittenNar(path, finalRewrites(scratch)));
  await removeTree(path);
  await rename(fsPath(copy), fsPath(path));
  return path;
}

async function compareOutputs(request: BuildRequest, scratch: Scratch): Promise<void> {
  const { store, drvPath, derivation } = request;
  for (const [name, output] of derivation.outputs) {
    if (!("path" in output)) continue;
    const known = store.queryPathInfo(output.path);
    if (known === undefined) continue;
    const hostPath = scratch.hostPath(name);
    const hash =
      scratch.rewrites.size > 0 ? hashRewrittenNar(hostPath, finalRewrites(scratch)) : hashNar(hostPath).hash;
    if (hash.digest.equals(known.narHash.digest)) continue;
    let differs = "differs";
    if (store.settings.config.keepFailed) {
      const kept = `${store.realPath(output.path)}.check`;
      await removeTree(kept);
      await restoreNar(kept, rewrittenNar(hostPath, finalRewrites(scratch)));
      differs = `differs from '${kept}'`;
    }
    throw new DevshellError(
      "BUILD_NOT_DETERMINISTIC",
      `derivation '${drvPath}' may not be deterministic: output '${output.path}' ${differs}`,
      { exitStatus: 104 },
    );
  }
}

function existsAt(path: string): boolean {
  return lstatSync(fsPath(path), { throwIfNoEntry: false }) !== undefined;
}

/** Deletes a tree even where its directories are read-only, as builders like to leave them. */
export async function removeTree(path: ByteString): Promise<void> {
  // Only root may delete from a directory that it may not write to.
  if (process.geteuid?.() !== 0) await makeWritable(path);
  await rm(fsPath(path), { recursive: true, force: true });
}

async function makeWritable(path: ByteString): Promise<void> {
  const entry = await lstat(fsPath(path)).catch(() => undefined);
  if (entry?.isDirectory() !== true) return;
  if ((entry.mode & 0o700) !== 0o700) await chmod(fsPath(path), 0o700);
  for (const child of await readdir(fsPath(path), { withFileTypes: true, encoding: "latin1" }))
    if (child.isDirectory()) await makeWritable(join(path, child.name));
}

/** For messages: what a derivation is called. */
export function derivationLabel(drvPath: StorePath): string {
  return storePathBaseName(drvPath)
    .slice(33)
    .replace(/\.drv$/, "");
}
