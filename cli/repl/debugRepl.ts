import { NIX_VERSION, bytesOfText, formatError, formatPlace } from "../../core/index.ts";
import type { StoreContext } from "../../env/index.ts";
import type { DebugAnswer, DebugStop, DebugTrace } from "../../lang/index.ts";
import { writeStandardOutput } from "../compat/output.ts";
import { DEBUGGER_HELP } from "./help.ts";
import { InputLines, type InputLine } from "./inputLines.ts";
import { ReplSession, type ReplEvaluation } from "./replSession.ts";
import { runInput, runInputNow, type ReplOutcome } from "./runInput.ts";
import { PROMPT, PROMPT_MORE, isInputEchoed } from "./runRepl.ts";

/** What the debugger is opened in. */
export interface DebuggedEvaluation {
  readonly context: StoreContext;
  readonly evaluation: ReplEvaluation;
  readonly directory: string;
  readonly hasTrace: boolean;
  readonly isQuiet: boolean;
}

/** Talks with the user where evaluation stands still, until it may go on. Nothing else runs meanwhile. */
export function askDebugger(stop: DebugStop, debugged: DebuggedEvaluation): DebugAnswer {
  const { context, evaluation, directory, hasTrace, isQuiet } = debugged;
  const session = new ReplSession({
    context,
    open: () => evaluation,
    directory,
    print,
    notice,
    names: stop.traces[0]?.variables(),
    isNix: true,
    isWaiting: true,
    hasTrace,
  });
  tellWhy(stop, session.hasTrace);
  greet(isQuiet);
  const answer = new Conversation(stop, session).run();
  // There is no failure to end with: Nix ends well then.
  if (answer === "quit" && stop.failure === undefined && !stop.isBreakpoint) process.exit(0);
  return answer;
}

/** The repl itself, where a debugger is on: both read the same lines, so that neither takes the other's. */
export async function runDebuggedRepl(session: ReplSession, isQuiet: boolean): Promise<void> {
  greet(isQuiet);
  let pending = "";
  for (;;) {
    const line = readLine(session, pending !== "");
    if (line.kind === "end") {
      if (pending !== "") await runShown(session, pending, true);
      return;
    }
    const input = line.kind === "abandoned" ? "" : `${pending}${line.text}\n`;
    const outcome = await runShown(session, input, false);
    if (outcome === "quit") return;
    pending = outcome === "more" ? input : "";
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

let isGreeted = false;

/** Once: each further stop goes on where the last one was. */
function greet(isQuiet: boolean): void {
  if (!isGreeted && !isQuiet) notice(`Nix ${NIX_VERSION} debugger\nType :? for help.\n`);
  isGreeted = true;
}

function tellWhy({ failure, isBreakpoint, isInTry }: DebugStop, hasTrace: boolean): void {
  if (isBreakpoint) notice("info: breakpoint reached\n\n");
  if (failure === undefined) return;
  notice(bytesOfText(`${formatError(failure, { showTrace: hasTrace })}\n\n`));
  if (isInTry) notice("This exception occurred in a 'tryEval' call. Use --ignore-try to skip these.\n\n");
}

const COMMAND = /^:(\S*)\s*(.*)$/s;

/** One stop's conversation. */
class Conversation {
  readonly #stop: DebugStop;
  readonly #session: ReplSession;
  /** The trace that is looked at. */
  #index = 0;

  constructor(stop: DebugStop, session: ReplSession) {
    this.#stop = stop;
    this.#session = session;
  }

  run(): DebugAnswer {
    let pending = "";
    for (;;) {
      const line = readLine(this.#session, pending !== "");
      if (line.kind === "end") {
        print("\n");
        return "quit";
      }
      const input = line.kind === "abandoned" ? "" : `${pending}${line.text}\n`;
      const outcome = this.#take(input);
      if (outcome === "continue" || outcome === "step" || outcome === "quit") return outcome;
      pending = outcome === "more" ? input : "";
    }
  }

  #take(input: string): ReplOutcome | DebugAnswer {
    const [, name = "", argument = ""] = COMMAND.exec(input.trim()) ?? [];
    switch (name) {
      case "c":
      case "continue":
        return "continue";
      case "s":
      case "step":
        return "step";
      case "bt":
      case "backtrace":
        this.#stop.traces.forEach((trace, i) => print(`\n${i}: ${showTrace(trace)}`));
        print("\n");
        return "done";
      case "env":
        this.#showVariables();
        print("\n");
        return "done";
      case "st":
        this.#choose(argument.trim());
        print("\n");
        return "done";
      default:
    }
    try {
      const outcome = runInputNow(this.#session, input);
      if (name === "?" || name === "help") print(DEBUGGER_HELP);
      return outcome;
    } catch (error) {
      this.#session.showError(error);
      print("\n");
      return "done";
    }
  }

  /** Looks at another trace, or at the same again. */
  #choose(argument: string): void {
    if (/^[+-]?\d/.test(argument)) this.#index = Number.parseInt(argument, 10);
    const trace = this.#stop.traces[this.#index];
    if (trace === undefined) return;
    print(`\n${this.#index}: ${showTrace(trace)}\n`);
    this.#showVariables();
    this.#session.setNames(trace.variables());
  }

  #showVariables(): void {
    const levels = this.#stop.traces[this.#index]?.levels() ?? [];
    for (const [i, { names, withNames, isGlobal }] of levels.entries()) {
      print(`Env level ${i}\n${isGlobal ? "" : "static: "}${listed(names)}\n`);
      if (withNames !== undefined) print(`with: ${listed(withNames)}\n`);
      print("\n");
    }
  }
}

function listed(names: readonly string[]): string {
  return names.map((name) => `${name} `).join("");
}

/** In bytes, with a line feed at the end. */
function showTrace({ message, place, isError }: DebugTrace): string {
  const line = `${isError ? "error: " : ""}${message}\n`;
  return place === undefined ? line : `${line}${bytesOfText(formatPlace(place))}\n`;
}

/** One for all stops: what was read ahead at one is for the next. */
const lines = new InputLines();

function readLine(session: ReplSession, isMore: boolean): InputLine {
  const prompt = isMore ? PROMPT_MORE : PROMPT;
  const line = lines.next(prompt, (text) => session.complete(text));
  if (line.kind === "line" && isInputEchoed()) print(`${prompt}${bytesOfText(line.text)}\n`);
  return line;
}

/** At once: what waits to be written would come after what is typed. */
function print(bytes: string): void {
  writeStandardOutput(Buffer.from(bytes, "latin1"));
}

function notice(bytes: string): void {
  process.stderr.write(bytes, "latin1");
}
