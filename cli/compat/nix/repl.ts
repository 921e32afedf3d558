import { DevshellError, NIX_VERSION } from "../../../core/index.ts";
import { workingDirectory } from "../../../env/index.ts";
import { EMPTY_SET, EvalError, type Value } from "../../../lang/index.ts";
import { printNow } from "../../repl/conversation.ts";
import { greet } from "../../repl/debugRepl.ts";
import { ReplSession } from "../../repl/replSession.ts";
import { runRepl } from "../../repl/runRepl.ts";
import { parseCommandLine } from "../commandLine.ts";
import { openContext } from "../context.ts";
import { openCompatEvaluation, type CompatEvaluation } from "../evaluate.ts";
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
    given:
      expression !== undefined
        ? [
            {
              name: expression,
              evaluate: () => evaluation.evaluate({ kind: "text", text: expression }),
            },
          ]
        : words.map((word) => ({ name: word, evaluate: () => flakeValue(evaluation, word, open) })),
    isNix: true,
    hasTrace: context.settings.config.raw.get("show-trace") === "true",
  });
  const isQuiet = flags.verbosity < 0;
  if (flags.hasDebugger) greet(isQuiet);
  else if (!isQuiet) process.stderr.write(`Nix ${NIX_VERSION}\nType :? for help.\n`);
  if (file !== undefined) session.load(file);
  session.loadGiven();
  await runRepl(session);
  return 0;
}

/** What `FLAKE#ATTRIBUTE` names: of the outputs, or of the packages for this system. */
function flakeValue(
  { evaluator, host }: CompatEvaluation,
  word: string,
  open: (reference: string) => FlakeOutputs,
): Value {
  const [reference = "", fragment = ""] = word.split("#");
  const { outputs, shown } = open(reference);
  if (fragment === "") return evaluator.force(outputs);
  const tried = [
    `packages.${host.currentSystem}.${fragment}`,
    `legacyPackages.${host.currentSystem}.${fragment}`,
    fragment,
  ];
  for (const path of tried) {
    try {
      return evaluator.force(evaluator.selectAttrPath(outputs, path, EMPTY_SET).slot);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
  throw new DevshellError(
    "CLI_NO_ATTRIBUTE",
    `flake '${shown}' does not provide attribute ${tried.map((path) => `'${path}'`).join(" or ")}`,
  );
}

function isMissing(error: unknown): boolean {
  return error instanceof EvalError && error.kind === "missingAttribute";
}
