import { autoArguments, createStoreContext, openEvaluation } from "../../env/index.ts";
import type { Invocation } from "../invocation.ts";
import { ReplSession } from "../repl/replSession.ts";
import { runRepl } from "../repl/runRepl.ts";
import { requestOf, settingsOf } from "../request.ts";

/** `devshell repl`: a conversation with the evaluator. */
export async function run({ words, flags }: Invocation): Promise<number> {
  const request = requestOf(words, flags);
  using context = createStoreContext({
    settings: settingsOf(flags),
    onEvent: (event) => {
      if (event.kind === "message") process.stderr.write(`${event.text}\n`);
      else if (event.kind === "log") process.stderr.write(`${event.line}\n`, "latin1");
    },
  });
  const { directory, includes = [], files = [], expression } = request;
  const { evaluator, host } = openEvaluation(context, { directory, includes });
  const session = new ReplSession({
    context,
    evaluator,
    host,
    autoArguments: autoArguments(evaluator, request),
    directory,
    print: (text) => process.stdout.write(text, "latin1"),
  });
  for (const file of files) session.load(file);
  if (expression !== undefined) session.addAttributes(session.evaluate(expression));
  await runRepl(session, {
    hasTrace: flags.has("showTrace"),
    greeting: "The Nix language, by devshell; :? lists commands",
  });
  return 0;
}
