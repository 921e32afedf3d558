import type { DevshellError } from "../../core/index.ts";
import type { Pos } from "./position.ts";

/** What a debugger is told of an evaluation; see `Debugger`, which is the one there is. */
export interface DebugControl {
  /** The user asked to leave: nothing catches what fails from now on. */
  readonly isLeaving: boolean;
  /** Evaluation stands still, and what is evaluated is for the user to see. */
  readonly isLooking: boolean;
  /** A failure was made, and is about to be thrown. */
  failed(error: DevshellError): void;
  /** `builtins.break` was called. */
  breakpoint(): void;
  /** A builtin told the user something. */
  told(what: "trace" | "warning"): void;
  /** Runs what `builtins.tryEval` tries. */
  attempt<T>(run: () => T): T;
  /** Runs what evaluates an attribute, a thunk, because all of its set is wanted. */
  attribute<T>(
    thunk: { readonly code: unknown; readonly data: unknown },
    name: string,
    pos: Pos,
    run: () => T,
  ): T;
}

/** The debugger of the evaluation under way, where there is one. Read where things fail, never where they go well. */
export const debugging: { control: DebugControl | undefined } = { control: undefined };
