import { resolve } from "node:path";
import type { FlakeOutput } from "../../../env/index.ts";
import { coerceToString, printJson, printValue } from "../../../lang/index.ts";
import { bytesOfText } from "../../../core/index.ts";
import { keepEvaluation, type Keeper } from "../../keepEvaluation.ts";
import { parseCommandLine, usageError } from "../commandLine.ts";
import { printBytes, printLine } from "../output.ts";
import {
  newInstallableFlags,
  openInstallableContext,
  takeInstallableFlag,
  valuesOf,
} from "./installables.ts";
import { printJsonLine, takeJsonLayout, type JsonLayout } from "./prettyJson.ts";
import { writeTree } from "./writeTree.ts";

/** `nix eval`. */
export function evaluate(argv: readonly string[]): Promise<number> {
  return keepEvaluation("nix", ["eval", ...argv], (keeper) => run(argv, keeper));
}

function run(argv: readonly string[], keeper: Keeper): number {
  const words: string[] = [];
  const installables = newInstallableFlags();
  let apply: string | undefined;
  let isRaw = false;
  let isJson = false;
  let isReadOnly = false;
  let target: string | undefined;
  const layout: JsonLayout = { isPretty: undefined };
  const flags = parseCommandLine("nix eval", argv, (word, next) => {
    if (takeInstallableFlag(installables, word, next) || takeJsonLayout(layout, word)) return true;
    if (word === "--raw") isRaw = true;
    else if (word === "--json") isJson = true;
    else if (word === "--read-only") isReadOnly = true;
    else if (word === "--apply") apply = next();
    else if (word === "--write-to") target = resolve(next());
    else if (word.startsWith("-")) return false;
    else words.push(word);
    return true;
  });
  if (isRaw && isJson) throw usageError("nix eval", "--raw and --json are mutually exclusive");
  using context = openInstallableContext(flags, installables, { name: "nix eval", isReadOnly });
  const { evaluation, values } = valuesOf(context, flags, installables, words);
  const { evaluator } = evaluation;
  const print = ({ value, pos }: FlakeOutput): void => {
    const used = new Set<string>();
    const result =
      apply === undefined ? value : evaluator.call(evaluation.evaluate({ kind: "text", text: apply }), value);
    if (target !== undefined) writeTree(result, pos, target);
    else if (isRaw)
      printBytes(
        coerceToString(
          evaluator.runtime,
          result,
          used,
          0,
          bytesOfText("while generating the eval command output"),
        ),
      );
    else if (isJson) printJsonLine(printJson(evaluator.runtime, result, used, pos, false), layout);
    else
      printLine(
        printValue(result, { force: true, derivationPaths: true, errors: "throwTopLevel", context: used }),
      );
    evaluation.host.flush();
  };
  for (const selected of values) evaluator.run(() => print(selected));
  // What flakes read on the way is not all recorded.
  const isFlake = installables.file === undefined && installables.expression === undefined;
  if (target === undefined && !isFlake) keeper.keep(context);
  return 0;
}
