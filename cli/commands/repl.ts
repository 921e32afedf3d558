import { bytesOfText } from "../../core/index.ts";
import { autoArguments, createStoreContext, openEvaluation } from "../../env/index.ts";
import type { Invocation } from "../invocation.ts";
import { messageLine } from "../messageLine.ts";
import { printNow } from "../repl/conversation.ts";
import { ReplSession } from "../repl/replSession.ts";
import { runRepl } from "../repl/runRepl.ts";
import { requestOf, settingsOf } from "../request.ts";

/** `devshell repl`: a conversation with the evaluator. */
export async function run({ words, flags }: Invocation): Promise<number> {
  const request = requestOf(words, flags);
  using context = createStoreContext({
    settings: settingsOf(flags),
    onEvent: (event) => {
      if (event.kind === "message") process.stderr.write(`${messageLine(event.level, event.text)}\n`);
      else if (event.kind === "log") process.stderr.write(`${event.line}\n`, "latin1");
    },
  });
  const { directory, includes = [], files = [], expression } = request;
  const session = new ReplSession({
    context,
    open: ({ showTrace }) => {
      const { evaluator, host } = openEvaluation(context, { directory, includes, showTrace });
      return { evaluator, host, autoArguments: autoArguments(evaluator, request) };
    },
    directory,
    print: printNow,
    notice: (text) => process.stderr.write(text, "latin1"),
    given: ({ evaluator }) => {
      if (expression === undefined) return [];
      const text = bytesOfText(expression);
      const value = evaluator.evalText(text, bytesOfText(directory), { kind: "string", text });
      return [{ name: expression, value }];
    },
    hasTrace: flags.has("showTrace"),
  });
  if (process.stdin.isTTY) process.stderr.write("The Nix language, by devshell; :? lists commands\n");
  for (const file of files) session.load(file);
  session.loadGiven();
  await runRepl(session);
  return 0;
}
