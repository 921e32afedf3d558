import { closeSync, fstatSync, ftruncateSync, openSync, readSync, readFileSync, writeSync } from "node:fs";
import { isMainThread, threadId } from "node:worker_threads";
import { DevshellError, type ByteString, fsPath } from "../../core/index.ts";
import { writeError } from "../format/narRestore.ts";
import { storePathHashPart, isStorePath } from "../format/storePath.ts";
import type { StorePath } from "../types.ts";
import { FileLock, lockBlocking, markDiscarded, tryLock, tryUnlink, unlock } from "./fileLock.ts";
import { namesIn } from "./files.ts";
import { canConnect, connectSync } from "./socketCalls.ts";

export interface TempRootsPaths {
  readonly storeDir: string;
  readonly stateDir: ByteString;
}

/**
 * This process's temporary roots: paths that a garbage collector (ours or Nix's) must leave although nothing else
 * holds them yet. The file `temproots/<pid>` lists them, each ended by a NUL, and stays locked while we live.
 */
export class TempRoots implements Disposable {
  readonly #paths: TempRootsPaths;
  readonly #onWait: ((message: string) => void) | undefined;
  readonly #noted = new Set<StorePath>();
  #file: RootsFile | undefined;
  #gcLockFd = -1;
  #socketFd = -1;

  constructor(paths: TempRootsPaths, onWait?: (message: string) => void) {
    this.#paths = paths;
    this.#onWait = onWait;
  }

  /** Protects paths, valid or not yet, until this process ends. */
  add(paths: Iterable<StorePath>): void {
    const fresh = [...new Set(paths)].filter((path) => !this.#noted.has(path));
    if (fresh.length === 0) return;
    const file = (this.#file ??= openRootsFile(this.#paths.stateDir));
    if (this.#gcLockFd < 0) this.#gcLockFd = openSync(fsPath(gcLockPath(this.#paths.stateDir)), "a", 0o600);
    const isFree = tryLock(this.#gcLockFd, "shared");
    try {
      // A collector that runs has read the files already: it must be told in person, and answers when it has noted it.
      if (!isFree) this.#tell(fresh, this.#gcLockFd);
      writeRoots(file, fresh);
      for (const path of fresh) this.#noted.add(path);
    } finally {
      unlock(this.#gcLockFd);
    }
  }

  [Symbol.dispose](): void {
    if (this.#file !== undefined) closeRootsFile(this.#file);
    this.#file = undefined;
    this.#noted.clear();
    if (this.#gcLockFd >= 0) closeSync(this.#gcLockFd);
    if (this.#socketFd >= 0) closeSync(this.#socketFd);
    this.#gcLockFd = -1;
    this.#socketFd = -1;
  }

  /** Returns once a collector knows the paths, or none runs and we hold the lock. */
  #tell(paths: readonly StorePath[], lockFd: number): void {
    const own = collectors.get(this.#paths.stateDir);
    if (own !== undefined) {
      paths.forEach(own);
      return;
    }
    while (canConnect()) {
      if (this.#tellOverSocket(paths)) return;
      // It has ended meanwhile, or has not opened its socket yet.
      if (tryLock(lockFd, "shared")) return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
    }
    this.#onWait?.("waiting for the garbage collector");
    lockBlocking(lockFd, "shared");
  }

  #tellOverSocket(paths: readonly StorePath[]): boolean {
    try {
      if (this.#socketFd < 0) this.#socketFd = connectSync(`${this.#paths.stateDir}/gc-socket/socket`);
      if (this.#socketFd < 0) return false;
      const answer = Buffer.alloc(1);
      for (const path of paths) {
        writeSync(this.#socketFd, `${path}\n`);
        if (readSync(this.#socketFd, answer) !== 1) throw new Error("the collector hung up");
      }
      return true;
    } catch {
      if (this.#socketFd >= 0) closeSync(this.#socketFd);
      this.#socketFd = -1;
      return false;
    }
  }
}

const RETRY_MS = 100;

/** Collectors that run in this thread, by state directory: they could not answer a question that we wait for. */
const collectors = new Map<ByteString, (path: StorePath) => void>();

/** A collector of this thread, which is told of new temporary roots from {@link begin} on. */
export class AnnouncedCollector implements Disposable {
  readonly #stateDir: ByteString;
  readonly #addRoot: (path: StorePath) => void;

  constructor(stateDir: ByteString, addRoot: (path: StorePath) => void) {
    this.#stateDir = stateDir;
    this.#addRoot = addRoot;
  }

  /** To be called with the collector's lock, at the very moment that it is held. */
  begin(): void {
    collectors.set(this.#stateDir, this.#addRoot);
  }

  [Symbol.dispose](): void {
    if (collectors.get(this.#stateDir) === this.#addRoot) collectors.delete(this.#stateDir);
  }
}

/** One file a process (and thread), whatever number of stores it has open on the state directory. */
interface RootsFile {
  readonly path: ByteString;
  readonly lock: FileLock;
  users: number;
}

function writeRoots({ path, lock }: RootsFile, roots: readonly StorePath[]): void {
  const bytes = Buffer.from(`${roots.join("\0")}\0`, "latin1");
  const before = fstatSync(lock.fd).size;
  try {
    for (let at = 0; at < bytes.length;) at += writeSync(lock.fd, bytes, at, bytes.length - at, before + at);
  } catch (error) {
    // Half a path would spoil the next one.
    ftruncateSync(lock.fd, before);
    throw writeError(path, error);
  }
}

const rootsFiles = new Map<ByteString, RootsFile>();

function rootsFileName(): string {
  return isMainThread ? String(process.pid) : `${process.pid}-${threadId}`;
}

function openRootsFile(stateDir: ByteString): RootsFile {
  const path = `${tempRootsDir(stateDir)}/${rootsFileName()}`;
  const open = rootsFiles.get(path);
  if (open !== undefined) {
    open.users++;
    return open;
  }
  for (;;) {
    // A file of this name is stale: no other process has this number.
    tryUnlink(path);
    const lock = FileLock.acquireSync(path, "exclusive");
    if (!lock.isDiscarded()) {
      const file = { path, lock, users: 1 };
      rootsFiles.set(path, file);
      return file;
    }
    // A collector deleted it before we had the lock.
    lock[Symbol.dispose]();
  }
}

function closeRootsFile(file: RootsFile): void {
  file.users--;
  if (file.users > 0) return;
  rootsFiles.delete(file.path);
  tryUnlink(file.path);
  file.lock[Symbol.dispose]();
}

export function tempRootsDir(stateDir: ByteString): ByteString {
  return `${stateDir}/temproots`;
}

export function gcLockPath(stateDir: ByteString): ByteString {
  return `${stateDir}/gc.lock`;
}

/** The temporary roots of all living processes; files of dead ones are deleted. Path → pids. */
export function readTempRoots({ storeDir, stateDir }: TempRootsPaths): Map<StorePath, Set<string>> {
  const roots = new Map<StorePath, Set<string>>();
  for (const name of namesIn(tempRootsDir(stateDir))) {
    if (name.startsWith(".")) continue;
    const path = `${tempRootsDir(stateDir)}/${name}`;
    const isOwn = name === String(process.pid) || name.startsWith(`${process.pid}-`);
    let fd: number;
    try {
      fd = openSync(fsPath(path), "r+");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") continue;
      throw new DevshellError(
        "STORE_PERMISSION",
        `Cannot read temporary roots "${path}": ${(error as Error).message}`,
        { cause: error },
      );
    }
    try {
      if (!isOwn && tryLock(fd, "exclusive")) {
        tryUnlink(path);
        markDiscarded(fd, path);
        continue;
      }
      for (const root of readFileSync(fd, "latin1").split("\0"))
        if (isStorePath(storeDir, root)) {
          const pids = roots.get(root) ?? new Set();
          pids.add(`{temp:${name}}`);
          roots.set(root, pids);
        }
    } finally {
      closeSync(fd);
    }
  }
  return roots;
}

/** Digests of temporary roots: `….lock` and `….chroot` beside a path share its digest and its protection. */
export function hashPartsOf(paths: Iterable<StorePath>): Set<string> {
  return new Set([...paths].map(storePathHashPart));
}
