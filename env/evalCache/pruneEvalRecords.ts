import { existsSync, lstatSync, readFileSync, readdirSync, rmSync, rmdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { formatIndex, indexPath, readIndex } from "../cache/recordPaths.ts";
import { removeRecord } from "./evalIndex.ts";
import { evalCacheDirectory } from "./evalKey.ts";
import { writeDurably } from "./writeDurably.ts";

const MAX_RECORDS = 500;
const MAX_BYTES = 64 << 20;
/** A file of a writer that was killed. */
const MAX_UNFINISHED_MS = 3600 * 1000;

export interface EvalCacheUsage {
  readonly count: number;
  readonly sizeBytes: number;
}

interface StoredRecord {
  readonly id: string;
  readonly sizeBytes: number;
  readonly usedMs: number;
}

export interface PruneLimits {
  readonly maxRecords?: number | undefined;
  readonly maxBytes?: number | undefined;
}

export function evalCacheUsage(cache: string = evalCacheDirectory()): EvalCacheUsage {
  const stored = storedRecords(cache);
  return { count: stored.length, sizeBytes: stored.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) };
}

/** Forgets every kept evaluation. @returns what there was */
export function clearEvalCache(cache: string = evalCacheDirectory()): EvalCacheUsage {
  const usage = evalCacheUsage(cache);
  rmSync(cache, { recursive: true, force: true });
  return usage;
}

/** Forgets what answered longest ago, down to nine tenths of the bounds, where there is more than they allow. */
export function pruneEvalRecords(cache: string = evalCacheDirectory(), limits: PruneLimits = {}): void {
  const { maxRecords = MAX_RECORDS, maxBytes = MAX_BYTES } = limits;
  removeUnfinished(cache);
  const stored = storedRecords(cache).sort((a, b) => b.usedMs - a.usedMs);
  let count = stored.length;
  let sizeBytes = stored.reduce((sum, record) => sum + record.sizeBytes, 0);
  if (count <= maxRecords && sizeBytes <= maxBytes) return;
  while (count > maxRecords * 0.9 || sizeBytes > maxBytes * 0.9) {
    const oldest = stored.pop();
    if (oldest === undefined) return;
    count--;
    sizeBytes -= oldest.sizeBytes;
    forget(cache, oldest.id);
  }
}

function storedRecords(cache: string): StoredRecord[] {
  const records = new Map<string, StoredRecord>();
  for (const name of namesIn(join(cache, "records"))) {
    const id = /^([0-9a-z]{32})\.(?:sh|sums|json|used)$/.exec(name)?.[1];
    const stat = lstatSync(join(cache, "records", name), { throwIfNoEntry: false });
    if (id === undefined || stat === undefined) continue;
    const known = records.get(id);
    records.set(id, {
      id,
      sizeBytes: (known?.sizeBytes ?? 0) + stat.size,
      usedMs: Math.max(known?.usedMs ?? 0, stat.mtimeMs),
    });
  }
  return [...records.values()];
}

function forget(cache: string, id: string): void {
  const base = join(cache, "records", id);
  const directory = directoryOf(`${base}.json`);
  removeRecord(base);
  if (directory !== undefined) tidyIndex(cache, directory);
}

/** Leaves out of a directory's index what is gone, and the index where nothing is left. */
function tidyIndex(cache: string, directory: string): void {
  const path = indexPath(cache, directory);
  const entries = readIndex(path).filter(({ record }) => existsSync(record));
  try {
    if (entries.length > 0) {
      writeDurably(path, Buffer.from(formatIndex(entries)));
      return;
    }
    rmSync(path, { force: true });
    for (let at = dirname(path); at !== join(cache, "by-dir"); at = dirname(at)) rmdirSync(at);
  } catch {
    // not empty, or another process tidies it
  }
}

function directoryOf(recordPath: string): string | undefined {
  try {
    const [, text = ""] = /\n(.*)$/s.exec(readFileSync(recordPath, "utf8")) ?? [];
    const { directory } = JSON.parse(text) as { readonly directory?: unknown };
    return typeof directory === "string" && resolve(directory) === directory ? directory : undefined;
  } catch {
    return undefined;
  }
}

function removeUnfinished(cache: string): void {
  const limitMs = Date.now() - MAX_UNFINISHED_MS;
  for (const name of namesIn(join(cache, "records"))) {
    const writer = /\.tmp-(\d+)$/.exec(name)?.[1];
    if (writer === undefined) continue;
    const path = join(cache, "records", name);
    const isOld = (lstatSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) < limitMs;
    if (isOld || !existsSync(`/proc/${writer}`)) rmSync(path, { force: true });
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
