import { DevshellError } from "../../core/index.ts";
import type { PrintOptions } from "../../lang/index.ts";
import { findReplCommand } from "./commands.ts";
import { isUnfinished, type ReplSession } from "./replSession.ts";

/** What came of an input: `more` asks for a further line of it. */
export type ReplOutcome = "done" | "more" | "quit";

/** As far as a set or list is shown without `:p`. */
const SHALLOW: PrintOptions = { force: true, derivationPaths: true, maxDepth: 1, prettyIndent: 2 };
const COMMAND = /^:(\S*)\s*(.*)$/s;

/**
 * Does what a line (or several) says.
 * @param isLast nothing can follow: what is unfinished is wrong
 * @throws {DevshellError} what it fails with
 */
export async function runInput(session: ReplSession, input: string, isLast = false): Promise<ReplOutcome> {
  const text = input.trim();
  if (text === "") return "done";
  const command = COMMAND.exec(text);
  try {
    if (command !== null) return await runCommand(session, command[1] ?? "", (command[2] ?? "").trim());
    if (!session.define(text)) session.print(session.evaluate(text), SHALLOW);
    return "done";
  } catch (error) {
    if (!isLast && isUnfinished(error)) return "more";
    throw error;
  }
}

async function runCommand(session: ReplSession, name: string, argument: string): Promise<ReplOutcome> {
  if (name === "q" || name === "quit") return "quit";
  const command = findReplCommand(name);
  if (command === undefined)
    throw new DevshellError("REPL_COMMAND", `unknown command ':${name}'`, { hint: "`:?` lists them" });
  await command(session, argument);
  return "done";
}
