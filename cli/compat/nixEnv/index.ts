import { statSync } from "node:fs";
import { join } from "node:path";
import { DevshellError } from "../../../core/index.ts";
import { keepEvaluation } from "../../keepEvaluation.ts";
import { parseCommandLine, usageError } from "../commandLine.ts";
import { openContext } from "../context.ts";
import { openCompatEvaluation } from "../evaluate.ts";
import { printHelp, printVersion } from "../output.ts";
import { queryPackages } from "./query.ts";
import { checkQueryOptions, newQueryOptions, takeQueryFlag, type QueryOptions } from "./queryOptions.ts";

/** `nix-env`: its queries; what changes profiles is not built yet. */
export async function runNixEnv(argv: readonly string[]): Promise<number> {
  const words: string[] = [];
  const operations = new Set<string>();
  const query = newQueryOptions();
  const flags = parseCommandLine("nix-env", argv, (word, next) => {
    const operation = OPERATIONS[word];
    if (operation !== undefined) operations.add(operation);
    else if (takeQueryFlag(query, word, next)) return true;
    else if (word.startsWith("-")) return false;
    else words.push(word);
    return true;
  });
  if (operations.has("help")) return printHelp("nix-env");
  if (operations.has("version")) return printVersion("nix-env");
  const [operation] = operations;
  if (operation === undefined) throw usageError("nix-env", "no operation specified");
  if (operations.size > 1) throw usageError("nix-env", "only one operation may be specified");
  if (operation !== "query")
    throw new DevshellError("CLI_NOT_BUILT", "Cannot run nix-env: profiles are not built yet", {
      hint: "packages of a project go into its spec: `devshell init`",
    });
  checkQueryOptions(query);
  return keepEvaluation("nix-env", argv, async (keeper) => {
    using context = openContext(flags, { isReadOnly: true });
    const evaluation = openCompatEvaluation(context, flags);
    await queryPackages(context, evaluation, query, words);
    if (isOfExpressionAlone(query)) keeper.keep(context);
    return 0;
  });
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
