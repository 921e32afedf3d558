import { parseCommandLine, usageError } from "../commandLine.ts";
import { printHelp, printVersion, standardInput } from "../output.ts";
import type { RunOperation } from "./operation.ts";

type Load = () => Promise<RunOperation>;

const realise: Load = async () => (await import("./realise.ts")).realisePaths;
const query: Load = async () => (await import("./query.ts")).queryStore;

/** Operations by the words that name them. */
const OPERATIONS: Readonly<Record<string, Load>> = {
  "-r": realise,
  "--realise": realise,
  "--realize": realise,
  "-q": query,
  "--query": query,
  "-A": async () => (await import("./add.ts")).addPaths,
  "--add": async () => (await import("./add.ts")).addPaths,
  "--add-fixed": async () => (await import("./add.ts")).addFixed,
  "--print-fixed-path": async () => (await import("./add.ts")).printFixedPath,
  "--delete": async () => (await import("./garbage.ts")).deletePaths,
  "--gc": async () => (await import("./garbage.ts")).collect,
  "--optimise": async () => (await import("./garbage.ts")).optimise,
  "--optimize": async () => (await import("./garbage.ts")).optimise,
  "--verify": async () => (await import("./verify.ts")).verifyStore,
  "--verify-path": async () => (await import("./verify.ts")).verifyPaths,
  "--repair-path": async () => (await import("./verify.ts")).repairPaths,
  "--dump": async () => (await import("./archive.ts")).dump,
  "--restore": async () => (await import("./archive.ts")).restore,
  "--export": async () => (await import("./exportPaths.ts")).exportPaths,
  "--import": async () => (await import("./importPaths.ts")).importPaths,
  "-l": async () => (await import("./buildLog.ts")).readLog,
  "--read-log": async () => (await import("./buildLog.ts")).readLog,
  "--print-env": async () => (await import("./printEnv.ts")).printEnvironment,
  "--init": async () => (await import("./database.ts")).initialise,
  "--register-validity": async () => (await import("./database.ts")).registerValidity,
  "--load-db": async () => (await import("./database.ts")).loadDatabase,
  "--dump-db": async () => (await import("./database.ts")).dumpDatabase,
  "--check-validity": async () => (await import("./database.ts")).checkValidity,
  "--generate-binary-cache-key": async () => (await import("./cacheKey.ts")).generateCacheKey,
  "--serve": async () => (await import("./serve.ts")).serve,
};

/** Own flags that take the word after them. */
const VALUED = new Set(["--max-freed", "--max-links", "--max-atime"]);

/** Operations that read an archive or a list of their own from standard input. */
const READERS = new Set(["--import", "--restore", "--serve"]);

/** `nix-store`: one operation on the store. */
export async function runNixStore(argv: readonly string[]): Promise<number> {
  const own: string[] = [];
  const words: string[] = [];
  let operation: string | undefined;
  let root: string | undefined;
  let isSilent = false;
  let isFromInput = false;
  let hasHelp = false;
  let hasVersion = false;
  const flags = parseCommandLine("nix-store", argv, (word, next) => {
    if (Object.hasOwn(OPERATIONS, word) && !(operation !== undefined && word === "-r")) {
      if (operation !== undefined && OPERATIONS[operation] !== OPERATIONS[word])
        throw usageError("nix-store", "only one operation may be specified");
      operation = word;
    } else if (word === "--help") hasHelp = true;
    else if (word === "--version") hasVersion = true;
    else if (word === "--add-root") root = next();
    else if (word === "--indirect") return true;
    else if (word === "--no-output") isSilent = true;
    else if (word === "--stdin") isFromInput = !process.stdin.isTTY;
    else if (!word.startsWith("-")) words.push(word);
    else if (isCommon(word, own)) return false;
    else {
      own.push(word);
      if (VALUED.has(word)) own.push(next());
    }
    return true;
  });
  if (hasHelp) return printHelp("nix-store");
  if (hasVersion) return printVersion("nix-store");
  const load = operation === undefined ? undefined : OPERATIONS[operation];
  if (operation === undefined || load === undefined) throw usageError("nix-store", "no operation specified");
  if (isFromInput && !READERS.has(operation)) words.push(...wordsOfInput());
  const run = await load();
  return run({ flags, own: ownOf(own, flags.isRepair), words, root, isSilent });
}

/** Words of `nix-store`'s operations that common flags do not claim. */
const OWN_WORDS =
  /^(-R|-d|-b|-u|-f|--outputs|--requisites|--references|--refer{1,2}ers(-closure)?|--deriver|--valid-derivers|--binding|--hash|--size|--tree|--graph(ml)?|--resolve|--roots|--use-output|--force-reali[sz]e|--include-outputs|--dry-run|--check|--ignore-unknown|--recursive|--print-(roots|live|dead|invalid)|--max-(freed|links|atime)|--ignore-liveness|--check-contents|--reregister|--hash-given|--write)$/;

function isCommon(word: string, _own: readonly string[]): boolean {
  return !OWN_WORDS.test(word);
}

/** `--repair` is common to all commands, but an operation's own flag too. */
function ownOf(own: readonly string[], isRepair: boolean): string[] {
  return isRepair ? [...own, "--repair"] : [...own];
}

function wordsOfInput(): string[] {
  const text = Buffer.concat([...standardInput()].map((chunk) => Buffer.from(chunk))).toString("utf8");
  return text.split(/\s+/).filter((word) => word !== "");
}
