import { existsSync, mkdirSync, unlinkSync } from "node:fs";
import { dirname } from "node:path";
import { formatIndex, indexPath, readIndex, type IndexEntry } from "../cache/recordPaths.ts";
import type { EvalKey } from "./evalKey.ts";
import { writeDurably } from "./writeDurably.ts";

const MAX_ENTRIES = 100;
/** Of one command line: a file that is edited back, or another branch, finds its own. */
const MAX_VERSIONS = 4;

/** A key's records, without `.sh`; the one that answered last comes first. */
export function recordsOf(cache: string, key: EvalKey): string[] {
  return readIndex(indexPath(cache, key.directory))
    .filter((entry) => entry.key === key.text && isOurs(cache, entry))
    .map(({ record }) => record.slice(0, -".sh".length));
}

/** Makes room for one more record of a key. Before anything is synced: while the disk is busy, removing waits for it. */
export function removeOutdated(cache: string, key: EvalKey): void {
  for (const base of recordsOf(cache, key).slice(MAX_VERSIONS - 1)) removeRecord(base);
}

/** Puts a record first, where the launcher finds it. Two at once: the later wins, and the other is found no more. */
export function putFirst(cache: string, key: EvalKey, base: string): void {
  const known = readIndex(indexPath(cache, key.directory)).find((entry) => entry.key === key.text);
  if (known?.record !== `${base}.sh`) putAllFirst(cache, key.directory, [{ key, base }]);
}

/** The same of several of one directory, each of another key. */
export function putAllFirst(
  cache: string,
  directory: string,
  made: readonly { readonly key: EvalKey; readonly base: string }[],
): void {
  const path = indexPath(cache, directory);
  const first = made.map(({ key, base }): IndexEntry => ({ key: key.text, record: `${base}.sh` }));
  const records = new Set(first.map(({ record }) => record));
  const others = readIndex(path).filter((entry) => !records.has(entry.record) && existsSync(entry.record));
  const outdated = new Set(
    first.flatMap(({ key }) => others.filter((entry) => entry.key === key).slice(MAX_VERSIONS - 1)),
  );
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const entries = [...first, ...others.filter((entry) => !outdated.has(entry))].slice(0, MAX_ENTRIES);
  writeDurably(path, Buffer.from(formatIndex(entries)));
  for (const entry of others)
    if (!entries.includes(entry) && isOurs(cache, entry)) removeRecord(entry.record.slice(0, -".sh".length));
}

export function removeRecord(base: string): void {
  for (const extension of ["sh", "sums", "json", "used"]) remove(`${base}.${extension}`);
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // another process was first, or it never was
  }
}

function isOurs(cache: string, { record }: IndexEntry): boolean {
  return record.startsWith(`${cache}/records/`) && record.endsWith(".sh") && !record.includes("/../");
}
