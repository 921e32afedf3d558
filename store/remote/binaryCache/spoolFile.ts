import { open, readdir, rm, type FileHandle } from "node:fs/promises";
import { DevshellError, fsPath, type ByteString } from "../../../core/index.ts";
import { writeError } from "../../format/narRestore.ts";
import { storePathHashPart } from "../../format/storePath.ts";
import { tryLock } from "../../local/fileLock.ts";
import type { StorePath } from "../../types.ts";

const SPOOL_NAME = /^\.[0-9a-z]{32}\.\d+\.\d+$/;

let spools = 0;

/**
 * A file for a NAR while it is compressed. It is locked, so that others see whether its process lives, and gone in the
 * end unless it was given another name.
 */
export class SpoolFile implements AsyncDisposable {
  readonly #directory: ByteString;
  readonly #storePath: StorePath;
  #file: { readonly path: ByteString; readonly handle: FileHandle } | undefined;

  constructor(directory: ByteString, storePath: StorePath) {
    this.#directory = directory;
    this.#storePath = storePath;
  }

  /** Makes it: what is small needs none. @throws {DevshellError} what writing throws */
  async open(): Promise<{ readonly path: ByteString; readonly handle: FileHandle }> {
    for (;;) {
      const path = `${this.#directory}/.${storePathHashPart(this.#storePath)}.${process.pid}.${++spools}`;
      const handle = await open(fsPath(path), "wx", 0o644).catch((error: unknown) => {
        throw writeError(path, error);
      });
      const isOurs = mayLock(handle.fd) ?? true;
      // Before it was locked it could be taken for a dead one's.
      if (isOurs && (await handle.stat()).nlink > 0) return (this.#file = { path, handle });
      await handle.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#file === undefined) return;
    const { path, handle } = this.#file;
    this.#file = undefined;
    await rm(fsPath(path), { force: true });
    await handle.close();
  }
}

/** Deletes the spool files of processes that were killed: nobody holds their locks. */
export async function removeDeadSpools(directory: ByteString): Promise<void> {
  for (const name of (await readdir(fsPath(directory), "latin1")).filter((each) => SPOOL_NAME.test(each))) {
    const path = `${directory}/${name}`;
    // Writable: some file systems lock no other. It may be gone by now, or another user's.
    const handle = await open(fsPath(path), "r+").catch(() => undefined);
    if (handle === undefined) continue;
    try {
      if (mayLock(handle.fd) === true) await rm(fsPath(path), { force: true });
    } finally {
      await handle.close();
    }
  }
}

/** @returns `undefined` where the file system knows no locks */
function mayLock(fd: number): boolean | undefined {
  try {
    return tryLock(fd, "exclusive");
  } catch (error) {
    if (error instanceof DevshellError && error.code === "STORE_LOCK_FAILED") return undefined;
    throw error;
  }
}
