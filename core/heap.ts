import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** The part of V8's old generation that may be in use: where it is full, V8 ends the whole process. */
const USABLE = 0.9;
/** What V8's limit of the heap counts for the young generation, at most. */
const YOUNG_BYTES = 192 * 2 ** 20;
/** From here on collections are prepared: there is no room for that later. */
const HALF = 0.5;

let collectGarbage: (() => void) | undefined;

/**
 * Makes sure that V8's heap has room, garbage not counted.
 * @param bytes about to be taken
 * @returns how many more may be taken before it is to be asked again
 * @throws RangeError `Heap limit of N MiB reached`
 */
export function ensureHeap(bytes: number): number {
  const { usable, used } = measure(bytes);
  if (used < usable * HALF) return usable - used;
  collectGarbage ??= collector();
  if (used < usable) return usable - used;
  collectGarbage();
  const after = measure(bytes);
  // So little room would soon be taken, and be looked for again.
  if (after.used >= after.usable * USABLE)
    throw new RangeError(`Heap limit of ${Math.round(after.usable / 2 ** 20)} MiB reached`);
  return after.usable - after.used;
}

function measure(bytes: number): { readonly used: number; readonly usable: number } {
  const { heap_size_limit: limit, used_heap_size: used } = getHeapStatistics();
  return { used: used + bytes, usable: Math.max(limit - YOUNG_BYTES, limit / 2) * USABLE };
}

/** A whole collection, after which nobody but us gives up; V8 has its function for contexts that are made once it may be called. */
function collector(): () => void {
  // V8 would end the process where it collects often and most of the heap is live.
  setFlagsFromString("--no-detect-ineffective-gcs-near-heap-limit");
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  setFlagsFromString("--no-expose-gc");
  return typeof collect === "function" ? () => void collect() : () => undefined;
}
