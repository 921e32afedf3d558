import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { Readable } from "node:stream";
import { fsPath, type ByteString } from "../../core/index.ts";
import { decompress } from "../../io/index.ts";

const ENDINGS = [
  ["", "none"],
  [".bz2", "bzip2"],
  [".zst", "zstd"],
] as const;

/**
 * Reads a build's log as it was written.
 * @param path without the suffix of its compression
 */
export async function readLogFile(path: ByteString): Promise<Buffer | undefined> {
  for (const [ending, compression] of ENDINGS) {
    if (!existsSync(fsPath(path + ending))) continue;
    const bytes = readFileSync(fsPath(path + ending));
    const chunks: Buffer[] = [];
    for await (const chunk of decompress(compression, Readable.from([bytes]))) chunks.push(chunk);
    return Buffer.concat(chunks);
  }
  return undefined;
}

/** Adds the log of a build that was done elsewhere; one that is there stays. */
export function writeLogFile(path: ByteString, log: Uint8Array): void {
  if (ENDINGS.some(([ending]) => existsSync(fsPath(path + ending)))) return;
  mkdirSync(fsPath(dirname(path)), { recursive: true });
  const scratch = `${path}.tmp.${process.pid}`;
  writeFileSync(fsPath(scratch), log);
  renameSync(fsPath(scratch), fsPath(path));
}
