import { DevshellError } from "../../../core/index.ts";
import { workingDirectory } from "../../../env/index.ts";
import { NIX_VERSION } from "../../../lang/index.ts";
import { ReplSession } from "../../repl/replSession.ts";
import { runRepl } from "../../repl/runRepl.ts";
import { parseCommandLine } from "../commandLine.ts";
import { openContext } from "../context.ts";
import { openCompatEvaluation } from "../evaluate.ts";
import { printBytes } from "../output.ts";
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
  const [reference] = words;
  if (reference !== undefined)
    throw new DevshellError(
      "CLI_FLAKE_NOT_BUILT",
      `Cannot load "${reference}" as a flake: nix repl with flakes is not built yet`,
      { hint: "give --file FILE or --expr EXPRESSION" },
    );
  using context = openContext(flags);
  const evaluation = openCompatEvaluation(context, flags);
  const { evaluator, host, autoArguments } = evaluation;
  const session = new ReplSession({
    context,
    evaluator,
    host,
    autoArguments,
    directory: workingDirectory(),
    print: printBytes,
  });
  if (installables.file !== undefined) session.load(installables.file);
  if (installables.expression !== undefined)
    session.addAttributes(evaluation.evaluate({ kind: "text", text: installables.expression }));
  await runRepl(session, {
    hasTrace: flags.settings.get("show-trace") === "true",
    greeting: `Nix ${NIX_VERSION} by devshell\nType :? for help.`,
  });
  return 0;
}
