import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
} from "node:fs";
import { chmod, chown, lstat, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import {
  DevshellError,
  bytesOfText,
  fsPath,
  hashBytes,
  textOfBytes,
  type ByteString,
} from "../../../core/index.ts";
import { makeStorePath, outputPathName, storePathHashPart } from "../../format/storePath.ts";
import { tryLock } from "../../local/fileLock.ts";
import { deleteLargeTree } from "../../local/files.ts";
import { openIfThere } from "../../local/layout.ts";
import type { OutputName, StorePath } from "../../types.ts";
import { BuildUser, hasBuildUsers, shareStoreDir } from "./buildUsers.ts";
import { derivationLabel, hasNetwork, type BuildRequest } from "../buildRequest.ts";
import { externalBuilderFor } from "./externalBuilders.ts";
import { sandboxedPath } from "./sandbox.ts";
import { canBeOthers, inventUser, sandboxObstacle, type BuilderUser } from "./sandboxMethod.ts";

const BUILD_PREFIX = "nix-build-";
/** A running build's directory is its user's alone; one that is kept can be read by all: so they are told apart. */
const RUNNING_MODE = 0o700;
const KEPT_MODE = 0o755;

/** The places a build works in: its directory, its sandbox's root, where its outputs appear. */
export class Scratch implements AsyncDisposable {
  readonly buildDir: string;
  /** Set where the builder is to run in a sandbox. */
  readonly chrootDir: string | undefined;
  /** Who the builder is, where that is not us. */
  readonly builderUser: BuilderUser | undefined;
  /** As the builder is told. */
  readonly outputs: ReadonlyMap<OutputName, StorePath>;
  /** Final → scratch digests, where an output's final place is known but taken. */
  readonly rewrites: ReadonlyMap<ByteString, ByteString>;
  /** Files of the builder's that became ours, by device and inode. */
  readonly takenOver = new Set<string>();
  readonly #request: BuildRequest;
  /** What is deleted in the end: the build directory, or the closed one that it lies in. */
  readonly #topDir: string;
  /** Locked for as long as we live, so that other processes know a dead one's directory. */
  readonly #lockFd: number;
  #isKept = false;

  private constructor(
    request: BuildRequest,
    place: Pick<Scratch, "buildDir" | "chrootDir" | "builderUser" | "outputs" | "rewrites"> & {
      readonly topDir: string;
      readonly lockFd: number;
    },
  ) {
    this.#request = request;
    this.buildDir = place.buildDir;
    this.chrootDir = place.chrootDir;
    this.builderUser = place.builderUser;
    this.outputs = place.outputs;
    this.rewrites = place.rewrites;
    this.#topDir = place.topDir;
    this.#lockFd = place.lockFd;
  }

  static async create(request: BuildRequest): Promise<Scratch> {
    const { store, drvPath, derivation, mode } = request;
    const { settings } = store;
    const isSandboxed = await wantsSandbox(request);
    const isExternal = externalBuilderFor(settings, derivation.system) !== undefined;
    const isOwnUsers = !isSandboxed && (isExternal || !hasBuildUsers(settings));
    if (isOwnUsers && request.isForStranger && request.builtin === undefined)
      throw new DevshellError(
        "BUILD_REJECTED",
        `Cannot build '${drvPath}' for an untrusted user without a sandbox: its builder would run as the daemon's own user`,
        {
          hint: "set sandbox = true or build-users-group in the daemon's settings, or add the user to `trusted-users`",
        },
      );
    const chrootDir = isSandboxed ? `${store.realPath(drvPath)}.chroot` : undefined;
    const outputs = new Map<OutputName, StorePath>();
    const rewrites = new Map<ByteString, ByteString>();
    // Whatever a builder is told to write, wanted or not, known or not: to a collector it is what nobody knows.
    store.addTempRoots(toldPaths(request));
    for (const [name, output] of derivation.outputs) {
      const final = "path" in output ? output.path : undefined;
      const isTaken = !isSandboxed && final !== undefined && (mode !== "normal" || store.isValidPath(final));
      const path = final === undefined || isTaken ? scratchPath(request, name) : final;
      outputs.set(name, path);
      if (isTaken) rewrites.set(storePathHashPart(final), storePathHashPart(path));
      // What a killed build left.
      if (!isSandboxed) await removeTree(store.realPath(path));
    }
    if (chrootDir !== undefined) {
      await removeTree(chrootDir);
      await mkdir(fsPath(chrootDir), { mode: 0o700 });
    }
    const parent = settings.config.raw.get("build-dir") ?? buildsDir(settings.stateDir);
    const { path: topDir, lockFd } = createLockedDirectory(parent, derivationLabel(drvPath));
    // Whatever a builder lets others do in its directory, they do not get there: what it leaves is deleted as us.
    const buildDir = isSandboxed ? join(topDir, "build") : topDir;
    if (isSandboxed) await mkdir(fsPath(buildDir), { mode: RUNNING_MODE });
    const builderUser = await userFor(request, isSandboxed);
    if (builderUser !== undefined) {
      await chown(fsPath(buildDir), builderUser.uid, builderUser.gid);
      if (!isSandboxed) shareStoreDir(store.realPath(settings.storeDir), builderUser.gid);
    }
    return new Scratch(request, { buildDir, topDir, lockFd, chrootDir, builderUser, outputs, rewrites });
  }

  /** Where an output appears on the host. */
  hostPath(name: OutputName): string {
    const path = this.outputs.get(name) ?? "";
    return this.chrootDir === undefined
      ? this.#request.store.realPath(path)
      : sandboxedPath(this.chrootDir, path);
  }

  /** What the builder left running could write to its outputs while they are read. */
  async endBuilder(): Promise<void> {
    if (this.chrootDir === undefined && this.builderUser instanceof BuildUser)
      await this.builderUser.endProcesses();
  }

  /** Others than the builder could reach its outputs while it ran, and hold their files open. */
  get isReachable(): boolean {
    return this.chrootDir === undefined && this.builderUser !== undefined;
  }

  async keepIfWanted(tell: (line: string) => void): Promise<void> {
    if (!this.#request.store.settings.config.keepFailed) return;
    this.#isKept = true;
    // Others may read it from now on; nothing in it shall run as us.
    await dropSetuid(this.buildDir);
    // It stays where it is: what the builder wrote may name it.
    for (const directory of new Set([this.buildDir, this.#topDir])) await chmod(fsPath(directory), KEPT_MODE);
    tell(`note: keeping build directory "${this.buildDir}"`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.builderUser instanceof BuildUser) await this.builderUser.release();
    if (!this.#isKept) await removeTree(this.#topDir);
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
export function removeTree(path: ByteString): Promise<void> {
  return deleteLargeTree(path);
}

export function existsAt(path: string): boolean {
  return lstatSync(fsPath(path), { throwIfNoEntry: false }) !== undefined;
}

function createLockedDirectory(
  parent: string,
  label: string,
): { readonly path: string; readonly lockFd: number } {
  mkdirSync(fsPath(parent), { recursive: true, mode: 0o755 });
  for (;;) {
    const path = bytesOfText(mkdtempSync(textOfBytes(join(parent, `${BUILD_PREFIX}${label}-`))));
    // Whoever cleans up may take it before it is locked.
    const lockFd = openIfThere(path);
    if (lockFd === undefined) continue;
    if (tryLock(lockFd, "exclusive") && existsSync(fsPath(path))) return { path, lockFd };
    closeSync(lockFd);
  }
}

/** Who the builder is to be: a build user, somebody whom nobody knows, or (`undefined`) we ourselves. */
async function userFor(request: BuildRequest, isSandboxed: boolean): Promise<BuilderUser | undefined> {
  const { store, derivation, drvPath, builtin, signal, onLine } = request;
  const isForeign =
    builtin === undefined && externalBuilderFor(store.settings, derivation.system) === undefined;
  const canBeOther = isSandboxed ? await canBeOthers() : isForeign;
  if (!canBeOther) return undefined;
  const onWait = (): void => onLine(`waiting for a free build user ID for '${drvPath}'`);
  return (
    (await BuildUser.acquire(store.settings, { signal, onWait })) ?? (isSandboxed ? inventUser() : undefined)
  );
}

async function wantsSandbox({
  store,
  drvPath,
  derivation,
  options,
  builtin,
  onLine,
}: BuildRequest): Promise<boolean> {
  const { config, storeDir, realStoreDir = storeDir } = store.settings;
  if (builtin !== undefined || externalBuilderFor(store.settings, derivation.system) !== undefined)
    return false;
  // A builder sees the store at its name only from within one.
  const isNeeded = realStoreDir !== storeDir;
  if (config.sandbox === "off" && !isNeeded) return false;
  if (config.sandbox === "on" && options.isOutsideSandbox)
    throw new DevshellError(
      "BUILD_REJECTED",
      `derivation '${drvPath}' has '__noChroot' set, but that's not allowed when 'sandbox' is 'true'`,
    );
  if (config.sandbox === "relaxed" && !isNeeded && (options.isOutsideSandbox || hasNetwork(derivation)))
    return false;
  const obstacle = await sandboxObstacle();
  if (obstacle === undefined) return true;
  if (isNeeded || config.raw.get("sandbox-fallback") === "false")
    throw new DevshellError("SANDBOX_UNAVAILABLE", `Cannot sandbox the build of '${drvPath}': ${obstacle}`, {
      hint: "allow user namespaces (sysctl kernel.unprivileged_userns_clone=1), or set sandbox = false",
    });
  onLine(`warning: building without a sandbox: ${obstacle}`);
  return false;
}

/** Where outputs may appear while they are built. */
function toldPaths(request: BuildRequest): StorePath[] {
  return [...request.derivation.outputs].flatMap(([name, output]) => [
    scratchPath(request, name),
    ...("path" in output ? [output.path] : []),
  ]);
}

/**
 * A store path that nothing else has, as long as the final one, so that its digest can be replaced afterwards: where
 * the final one is taken, or not known.
 */
function scratchPath({ store, drvPath, derivation }: BuildRequest, output: OutputName): StorePath {
  const inner = hashBytes("sha256", `${output}\0${drvPath}`);
  const name = outputPathName(derivation.name, output);
  return makeStorePath(store.settings.storeDir, `rewrite:${drvPath}:name:${output}`, inner, name);
}

async function dropSetuid(path: ByteString): Promise<void> {
  const { mode } = await lstat(fsPath(path));
  const isDirectory = (mode & constants.S_IFMT) === constants.S_IFDIR;
  const isLink = (mode & constants.S_IFMT) === constants.S_IFLNK;
  // A directory that its owner may not enter may still be open to others, who could put links into it meanwhile.
  const wanted = isDirectory ? (mode & 0o755) | 0o700 : mode & 0o1777;
  if (!isLink && wanted !== (mode & 0o7777)) await chmod(fsPath(path), wanted);
  if (!isDirectory) return;
  for (const name of await readdir(fsPath(path), "latin1")) await dropSetuid(join(path, name));
}
