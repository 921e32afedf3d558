import type { StoreContext } from "../../env/index.ts";
import type { DebugAnswer, DebugStop } from "../../lang/index.ts";
import type { DebuggedEvaluation } from "../repl/debugRepl.ts";
import type { ReplEvaluation } from "../repl/replSession.ts";
import { baseDirectory } from "./baseDirectory.ts";
import type { CommonFlags } from "./commandLine.ts";

type AskDebugger = (stop: DebugStop, debugged: DebuggedEvaluation) => DebugAnswer;

let ask: AskDebugger | undefined;

/** Says who is asked where evaluation stands still: what is loaded (`loadDebugger.ts`) only for that. */
export function useDebugger(given: AskDebugger): void {
  ask = given;
}

/** What is done where evaluation stands still; `undefined` without `--debugger`. */
export function debuggerOf(
  context: StoreContext,
  flags: CommonFlags,
  evaluation: () => ReplEvaluation,
): ((stop: DebugStop) => DebugAnswer) | undefined {
  if (!flags.hasDebugger) return undefined;
  const asked = ask;
  if (asked === undefined) throw new Error("the debugger was not loaded");
  return (stop) =>
    asked(stop, {
      context,
      evaluation: evaluation(),
      directory: baseDirectory(),
      hasTrace: context.settings.config.raw.get("show-trace") === "true",
      isQuiet: flags.verbosity < 0,
    });
}
