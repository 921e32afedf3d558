import { statSync } from "node:fs";
import { join } from "node:path";
import { keepEvaluation } from "../../keepEvaluation.ts";
import { parseCommandLine, usageError } from "../commandLine.ts";
import { openContext } from "../context.ts";
import { dropGenerations } from "../dropGenerations.ts";
import { openCompatEvaluation } from "../evaluate.ts";
import { printHelp, printVersion, say } from "../output.ts";
import { newChangeOptions, takeChangeFlag } from "./changeOptions.ts";
import {
  installPackages,
  setPackageFlag,
  setProfile,
  uninstallPackages,
  upgradePackages,
  type ProfileChange,
} from "./changeProfile.ts";
import { goToGeneration, listGenerations, readGenerationChoice, switchProfile } from "./generations.ts";
import { profileInUse, profileToChange } from "./profilePath.ts";
import { queryPackages } from "./query.ts";
import { checkQueryOptions, newQueryOptions, takeQueryFlag, type QueryOptions } from "./queryOptions.ts";

/** `nix-env`: queries, user environments and their generations. */
export async function runNixEnv(argv: readonly string[]): Promise<number> {
  const words: string[] = [];
  const operations = new Set<string>();
  const query = newQueryOptions();
  const change = newChangeOptions();
  const flags = parseCommandLine("nix-env", argv, (word, next) => {
    const [current = "query"] = operations;
    const operation = OPERATIONS[word];
    if (operation !== undefined) operations.add(operation);
    else if (word === "--dry-run") change.isDryRun = true;
    else if (word === "--force-name") change.forcedName = next();
    else if (takeChangeFlag(change, current, word, next)) return true;
    else if ((current === "query" || COMMON_FLAGS.has(word)) && takeQueryFlag(query, word, next)) return true;
    else if (word.startsWith("-")) return false;
    else words.push(word);
    return true;
  });
  if (operations.has("help")) return printHelp("nix-env");
  if (operations.has("version")) return printVersion("nix-env");
  const [operation] = operations;
  if (operation === undefined) throw usageError("nix-env", "no operation specified");
  if (operations.size > 1) throw usageError("nix-env", "only one operation may be specified");
  checkQueryOptions(query);
  if (change.isDryRun) say("(dry run; not doing anything)");
  if (operation === "query")
    return await keepEvaluation("nix-env", argv, async (keeper) => {
      using context = openContext(flags, { isReadOnly: true });
      await queryPackages(context, openCompatEvaluation(context, flags), query, words);
      if (isOfExpressionAlone(query)) keeper.keep(context);
      return 0;
    });
  using context = openContext(flags, { isReadOnly: operation === "list-generations" });
  const { settings } = context;
  const changing = CHANGES[operation];
  if (changing !== undefined) {
    const evaluation = openCompatEvaluation(context, flags);
    return await changing({ context, evaluation, flags, change, from: query, words });
  }
  switch (operation) {
    case "list-generations":
      refuseWords(words);
      listGenerations(profileInUse(query.profile, settings));
      return 0;
    case "switch-profile":
      switchProfile(settings, words);
      return 0;
    case "rollback":
      refuseWords(words);
      goToGeneration(context.store, profileToChange(query.profile, settings), undefined, change.isDryRun);
      return 0;
    case "switch-generation":
      if (words.length !== 1) throw usageError("nix-env", "exactly one argument expected");
      goToGeneration(context.store, profileToChange(query.profile, settings), words[0], change.isDryRun);
      return 0;
    default:
      dropGenerations(
        context.store,
        profileToChange(query.profile, settings),
        readGenerationChoice(words),
        change.isDryRun,
      );
      return 0;
  }
}

/** Whether profiles, the store and the terminal have no part in a query. */
function isOfExpressionAlone(query: QueryOptions): boolean {
  const { isAvailable, comparesVersions, hasStatus, isPrebuiltOnly, file } = query;
  if (!isAvailable || comparesVersions || hasStatus || isPrebuiltOnly || process.stdout.isTTY) return false;
  return file !== undefined && (isFile(file) || isFile(join(file, "default.nix")));
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

function refuseWords(words: readonly string[]): void {
  if (words.length > 0) throw usageError("nix-env", "no arguments expected");
}

/** What makes a new generation. */
const CHANGES: Readonly<Record<string, (run: ProfileChange) => Promise<number>>> = {
  install: installPackages,
  uninstall: uninstallPackages,
  upgrade: upgradePackages,
  set: setProfile,
  "set-flag": setPackageFlag,
};

/** Those of a query's flags that every operation takes. */
const COMMON_FLAGS = new Set(["-f", "--file", "-p", "--profile", "--system-filter", "-b", "--prebuilt-only"]);

const OPERATIONS: Readonly<Record<string, string>> = {
  "--help": "help",
  "--version": "version",
  "-q": "query",
  "--query": "query",
  "-i": "install",
  "--install": "install",
  "-e": "uninstall",
  "--uninstall": "uninstall",
  "-u": "upgrade",
  "--upgrade": "upgrade",
  "--set": "set",
  "--set-flag": "set-flag",
  "-S": "switch-profile",
  "--switch-profile": "switch-profile",
  "-G": "switch-generation",
  "--switch-generation": "switch-generation",
  "--rollback": "rollback",
  "--list-generations": "list-generations",
  "--delete-generations": "delete-generations",
};
