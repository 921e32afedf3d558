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
  try {
    return await run(session, input);
  } catch (error) {
    if (!isLast && isUnfinished(error)) return "more";
    throw error;
  }
}

/** The same for a session that something waits for (`isWaiting`): at once. */
export function runInputNow(session: ReplSession, input: string): ReplOutcome {
  try {
    const outcome = run(session, input);
    if (typeof outcome === "string") return outcome;
  } catch (error) {
    if (isUnfinished(error)) return "more";
    throw error;
  }
  throw new Error(`a command does not end at once: ${input}`);
}

function run(session: ReplSession, input: string): ReplOutcome | Promise<ReplOutcome> {
  const text = input.trim();
  if (text === "") return "done";
  const command = COMMAND.exec(text);
  if (command !== null) return runCommand(session, command[1] ?? "", (command[2] ?? "").trim());
  if (!session.define(text)) session.print(session.evaluate(text), SHALLOW);
  return "done";
}

function runCommand(
  session: ReplSession,
  name: string,
  argument: string,
): ReplOutcome | Promise<ReplOutcome> {
  if (name === "q" || name === "quit") return "quit";
  const command = findReplCommand(name);
  if (command === undefined)
    throw new DevshellError("REPL_COMMAND", `unknown command ':${name}'`, { hint: "`:?` lists them" });
  const done = command(session, argument);
  return done instanceof Promise ? done.then((): ReplOutcome => "done") : "done";
}
