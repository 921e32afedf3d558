import { closeSync, openSync } from "node:fs";
import { createRequire } from "node:module";
import { fsPath, type ByteString } from "../../core/index.ts";

/*
 * What Node has no call for. koffi calls libc's; without koffi callers do as well as they can.
 */

const AT_FDCWD = -100;
const RENAME_EXCHANGE = 2;

interface Calls {
  renameat2(fromFd: number, from: Buffer, toFd: number, to: Buffer, flags: number): number;
  syncfs(fd: number): number;
}

/**
 * Swaps what lies at two paths, so that neither is ever absent.
 * @returns false where the file system, libc, koffi or the permissions do not allow it
 */
export function exchange(a: ByteString, b: ByteString): boolean {
  const [from, to] = [terminated(a), terminated(b)];
  return calls()?.renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE) === 0;
}

/**
 * Brings all that was written to a path's file system to the disk.
 * @returns false where that could not be done
 */
export function syncFileSystem(path: ByteString): boolean {
  const fd = openSync(fsPath(path), "r");
  try {
    return calls()?.syncfs(fd) === 0;
  } finally {
    closeSync(fd);
  }
}

function terminated(path: ByteString): Buffer {
  return Buffer.from(`${path}\0`, "latin1");
}

let loaded: { readonly calls: Calls | undefined } | undefined;

function calls(): Calls | undefined {
  loaded ??= { calls: load() };
  return loaded.calls;
}

function load(): Calls | undefined {
  try {
    const koffi = createRequire(import.meta.url)("koffi") as {
      load(file: null): { func(prototype: string): unknown };
    };
    const libc = koffi.load(null);
    return {
      renameat2: libc.func(
        "int renameat2(int fromFd, const void *from, int toFd, const void *to, unsigned int flags)",
      ) as Calls["renameat2"],
      syncfs: libc.func("int syncfs(int fd)") as Calls["syncfs"],
    };
  } catch {
    return undefined;
  }
}
