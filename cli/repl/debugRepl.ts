import { NIX_VERSION, bytesOfText, formatPlace } from "../../core/index.ts";
import type { StoreContext } from "../../env/index.ts";
import type { DebugAnswer, DebugStop, DebugTrace } from "../../lang/index.ts";
import { errorBytes } from "../printError.ts";
import { DEBUGGER_HELP } from "./help.ts";
import { printNow, readLine } from "./conversation.ts";
import { ReplSession, type ReplEvaluation } from "./replSession.ts";
import { runInputNow, type ReplOutcome } from "./runInput.ts";

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
    print: printNow,
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

let isGreeted = false;

/** Once: each further stop goes on where the last one was. */
export function greet(isQuiet: boolean): void {
  if (!isGreeted && !isQuiet) notice(`Nix ${NIX_VERSION} debugger\nType :? for help.\n`);
  isGreeted = true;
}

function tellWhy({ failure, isBreakpoint, isInTry }: DebugStop, hasTrace: boolean): void {
  if (isBreakpoint) notice("info: breakpoint reached\n\n");
  if (failure === undefined) return;
  notice(`${errorBytes(failure, { showTrace: hasTrace })}\n\n`);
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
        printNow("\n");
        return "quit";
      }
      const input = line.kind === "abandoned" ? "" : `${pending}${line.text}\n`;
      const outcome = this.#take(input);
      if (outcome === "continue" || outcome === "step" || outcome === "quit") return outcome;
      pending = outcome === "more" ? input : "";
      if (outcome === "done") printNow("\n");
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
        this.#stop.traces.forEach((trace, i) => printNow(`\n${i}: ${showTrace(trace)}`));
        return "done";
      case "env":
        this.#showVariables();
        return "done";
      case "st":
        this.#choose(argument.trim());
        return "done";
      default:
    }
    try {
      const outcome = runInputNow(this.#session, input);
      if (name === "?" || name === "help") printNow(DEBUGGER_HELP);
      return outcome;
    } catch (error) {
      this.#session.showError(error);
      return "done";
    }
  }

  /** Looks at another trace, or at the same again. */
  #choose(argument: string): void {
    if (/^[+-]?\d/.test(argument)) this.#index = Number.parseInt(argument, 10);
    const trace = this.#stop.traces[this.#index];
    if (trace === undefined) return;
    printNow(`\n${this.#index}: ${showTrace(trace)}\n`);
    this.#showVariables();
    this.#session.setNames(trace.variables());
  }

  #showVariables(): void {
    const levels = this.#stop.traces[this.#index]?.levels() ?? [];
    for (const [i, { names, withNames, isGlobal }] of levels.entries()) {
      printNow(`Env level ${i}\n${isGlobal ? "" : "static: "}${listed(names)}\n`);
      if (withNames !== undefined) printNow(`with: ${listed(withNames)}\n`);
      printNow("\n");
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

function notice(bytes: string): void {
  process.stderr.write(bytes, "latin1");
}
