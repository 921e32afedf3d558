import { closeSync, existsSync, fstatSync, lstatSync, openSync } from "node:fs";
import { chmod, lstat, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import {
  DevshellError,
  bytesOfText,
  fsPath,
  hashBytes,
  textOfBytes,
  type ByteString,
} from "../../core/index.ts";
import { isFixedOutput } from "../format/derivation.ts";
import { makeStorePath, storePathHashPart, storePathName } from "../format/storePath.ts";
import { tryLock } from "../local/fileLock.ts";
import type { OutputName, StorePath } from "../types.ts";
import { derivationLabel, type BuildRequest } from "./buildRequest.ts";
import { sandboxObstacle, sandboxedPath } from "./sandbox.ts";

const BUILD_PREFIX = "nix-build-";
/** A running build's directory is its user's alone; one that is kept can be read by all: so they are told apart. */
const RUNNING_MODE = 0o700;
const KEPT_MODE = 0o755;

/** The places a build works in: its directory, its sandbox's root, where its outputs appear. */
export class Scratch implements AsyncDisposable {
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
    const { path: buildDir, lockFd } = await createLockedDirectory(parent, derivationLabel(drvPath));
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
    // It stays where it is: what the builder wrote may name it.
    await chmod(fsPath(this.buildDir), KEPT_MODE);
    tell(`note: keeping build directory '${this.buildDir}'`);
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

/** Where builders work, each in a directory of its own. */
function buildsDir(stateDir: string): string {
  return join(stateDir, "builds");
}

/** Deletes the build directories of processes that were killed. */
export async function removeOrphanedBuilds(stateDir: string): Promise<void> {
  const directory = buildsDir(stateDir);
  const names = await readdir(fsPath(directory), "latin1").catch(() => []);
  for (const name of names.filter((entry) => entry.startsWith(BUILD_PREFIX))) {
    const path = join(directory, name);
    const fd = openSync(fsPath(path), "r");
    try {
      const isRunningMode = (fstatSync(fd).mode & 0o777) === RUNNING_MODE;
      if (isRunningMode && tryLock(fd, "exclusive")) await removeTree(path);
    } finally {
      closeSync(fd);
    }
  }
}

/** Deletes a tree even where its directories are read-only, as builders like to leave them. */
export async function removeTree(path: ByteString): Promise<void> {
  // Only root may delete from a directory that it may not write to.
  if (process.geteuid?.() !== 0) await makeWritable(path);
  await rm(fsPath(path), { recursive: true, force: true });
}

export function existsAt(path: string): boolean {
  return lstatSync(fsPath(path), { throwIfNoEntry: false }) !== undefined;
}

async function createLockedDirectory(
  parent: string,
  label: string,
): Promise<{ readonly path: string; readonly lockFd: number }> {
  await mkdir(fsPath(parent), { recursive: true, mode: 0o755 });
  for (;;) {
    const path = await makeDirectoryFor(join(parent, `${BUILD_PREFIX}${label}-`));
    const lockFd = openSync(fsPath(path), "r");
    // Whoever cleans up may have taken it before it was locked.
    if (tryLock(lockFd, "exclusive") && existsSync(fsPath(path))) return { path, lockFd };
    closeSync(lockFd);
  }
}

async function makeDirectoryFor(prefix: ByteString): Promise<ByteString> {
  return bytesOfText(await mkdtemp(textOfBytes(prefix)));
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

async function makeWritable(path: ByteString): Promise<void> {
  const entry = await lstat(fsPath(path)).catch(() => undefined);
  if (entry?.isDirectory() !== true) return;
  if ((entry.mode & 0o700) !== 0o700) await chmod(fsPath(path), 0o700);
  for (const child of await readdir(fsPath(path), { withFileTypes: true, encoding: "latin1" }))
    if (child.isDirectory()) await makeWritable(join(path, child.name));
}
