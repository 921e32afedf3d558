import { printNow, readLine } from "./conversation.ts";
import type { ReplSession } from "./replSession.ts";
import { runInput, type ReplOutcome } from "./runInput.ts";

/**
 * Reads lines until their end or `:q`; at a terminal with a prompt, history and completion. What fails is printed, and
 * the conversation goes on.
 */
export async function runRepl(session: ReplSession): Promise<void> {
  let pending = "";
  for (;;) {
    const line = readLine(session, pending !== "");
    if (line.kind === "end") {
      if (pending !== "") await runShown(session, pending, true);
      printNow("\n");
      return;
    }
    // As after all that is done: an empty line.
    const input = line.kind === "abandoned" ? "" : `${pending}${line.text}\n`;
    const outcome = await runShown(session, input, false);
    if (outcome === "quit") return;
    pending = outcome === "more" ? input : "";
    if (outcome === "done") printNow("\n");
  }
}

async function runShown(session: ReplSession, input: string, isLast: boolean): Promise<ReplOutcome> {
  try {
    return await runInput(session, input, isLast);
  } catch (error) {
    session.showError(error);
    return "done";
  }
}
