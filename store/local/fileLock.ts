import { spawnSync } from "node:child_process";
import { closeSync, fstatSync, ftruncateSync, lstatSync, openSync, unlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { DevshellError, fsPath, type ByteString } from "../../core/index.ts";
import { makeDirectories } from "./files.ts";
import { writeError } from "../format/narRestore.ts";

/*
 * Nix locks with flock(2), which belongs to the open file, so that a lock ends when its descriptor is closed, however
 * the process ends. Node has no flock. koffi calls libc's (0.5 µs a call, measured); without koffi, util-linux's
 * `flock` is run on an inherited descriptor, which locks the same open file (3–30 ms a call). fcntl locks would not
 * exclude Nix's.
 */

export type LockMode = "shared" | "exclusive";

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_UN = 8;
const EWOULDBLOCK = 11;
const EINTR = 4;

/** Polling starts here and doubles up to a quarter second: a blocking flock would stop the event loop. */
const FIRST_POLL_MS = 2;
const LAST_POLL_MS = 250;

export interface LockWait {
  readonly signal?: AbortSignal | undefined;
  /** Called once when the lock is held by another process. */
  readonly onWait?: (() => void) | undefined;
  /** Called when the lock is ours, before anything else of this thread runs. */
  readonly onHeld?: (() => void) | undefined;
}

/** A lock on one file for as long as it is open. */
export class FileLock implements Disposable {
  readonly path: ByteString;
  #fd: number;

  private constructor(path: ByteString, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  /** @returns `undefined` when another process holds it */
  static tryAcquire(path: ByteString, mode: LockMode): FileLock | undefined {
    const fd = openLockFile(path);
    try {
      if (tryLock(fd, mode)) return new FileLock(path, fd);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    closeSync(fd);
    return undefined;
  }

  /** Waits without stopping the event loop. */
  static async acquire(
    path: ByteString,
    mode: LockMode,
    { signal, onWait, onHeld }: LockWait = {},
  ): Promise<FileLock> {
    const fd = openLockFile(path);
    try {
      for (let pause = 0; !tryLock(fd, mode); pause = Math.min(pause * 2 || FIRST_POLL_MS, LAST_POLL_MS)) {
        if (pause === 0) onWait?.();
        await sleep(pause, undefined, { signal });
      }
      onHeld?.();
      return new FileLock(path, fd);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** Waits in the kernel: for the short locks of synchronous work. */
  static acquireSync(path: ByteString, mode: LockMode, onWait?: () => void): FileLock {
    const fd = openLockFile(path);
    try {
      if (!tryLock(fd, mode)) {
        onWait?.();
        lockBlocking(fd, mode);
      }
      return new FileLock(path, fd);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  get fd(): number {
    return this.#fd;
  }

  /**
   * Whether the file was deleted by its owner before we had the lock; another of its name may be there now. It is
   * marked by not being empty, unless its owner was killed before that, or the disk was full.
   */
  isDiscarded(): boolean {
    const { size, nlink, dev, ino } = fstatSync(this.#fd);
    if (nlink === 0) return true;
    if (size === 0) return false;
    const there = lstatSync(fsPath(this.path), { throwIfNoEntry: false });
    if (there === undefined || there.dev !== dev || there.ino !== ino) return true;
    // A power cut brought it back.
    truncate(this.#fd, 0, this.path);
    return false;
  }

  /** Deletes the file before the lock ends, marking it so for those who wait on it. */
  discard(): void {
    if (this.#fd < 0) return;
    try {
      tryUnlink(this.path);
      markDiscarded(this.#fd, this.path);
    } finally {
      this[Symbol.dispose]();
    }
  }

  [Symbol.dispose](): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }
}

/** Lock files this process holds: waiting for them in the kernel would be for ever. */
const heldHere = new Set<ByteString>();

/** Locks on store paths: `<path>.lock` files, as Nix's. Sorted, so that two processes never wait for each other. */
export class PathLocks implements Disposable {
  readonly #locks: FileLock[] = [];

  private constructor() {}

  static async acquire(paths: Iterable<ByteString>, wait: LockWait = {}): Promise<PathLocks> {
    const held = new PathLocks();
    try {
      for (const file of lockFilesOf(paths)) {
        let lock = await FileLock.acquire(file, "exclusive", wait);
        while (lock.isDiscarded()) {
          lock[Symbol.dispose]();
          lock = await FileLock.acquire(file, "exclusive", wait);
        }
        held.#hold(lock);
      }
      return held;
    } catch (error) {
      held[Symbol.dispose]();
      throw error;
    }
  }

  /** @returns `undefined` when one of them is locked by another process */
  static tryAcquire(paths: Iterable<ByteString>): PathLocks | undefined {
    const held = new PathLocks();
    try {
      for (const file of lockFilesOf(paths)) {
        let lock = FileLock.tryAcquire(file, "exclusive");
        while (lock?.isDiscarded() === true) {
          lock[Symbol.dispose]();
          lock = FileLock.tryAcquire(file, "exclusive");
        }
        if (lock === undefined) {
          held[Symbol.dispose]();
          return undefined;
        }
        held.#hold(lock);
      }
      return held;
    } catch (error) {
      held[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * For synchronous work. Paths that other work of this process has locked are left out: it waits for nobody, so this
   * must go on without; renames and registration are then what keeps the two apart.
   */
  static acquireSync(paths: Iterable<ByteString>, onWait?: () => void): PathLocks {
    const held = new PathLocks();
    try {
      for (const file of lockFilesOf(paths)) {
        if (heldHere.has(file)) continue;
        let lock = FileLock.acquireSync(file, "exclusive", onWait);
        while (lock.isDiscarded()) {
          lock[Symbol.dispose]();
          lock = FileLock.acquireSync(file, "exclusive", onWait);
        }
        held.#hold(lock);
      }
      return held;
    } catch (error) {
      held[Symbol.dispose]();
      throw error;
    }
  }

  /** Deletes the lock files: right once the paths are valid, since nobody needs to lock them again. */
  discard(): void {
    for (const lock of this.#locks.splice(0).reverse()) {
      heldHere.delete(lock.path);
      lock.discard();
    }
  }

  [Symbol.dispose](): void {
    for (const lock of this.#locks.splice(0).reverse()) {
      heldHere.delete(lock.path);
      lock[Symbol.dispose]();
    }
  }

  #hold(lock: FileLock): void {
    heldHere.add(lock.path);
    this.#locks.push(lock);
  }
}

/** Takes the lock if it is free. */
export function tryLock(fd: number, mode: LockMode): boolean {
  return flock(fd, (mode === "shared" ? LOCK_SH : LOCK_EX) | LOCK_NB);
}

export function unlock(fd: number): void {
  flock(fd, LOCK_UN);
}

/** Waits in the kernel. */
export function lockBlocking(fd: number, mode: LockMode): void {
  flock(fd, mode === "shared" ? LOCK_SH : LOCK_EX);
}

export function tryUnlink(path: ByteString): void {
  try {
    unlinkSync(fsPath(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw writeError(path, error);
  }
}

/** Tells who waits for the lock of a deleted file that it is worth nothing; Nix looks at nothing else. */
export function markDiscarded(fd: number, path: ByteString): void {
  // A size, not a byte: it takes no room on a full disk.
  truncate(fd, 1, path);
}

function truncate(fd: number, size: number, path: ByteString): void {
  try {
    ftruncateSync(fd, size);
  } catch (error) {
    throw writeError(path, error);
  }
}

function lockFilesOf(paths: Iterable<ByteString>): string[] {
  return [...new Set(paths)].sort().map((path) => `${path}.lock`);
}

function openLockFile(path: ByteString): number {
  // O_RDWR | O_CREAT without truncation: the size tells whether the file is stale.
  const flags = 0o2 | 0o100;
  try {
    return openSync(fsPath(path), flags, 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw writeError(path, error);
    try {
      makeDirectories(dirname(path));
      return openSync(fsPath(path), flags, 0o600);
    } catch (second) {
      throw writeError(path, second);
    }
  }
}

type Flock = (fd: number, operation: number) => boolean;
let loadedFlock: Flock | undefined;

function flock(fd: number, operation: number): boolean {
  loadedFlock ??= loadFlock();
  return loadedFlock(fd, operation);
}

interface Koffi {
  load(file: string | null): { func(prototype: string): (fd: number, operation: number) => number };
  errno(): number;
}

function loadFlock(): Flock {
  let koffi: Koffi;
  try {
    koffi = createRequire(import.meta.url)("koffi") as Koffi;
  } catch {
    return flockBySpawning;
  }
  // The process's own symbols: whichever libc Node runs on.
  const call = koffi.load(null).func("int flock(int fd, int operation)");
  return (fd, operation) => {
    while (call(fd, operation) !== 0) {
      const errno = koffi.errno();
      if (errno === EWOULDBLOCK) return false;
      if (errno !== EINTR)
        throw new DevshellError("STORE_LOCK_FAILED", `Cannot lock a file: error ${errno}`, {
          hint: "does the store's file system know locks?",
        });
    }
    return true;
  };
}

function flockBySpawning(fd: number, operation: number): boolean {
  const mode = (operation & LOCK_UN) !== 0 ? "-u" : (operation & LOCK_EX) !== 0 ? "-x" : "-s";
  const args = (operation & LOCK_NB) !== 0 ? [mode, "-n", "3"] : [mode, "3"];
  const { status, error } = spawnSync("flock", args, { stdio: ["ignore", "ignore", "ignore", fd] });
  if (error !== undefined || status === null)
    throw new DevshellError(
      "STORE_LOCK_FAILED",
      'Cannot lock a file: neither koffi nor the program "flock" can be used',
      { cause: error, hint: "install util-linux, or run `npm install` again" },
    );
  return status === 0;
}
