import { readFileSync, statfsSync } from "node:fs";
import { fsPath, type ByteString } from "../../core/index.ts";
import type { StoreSettings } from "../types.ts";
import { readSize } from "./readSize.ts";
import type { GcOptions, GcResult } from "./types.ts";

/** What collecting by free space needs of a store; `LocalStore` is one. */
export interface CollectingStore {
  readonly settings: StoreSettings;
  readonly realStoreDir: ByteString;
  collectGarbage(options: GcOptions): Promise<GcResult>;
}

export interface AutoCollectOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onMessage: (line: string) => void;
}

const DEFAULT_INTERVAL_S = 5;
/** A collection that gave nothing back is not tried again until it is noticeably tighter. */
const TIGHTER = 0.97;

/** Free bytes after the last collection of this process, by store directory. */
const freeAfterCollection = new Map<ByteString, number>();

/**
 * Collects garbage beside other work whenever less than the setting `min-free` is free on the store's disk, until
 * `max-free` is. Disposing of it waits for a collection that runs.
 * @throws {DevshellError} `SETTINGS_SIZE`
 */
export function collectWhenFull(store: CollectingStore, options: AutoCollectOptions): AsyncDisposable {
  const { raw } = store.settings.config;
  const minFree = readSize("min-free", raw.get("min-free")) ?? 0;
  const maxFree = readSize("max-free", raw.get("max-free")) ?? Infinity;
  const interval = readSize("min-free-check-interval", raw.get("min-free-check-interval"));
  if (minFree === 0) return { [Symbol.asyncDispose]: () => Promise.resolve() };
  let running: Promise<void> | undefined;
  const isTight = (free: number): boolean =>
    free < Math.min(minFree, maxFree) &&
    free <= (freeAfterCollection.get(store.realStoreDir) ?? Infinity) * TIGHTER;
  const check = (): void => {
    if (running !== undefined) return;
    const free = freeBytes(store.realStoreDir);
    if (free !== undefined && isTight(free))
      running = collect(store, maxFree - free, options).finally(() => (running = undefined));
  };
  check();
  const timer = setInterval(check, 1000 * Math.max(1, interval ?? DEFAULT_INTERVAL_S));
  return {
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      await running;
    },
  };
}

async function collect(
  store: CollectingStore,
  maxFreedBytes: number,
  { onMessage, signal }: AutoCollectOptions,
): Promise<void> {
  const limit = Number.isFinite(maxFreedBytes) ? maxFreedBytes : undefined;
  onMessage(`running auto-GC to free ${limit === undefined ? "all garbage" : `${limit} bytes`}`);
  try {
    await store.collectGarbage({ action: "deleteDead", maxFreedBytes: limit, signal });
    const free = freeBytes(store.realStoreDir);
    if (free !== undefined) freeAfterCollection.set(store.realStoreDir, free);
  } catch (error) {
    // The work beside it goes on: it says itself when the disk is full.
    if (signal?.aborted !== true) onMessage(`cannot collect garbage: ${(error as Error).message}`);
  }
}

/** @returns `undefined` where the system does not say */
function freeBytes(directory: ByteString): number | undefined {
  try {
    // As Nix's own tests say how much is free.
    const file = process.env["_NIX_TEST_FREE_SPACE_FILE"];
    if (file !== undefined && file !== "") return Number(readFileSync(file, "utf8"));
    const { bavail, bsize } = statfsSync(fsPath(directory));
    return bavail * bsize;
  } catch {
    return undefined;
  }
}
