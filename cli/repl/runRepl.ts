import { createInterface } from "node:readline";
import type { ReplSession } from "./replSession.ts";
import { runInput, type ReplOutcome } from "./runInput.ts";

export const PROMPT = "nix-repl> ";
export const PROMPT_MORE = "        > ";

/** Nix's own tests ask for it: what is typed, among what is printed. */
export function isInputEchoed(): boolean {
  return process.env["_NIX_TEST_REPL_ECHO"] !== undefined;
}

/**
 * Reads lines until their end or `:q`; at a terminal with a prompt, history and completion. What fails is printed, and
 * the conversation goes on.
 */
export async function runRepl(session: ReplSession, options: { readonly greeting: string }): Promise<void> {
  const isTerminal = process.stdin.isTTY && process.stdout.isTTY;
  using lines = createInterface({
    input: process.stdin,
    ...(isTerminal ? { output: process.stdout } : {}),
    terminal: isTerminal,
    completer: (line: string) => session.complete(line),
  });
  const isEchoed = isInputEchoed();
  let pending = "";
  const prompt = (): void => {
    if (!isTerminal) return;
    lines.setPrompt(pending === "" ? PROMPT : PROMPT_MORE);
    lines.prompt();
  };
  lines.on("SIGINT", () => {
    pending = "";
    process.stdout.write("\n");
    prompt();
  });
  if (options.greeting !== "") process.stderr.write(`${options.greeting}\n${isTerminal ? "\n" : ""}`);
  prompt();
  const run = async (input: string, isLast: boolean): Promise<ReplOutcome> => {
    try {
      return await runInput(session, input, isLast);
    } catch (error) {
      session.showError(error);
      return "done";
    }
  };
  for await (const line of lines) {
    if (isEchoed) process.stdout.write(`${pending === "" ? PROMPT : PROMPT_MORE}${line}\n`);
    const input = pending === "" ? line : `${pending}\n${line}`;
    const outcome = await run(input, false);
    if (outcome === "quit") return;
    pending = outcome === "more" ? input : "";
    prompt();
  }
  if (pending !== "") await run(pending, true);
}
