import {
  closeSync,
  openSync,
  rmSync,
  statSync,
  statfsSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { DevshellError, fsPath, type ByteString } from "../../core/index.ts";
import type { StoreConfig } from "../types.ts";
import { readSize } from "./readSize.ts";

/*
 * On a full disk a collector needs room first: for the database's log and shared memory, for its socket. So some is
 * held back: `db/reserved` as large as the setting `gc-reserved-space` says, as by Nix, and a few empty files where the
 * number of files is limited.
 */
const SETTING = "gc-reserved-space";
const USUAL_BYTES = 8 << 20;
const CHUNK_BYTES = 1 << 20;
const FILES = 4;
/** As much of the space as one opening takes: the rest is for the collector. */
const YIELDED_BYTES = 64 << 10;
/** Where less than so many times of it is free it is left to the work at hand. */
const FROM_FREE = 4;
const FROM_FREE_FILES = 100;

const spaceIn = (dbDir: ByteString): string | Buffer => fsPath(`${dbDir}/reserved`);
const fileIn = (dbDir: ByteString, index: number): string | Buffer => fsPath(`${dbDir}/reserved-${index}`);

/**
 * Holds back what is not held back: a collection gives it up.
 * @throws {DevshellError} `SETTINGS_SIZE`
 */
export function reserveSpace(dbDir: ByteString, config: StoreConfig): void {
  const wantedBytes = readSize(SETTING, config.raw.get(SETTING)) ?? USUAL_BYTES;
  const space = spaceIn(dbDir);
  try {
    const heldBytes = sizeOf(space) ?? 0;
    if (heldBytes > wantedBytes) truncateSync(space, wantedBytes);
    const hasSpace = heldBytes >= wantedBytes;
    const hasFiles = sizeOf(fileIn(dbDir, FILES)) !== undefined;
    if (hasSpace && hasFiles) return;
    const { bavail, bsize, files, ffree } = statfsSync(fsPath(dbDir));
    // Without a limit none needs to be held back.
    if (!hasFiles && files > 0 && ffree >= FROM_FREE_FILES)
      for (let index = 1; index <= FILES; index++) writeFileSync(fileIn(dbDir, index), "", { mode: 0o600 });
    if (!hasSpace && bavail * bsize >= FROM_FREE * wantedBytes) fill(space, wantedBytes);
  } catch (error) {
    // Only a precaution; a part of it would be in the way of what has to be written.
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOSPC" || code === "EDQUOT") rmSync(space, { force: true });
  }
}

/** Opens a database, which takes room: on a full disk some of what is held back. */
export function openWithReserve<T>(dbDir: ByteString, open: () => T): T {
  for (;;) {
    try {
      return open();
    } catch (error) {
      const isFull = error instanceof DevshellError && error.code === "STORE_NO_SPACE";
      if (!isFull || !yieldSome(dbDir)) throw error;
    }
  }
}

/** Gives all of it up, for a collector. */
export function releaseReserve(dbDir: ByteString): void {
  rmSync(spaceIn(dbDir), { force: true });
  releaseFiles(dbDir);
}

/** With content: a file of holes would take no room. */
function fill(file: string | Buffer, sizeBytes: number): void {
  const chunk = Buffer.alloc(CHUNK_BYTES, "X");
  const fd = openSync(file, "w", 0o600);
  try {
    for (let left = sizeBytes; left > 0;) left -= writeSync(fd, chunk, 0, Math.min(left, chunk.length));
  } finally {
    closeSync(fd);
  }
}

/** @returns whether there was something to yield */
function yieldSome(dbDir: ByteString): boolean {
  try {
    const { files, ffree } = statfsSync(fsPath(dbDir));
    if (files > 0 && ffree < FILES) return releaseFiles(dbDir);
    const size = sizeOf(spaceIn(dbDir)) ?? 0;
    if (size < YIELDED_BYTES) return false;
    truncateSync(spaceIn(dbDir), size - YIELDED_BYTES);
    return true;
  } catch {
    return false;
  }
}

function releaseFiles(dbDir: ByteString): boolean {
  const held = Array.from({ length: FILES }, (_, index) => fileIn(dbDir, index + 1)).filter(
    (file) => sizeOf(file) !== undefined,
  );
  for (const file of held) rmSync(file, { force: true });
  return held.length > 0;
}

function sizeOf(file: string | Buffer): number | undefined {
  return statSync(file, { throwIfNoEntry: false })?.size;
}
