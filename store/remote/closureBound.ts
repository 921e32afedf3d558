import { DevshellError } from "../../core/index.ts";
import type { StoreConfig } from "../types.ts";

const SETTING = "max-closure-paths";
/** Twice what a release of Nixpkgs has; some 4 kB of memory for each are in use meanwhile. */
export const MOST_CLOSURE_PATHS = 200_000;

/** How many paths others may name, one referring to the next, before they are no longer followed. 0 stands for any. */
export function maxClosurePaths({ raw }: StoreConfig): number {
  const text = raw.get(SETTING) ?? String(MOST_CLOSURE_PATHS);
  if (!/^\d{1,9}$/.test(text))
    throw new DevshellError(
      "STORE_CONFIG_INVALID",
      `Cannot use "${text}" for the option "${SETTING}": expected a number`,
    );
  return Number(text) === 0 ? Infinity : Number(text);
}

/** @param whence who names paths without end */
export function endlessClosure(whence: string, most: number): DevshellError {
  return new DevshellError(
    "CLOSURE_ENDLESS",
    `Cannot follow references: ${whence} names more than ${most} paths, each of which is needed by another`,
    { hint: `it is broken, or lies; where so many are right, the setting \`${SETTING}\` allows more` },
  );
}
