import { DevshellError, NIX_VERSION } from "../../../core/index.ts";
import { workingDirectory } from "../../../env/index.ts";
import { EMPTY_SET, EvalError, type Value } from "../../../lang/index.ts";
import { printNow } from "../../repl/conversation.ts";
import { greet } from "../../repl/debugRepl.ts";
import { ReplSession, type GivenSet } from "../../repl/replSession.ts";
import { runRepl } from "../../repl/runRepl.ts";
import { parseCommandLine } from "../commandLine.ts";
import { openContext } from "../context.ts";
import { openCompatEvaluation, selectValues, type CompatEvaluation } from "../evaluate.ts";
import { openFlakeOutputs, referenceOf, type FlakeOutputs } from "./flakeOutputs.ts";
import { newInstallableFlags, takeInstallableFlag } from "./installables.ts";

/** `nix repl`: a conversation with the evaluator. */
export async function repl(argv: readonly string[]): Promise<number> {
  const words: string[] = [];
  const installables = newInstallableFlags();
  const flags = parseCommandLine("nix repl", argv, (word, next) => {
    if (takeInstallableFlag(installables, word, next)) return true;
    if (word.startsWith("-")) return false;
    words.push(word);
    return true;
  });
  using context = openContext(flags);
  const { expression, file } = installables;
  // A flake is opened by the evaluator that is in use then.
  let evaluation = openCompatEvaluation(context, flags);
  const open = (word: string): FlakeOutputs =>
    openFlakeOutputs(context, evaluation, referenceOf(word), { isWritten: false });
  const session = new ReplSession({
    context,
    open: (options) => (evaluation = openCompatEvaluation(context, flags, options)),
    directory: workingDirectory(),
    print: printNow,
    notice: (text) => process.stderr.write(text, "latin1"),
    openFlake: (reference) => open(reference).flake,
    given: () => {
      if (file === undefined && expression === undefined)
        return words.map((word) => flakeSet(evaluation, word, open));
      const root =
        file === undefined
          ? evaluation.evaluate({ kind: "text", text: expression ?? "" })
          : calledFile(evaluation, file);
      const names = words.length === 0 ? [""] : words.map((word) => (word === "." ? "" : word));
      return selectValues(evaluation, root, names).map(({ value }, at) => ({ name: names[at]!, value }));
    },
    isNix: true,
    hasTrace: context.settings.config.raw.get("show-trace") === "true",
  });
  const isQuiet = flags.verbosity < 0;
  if (flags.hasDebugger) greet(isQuiet);
  else if (!isQuiet) process.stderr.write(`Nix ${NIX_VERSION}\nType :? for help.\n`);
  session.loadGiven();
  await runRepl(session);
  return 0;
}

function calledFile(evaluation: CompatEvaluation, file: string): Value {
  const value = evaluation.evaluate({ kind: "file", file, isImported: true });
  return evaluation.evaluator.autoCall(value, evaluation.autoArguments);
}

/** What `FLAKE#ATTRIBUTE` names: of the outputs, or of the packages for this system. */
function flakeSet(
  { evaluator, host }: CompatEvaluation,
  word: string,
  open: (reference: string) => FlakeOutputs,
): GivenSet {
  const [reference = "", fragment = ""] = word.split("#");
  const { outputs, shown } = open(reference);
  const name = `${shown}#${fragment}`;
  if (fragment === "") return { name, value: evaluator.force(outputs) };
  const tried = [
    `packages.${host.currentSystem}.${fragment}`,
    `legacyPackages.${host.currentSystem}.${fragment}`,
    fragment,
  ];
  for (const path of tried) {
    try {
      return { name, value: evaluator.force(evaluator.selectAttrPath(outputs, path, EMPTY_SET).slot) };
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
  const [first, ...others] = tried.map((path) => `'${path}'`).toReversed();
  throw new DevshellError(
    "CLI_NO_ATTRIBUTE",
    `flake '${shown}' does not provide attribute ${others.toReversed().join(", ")} or ${first}`,
  );
}

function isMissing(error: unknown): boolean {
  return error instanceof EvalError && error.kind === "missingAttribute";
}
