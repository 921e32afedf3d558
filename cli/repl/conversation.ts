import { bytesOfText, checkInterrupt } from "../../core/index.ts";
import { writeStandardOutput } from "../compat/output.ts";
import { InputLines, type InputLine } from "./inputLines.ts";
import { InterruptWatch } from "./interruptWatch.ts";
import type { ReplSession } from "./replSession.ts";

const PROMPT = "nix-repl> ";
const PROMPT_MORE = "        > ";

/** What is written between two looks whether it was interrupted. */
const PIECE_BYTES = 64 << 10;

/** One for all conversations of the process: what was read ahead at one stop of a debugger is for the next. */
let lines: InputLines | undefined;
let interrupts: InterruptWatch | undefined;

/** Asks for a line. From the first one on, Ctrl-C at a terminal ends what the line began, and no longer the process. */
export function readLine(session: ReplSession, isMore: boolean): InputLine {
  lines ??= new InputLines();
  if (lines.isTerminal) interrupts ??= new InterruptWatch();
  const prompt = isMore ? PROMPT_MORE : PROMPT;
  const line = lines.next(prompt, (text) => {
    interrupts?.begin();
    return session.complete(text);
  });
  interrupts?.begin();
  // Nix's own tests ask for it: what is typed, among what is printed.
  if (line.kind === "line" && process.env["_NIX_TEST_REPL_ECHO"] !== undefined)
    printNow(`${prompt}${bytesOfText(line.text)}\n`);
  return line;
}

/** Aborted by Ctrl-C while what was typed last runs; `undefined` where Ctrl-C ends the process. */
export function interruptSignal(): AbortSignal | undefined {
  return interrupts?.signal;
}

/**
 * Prints at once, in bytes: what waits to be written would come after what is typed.
 * @throws {Interrupted}
 */
export function printNow(bytes: string): void {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    if (at > 0) checkInterrupt();
    writeStandardOutput(Buffer.from(bytes.slice(at, at + PIECE_BYTES), "latin1"));
  }
}
