import {
  chmodSync,
  linkSync,
  lstatSync,
  readdirSync,
  renameSync,
  unlinkSync,
  utimesSync,
  type Stats,
} from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { encodeNix32, fsPath, type ByteString } from "../../core/index.ts";
import { hashNar, readEntries } from "../format/nar.ts";
import { STORE_MTIME, writeError } from "../format/narRestore.ts";
import type { StorePath } from "../types.ts";
import type { StoreAccess } from "./access.ts";
import { canonicaliseEntry, makeDirectories } from "./files.ts";
import type { OptimiseResult } from "./types.ts";

/** Paths that are protected from collection at once. */
const BATCH_SIZE = 256;
/** It is there already, or there is no room for links. */
const NO_LINK: ReadonlySet<string> = new Set(["EEXIST", "ENOSPC", "EDQUOT", "EMLINK", "EPERM"]);
const MAX_ATTEMPTS = 20;
/** How long it works between turns of the event loop. */
const SLICE_MS = 20;

/**
 * Replaces equal files by hard links to one of them, kept in `.links` under the hash of its NAR (which holds the
 * executable bit). The same file names as Nix's, so both can do it in turn.
 */
export async function optimiseStore(
  store: StoreAccess,
  options: {
    readonly signal?: AbortSignal | undefined;
    readonly paths?: Iterable<StorePath> | undefined;
  } = {},
): Promise<OptimiseResult> {
  store.prepareToWrite();
  const optimiser = new Optimiser(store);
  optimiser.learnLinks();
  const paths = options.paths === undefined ? store.db.allValidPaths() : [...options.paths];
  for (let at = 0; at < paths.length; at += BATCH_SIZE) {
    options.signal?.throwIfAborted();
    const batch = paths.slice(at, at + BATCH_SIZE);
    store.addTempRoots(batch);
    for (const path of batch) {
      // It may have been collected since the list was made.
      if (store.isValidPath(path)) optimiser.optimise(store.realPath(path));
      if (!optimiser.isBusy()) continue;
      await nextTurn();
      options.signal?.throwIfAborted();
    }
  }
  return { linkedFiles: optimiser.linkedFiles, savedBytes: optimiser.savedBytes };
}

/**
 * As {@link optimiseStore} for paths that have just been registered (`auto-optimise-store`).
 * @param isRepair looks at the content of what it links to: that may be what was damaged
 */
export function optimisePaths(store: StoreAccess, paths: Iterable<StorePath>, isRepair: boolean): void {
  const optimiser = new Optimiser(store, isRepair);
  for (const path of paths) optimiser.optimise(store.realPath(path));
}

class Optimiser {
  linkedFiles = 0;
  savedBytes = 0;
  readonly #store: StoreAccess;
  readonly #isRepair: boolean;
  readonly #linksDir: ByteString;
  /** Inodes that are in `.links` already. */
  readonly #linked = new Set<number>();
  #nextName = 0;
  #sliceEnd = Date.now() + SLICE_MS;

  constructor(store: StoreAccess, isRepair = false) {
    this.#store = store;
    this.#isRepair = isRepair;
    this.#linksDir = `${store.realStoreDir}/.links`;
    makeDirectories(this.#linksDir);
  }

  /** Finds out which files need not be looked at: worth it for many paths, since each link takes a system call. */
  learnLinks(): void {
    for (const name of readdirSync(fsPath(this.#linksDir))) {
      const stats = lstatSync(fsPath(`${this.#linksDir}/${name}`), { throwIfNoEntry: false });
      if (stats !== undefined) this.#linked.add(stats.ino);
    }
  }

  /** Whether it has worked long enough to let others in. */
  isBusy(): boolean {
    const now = Date.now();
    if (now < this.#sliceEnd) return false;
    this.#sliceEnd = now + SLICE_MS;
    return true;
  }

  optimise(path: ByteString): void {
    try {
      this.#optimiseEntry(path);
    } catch (error) {
      throw writeError(path, error);
    }
  }

  #optimiseEntry(path: ByteString): void {
    const stats = lstatSync(fsPath(path));
    if (stats.isDirectory()) {
      for (const { name } of readEntries(path)) this.#optimiseEntry(`${path}/${name}`);
      // A run was killed while it had made it writable.
      if ((stats.mode & 0o222) !== 0 || stats.mtimeMs !== STORE_MTIME * 1000) canonicaliseEntry(path, stats);
    } else if (stats.isFile()) this.#optimiseFile(path, stats);
  }

  #optimiseFile(path: ByteString, stats: Stats): void {
    if ((stats.mode & 0o222) !== 0) {
      this.#store.onWarn(`skipping suspicious writable file "${path}"`);
      return;
    }
    if (stats.nlink > 1 && this.#linked.has(stats.ino)) return;
    const { hash } = hashNar(path, { rootType: "regular" });
    const link = `${this.#linksDir}/${encodeNix32(hash.digest)}`;
    // Asked first: an error that says so takes five times as long to make.
    let known = lstatSync(fsPath(link), { throwIfNoEntry: false });
    if (known === undefined) {
      if (this.#tryLink(path, link)) {
        this.#linked.add(stats.ino);
        return;
      }
      known = lstatSync(fsPath(link), { throwIfNoEntry: false });
    }
    if (known === undefined || known.ino === stats.ino) return;
    const isSame =
      known.size === stats.size &&
      (!this.#isRepair || hashNar(link, { rootType: "regular" }).hash.digest.equals(hash.digest));
    if (!isSame) {
      this.#store.onWarn(`removing corrupted link "${link}"`);
      unlinkSync(fsPath(link));
      if (this.#tryLink(path, link)) this.#linked.add(stats.ino);
      return;
    }
    this.#linked.add(known.ino);
    if (this.#replace(path, link)) {
      this.linkedFiles++;
      this.savedBytes += stats.size;
    }
  }

  /** Makes the link; false when it is there already, or the file system has no room for links. */
  #tryLink(path: ByteString, link: ByteString): boolean {
    try {
      linkSync(fsPath(path), fsPath(link));
      return true;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code !== undefined && NO_LINK.has(code)) return false;
      throw writeError(link, error);
    }
  }

  #replace(path: ByteString, link: ByteString, attempt = 0): boolean {
    const directory = path.slice(0, path.lastIndexOf("/"));
    const isInner = directory !== this.#store.realStoreDir;
    const temporary = `${this.#store.realStoreDir}/.tmp-link-${process.pid}-${this.#nextName++}`;
    if (isInner) chmodSync(fsPath(directory), 0o755);
    try {
      linkTemporarily(link, temporary);
      try {
        renameSync(temporary, fsPath(path));
      } catch (error) {
        unlinkSync(fsPath(temporary));
        throw error;
      }
      return true;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      // Too many links to one file, no room for another, or a collector took it: this file stays as it is.
      if (code === "EMLINK" || code === "ENOSPC" || code === "EDQUOT" || code === "ENOENT") return false;
      // Another process that does the same has just closed the directory again.
      if (code === "EACCES" && isInner && attempt < MAX_ATTEMPTS)
        return this.#replace(path, link, attempt + 1);
      throw writeError(path, error);
    } finally {
      if (isInner) {
        chmodSync(fsPath(directory), 0o555);
        utimesSync(fsPath(directory), STORE_MTIME, STORE_MTIME);
      }
    }
  }
}

function linkTemporarily(link: ByteString, temporary: ByteString): void {
  try {
    linkSync(fsPath(link), fsPath(temporary));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    // A killed process of our number left one.
    unlinkSync(fsPath(temporary));
    linkSync(fsPath(link), fsPath(temporary));
  }
}
