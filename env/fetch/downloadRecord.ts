import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Store, StorePath } from "../../store/index.ts";
import { cacheDirectory } from "../cache/recordPaths.ts";

/** What is remembered of a download that nothing pins. */
export interface DownloadRecord {
  readonly storePath: StorePath;
  readonly lastModified?: bigint | undefined;
  readonly immutableUrl?: string | undefined;
  /** What the server called it. */
  readonly etag?: string | undefined;
  /** When the server was last asked. */
  readonly atMs: number;
}

/** Where a download is remembered. @param words all that tells it from others */
export function downloadRecordFile(...words: readonly string[]): string {
  const key = createHash("sha256").update(words.join("\0")).digest("hex");
  return join(cacheDirectory(), "fetch", key);
}

/** @returns `undefined` where nothing is remembered, or the store has lost it */
export function readDownload(file: string, store: Store): DownloadRecord | undefined {
  try {
    const record = JSON.parse(readFileSync(file, "utf8")) as Omit<DownloadRecord, "lastModified"> & {
      readonly lastModified?: number;
    };
    const { lastModified, storePath } = record;
    if (!store.isValidPath(storePath)) return undefined;
    return { ...record, lastModified: lastModified === undefined ? undefined : BigInt(lastModified) };
  } catch {
    return undefined;
  }
}

export function writeDownload(file: string, record: DownloadRecord): void {
  const { lastModified } = record;
  const seconds = lastModified === undefined ? undefined : Number(lastModified);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, JSON.stringify({ ...record, lastModified: seconds }));
}
