import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";

/** Writes a file whole or not at all, also where the machine stops: the launcher runs some as they are. */
export function writeDurably(path: string, bytes: Uint8Array): void {
  write(path, bytes, true);
}

/** The same but where the machine stops, for what a reader checks: a sync takes 4 ms. */
export function writeWhole(path: string, bytes: Uint8Array): void {
  write(path, bytes, false);
}

function write(path: string, bytes: Uint8Array, isSynced: boolean): void {
  const temporary = `${path}.tmp-${process.pid}`;
  try {
    const file = openSync(temporary, "w", 0o600);
    try {
      for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
      if (isSynced) fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
