import { createInterface } from "node:readline";
import { printError } from "../printError.ts";
import type { ReplOutcome, ReplSession } from "./replSession.ts";

const PROMPT = "nix-repl> ";
const PROMPT_MORE = "          ";

/**
 * Reads lines until their end or `:q`; at a terminal with a prompt, history and completion. What fails is printed, and
 * the conversation goes on.
 */
export async function runRepl(
  session: ReplSession,
  options: { readonly hasTrace: boolean; readonly greeting: string },
): Promise<void> {
  const isTerminal = process.stdin.isTTY && process.stdout.isTTY;
  using lines = createInterface({
    input: process.stdin,
    ...(isTerminal ? { output: process.stdout } : {}),
    terminal: isTerminal,
    completer: (line: string) => session.complete(line),
  });
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
  if (isTerminal) process.stdout.write(`${options.greeting}\n\n`);
  prompt();
  const run = async (input: string, isLast: boolean): Promise<ReplOutcome> => {
    try {
      return await session.run(input, isLast);
    } catch (error) {
      printError(error, options);
      return "done";
    }
  };
  for await (const line of lines) {
    const input = pending === "" ? line : `${pending}\n${line}`;
    const outcome = await run(input, false);
    if (outcome === "quit") return;
    pending = outcome === "more" ? input : "";
    prompt();
  }
  if (pending !== "") await run(pending, true);
}
