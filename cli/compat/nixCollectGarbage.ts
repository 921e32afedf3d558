import { parseCommandLine, usageError } from "./commandLine.ts";
import { openContext } from "./context.ts";
import { dropGenerations, dropGenerationsBelow } from "./dropGenerations.ts";
import { defaultProfile, profileDirectories } from "./nixEnv/profilePath.ts";
import { printHelp, printVersion } from "./output.ts";
import { printDeadCount, readFreedBytes, runCollection } from "./nixStore/garbage.ts";
import { readTimeSpec } from "./timeSpec.ts";
import type { GenerationChoice } from "../../store/index.ts";

/** `nix-collect-garbage`: deletes what no root keeps; `-d` and its like drop old generations of profiles first. */
export async function runNixCollectGarbage(argv: readonly string[]): Promise<number> {
  let action: "collect" | "help" | "version" = "collect";
  let isDryRun = false;
  let maxFreedBytes: number | undefined;
  let olderThan: string | undefined;
  const flags = parseCommandLine("nix-collect-garbage", argv, (word, next) => {
    switch (word) {
      case "--help":
        action = "help";
        return true;
      case "--version":
        action = "version";
        return true;
      case "-d":
      case "--delete-old":
        olderThan = "old";
        return true;
      case "--delete-older-than":
        olderThan = next();
        return true;
      case "--dry-run":
        isDryRun = true;
        return true;
      case "--max-freed":
        maxFreedBytes = readFreedBytes(next());
        return true;
      default:
        return false;
    }
  });
  if ((action as string) === "help") return printHelp("nix-collect-garbage");
  if ((action as string) === "version") return printVersion("nix-collect-garbage");
  if (isDryRun && maxFreedBytes !== undefined)
    throw usageError("nix-collect-garbage", "options --max-freed and --dry-run cannot be combined");
  using context = openContext(flags);
  if (olderThan !== undefined) {
    const choice: GenerationChoice =
      olderThan === "old"
        ? { kind: "old" }
        : { kind: "olderThan", ms: readTimeSpec("nix-collect-garbage", olderThan) };
    for (const directory of profileDirectories(context.settings))
      dropGenerationsBelow(context.store, directory, choice, isDryRun);
    // Wherever the user's profile lies.
    dropGenerations(context.store, defaultProfile(context.settings), choice, isDryRun);
  }
  if (isDryRun) return await printDeadCount(context.store);
  return await runCollection(context.store, { action: "deleteDead", maxFreedBytes });
}
