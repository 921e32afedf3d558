import { rmSync } from "node:fs";
import { lastUsedMs, listRecords } from "../env/index.ts";

/**
 * Forgets environments whose record was not made, found good or entered for so long; their roots go with them.
 * @returns how many
 */
export function dropRecords(ageMs: number, isDryRun: boolean): number {
  const limit = Date.now() - ageMs;
  const old = listRecords().filter((record) => lastUsedMs(record) < limit);
  if (!isDryRun) for (const record of old) rmSync(record, { recursive: true, force: true });
  return old.length;
}
