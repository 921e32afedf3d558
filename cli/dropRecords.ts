import { lstatSync, rmSync } from "node:fs";
import { join } from "node:path";
import { listRecords } from "../env/index.ts";

/**
 * Forgets environments whose record was not made or found good for so long; their roots go with them.
 * @returns how many
 */
export function dropRecords(ageMs: number, isDryRun: boolean): number {
  const limit = Date.now() - ageMs;
  const old = listRecords().filter((record) => {
    const stat = lstatSync(join(record, "stat"), { throwIfNoEntry: false }) ?? lstatSync(record);
    return stat.mtimeMs < limit;
  });
  if (!isDryRun) for (const record of old) rmSync(record, { recursive: true, force: true });
  return old.length;
}
