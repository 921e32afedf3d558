import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { bytesOfText } from "../../core/index.ts";
import { deleteGenerations, readGenerations, type GenerationChoice, type Store } from "../../store/index.ts";
import { say } from "./output.ts";

/** Removes generations of the profiles below a directory; those in use stay. */
export function dropGenerationsBelow(
  store: Store,
  directory: string,
  choice: GenerationChoice,
  isDryRun: boolean,
): void {
  for (const entry of entriesOf(directory)) {
    const path = join(directory, entry);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat?.isDirectory() === true) dropGenerationsBelow(store, path, choice, isDryRun);
    else if (stat?.isSymbolicLink() === true && !/-\d+-link$/.test(entry))
      dropGenerations(store, path, choice, isDryRun);
  }
}

/** Removes generations of one profile, and says which. */
export function dropGenerations(
  store: Store,
  profile: string,
  choice: GenerationChoice,
  isDryRun: boolean,
): void {
  if (readGenerations(bytesOfText(profile)).all.length === 0) return;
  deleteGenerations(store, bytesOfText(profile), choice, {
    isDryRun,
    onDelete: ({ number }) => say(`${isDryRun ? "would remove" : "removing"} profile version ${number}`),
  });
}

function entriesOf(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
