import { DevshellError } from "../../core/index.ts";
import { AttrSet, force, printJson } from "../../lang/index.ts";
import { parseCommandLine } from "./commandLine.ts";
import { openContext } from "./context.ts";
import { openCompatEvaluation, selectValues } from "./evaluate.ts";
import { printHelp, printLine, printVersion } from "./output.ts";

/** `nix-env`: only `-qa --json --meta` of a file as yet, for what reads its metadata. */
export async function runNixEnv(argv: readonly string[]): Promise<number> {
  const words: string[] = [];
  const given = new Set<string>();
  let file: string | undefined;
  const attributePaths: string[] = [];
  const flags = parseCommandLine("nix-env", argv, (word, next) => {
    if (word === "-f" || word === "--file") file = next();
    else if (word === "-A" || word === "--attr") attributePaths.push(next());
    else if (NAMES[word] !== undefined) given.add(NAMES[word]);
    else if (word.startsWith("-")) return false;
    else words.push(word);
    return true;
  });
  if (given.has("help")) return printHelp("nix-env");
  if (given.has("version")) return printVersion("nix-env");
  const isMetadata = ["query", "available", "json", "meta"].every((name) => given.has(name));
  if (!isMetadata || file === undefined || words.length > 0)
    throw new DevshellError("CLI_NOT_BUILT", "Cannot run nix-env: profiles are not built yet", {
      hint: "packages of a project go into its spec: `devshell init`",
    });
  using context = openContext(flags, { isReadOnly: true });
  const evaluation = openCompatEvaluation(context, flags);
  const entries: string[] = [];
  for (const { value } of selectValues(
    evaluation,
    evaluation.evaluate({ kind: "file", file }),
    attributePaths,
  )) {
    const set = evaluation.evaluator.autoCall(value, evaluation.autoArguments);
    if (!(set instanceof AttrSet)) continue;
    for (const name of set.sortedNames()) {
      const slot = set.get(name);
      const item = slot === undefined ? undefined : force(slot);
      const meta = item instanceof AttrSet ? item.get("meta") : undefined;
      if (meta === undefined) continue;
      const text = printJson(evaluation.evaluator.runtime, meta, new Set());
      entries.push(`${JSON.stringify(name)}:{"meta":${text}}`);
    }
  }
  printLine(`{${entries.join(",")}}`);
  return 0;
}

const NAMES: Readonly<Record<string, string>> = {
  "--help": "help",
  "--version": "version",
  "-q": "query",
  "--query": "query",
  "-a": "available",
  "--available": "available",
  "--json": "json",
  "--meta": "meta",
  ...Object.fromEntries(
    ["-i", "--install", "-e", "--uninstall", "-u", "--upgrade", "--set", "--rollback", "-G", "-s", "-p"].map(
      (word) => [word, "profile"],
    ),
  ),
};
