import { checkInterrupt } from "../../core/index.ts";
import { evalError, type EvalError } from "./error.ts";
import { NO_POS, type Pos } from "./position.ts";

/** More calls than there can be, and fewer than {@link stopCalls} says there are. */
export const NO_LIMIT = Number.MAX_VALUE;

/**
 * How many calls evaluation is within, kept only where there is a limit. A call that fails leaves its level behind:
 * who catches a failure puts the depth back (no `finally` in every call: measured, 8 % of nixpkgs' firefox).
 */
export const calls = { depth: 0, limit: NO_LIMIT };

/** Makes the next call ask whether it was interrupted: all calls look at the depth, and it costs them no more. */
export function stopCalls(): void {
  if (calls.depth !== Infinity) depthBefore = calls.depth;
  calls.depth = Infinity;
}

/** Where nothing was evaluated when {@link stopCalls} was called, nobody has put the depth back. */
export function resumeCalls(): void {
  if (calls.depth === Infinity) calls.depth = depthBefore;
}

let depthBefore = 0;

/** Goes a level deeper: into a builtin, or what is compared, printed or followed; `calls.depth--` comes back. */
export function enterLevel(pos: Pos): void {
  enterCall(calls.limit, pos);
}

/** Runs something a level deeper. */
export function deeper<T>(run: () => T): T {
  enterLevel(NO_POS);
  const result = run();
  calls.depth--;
  return result;
}

/** @throws EvalError past the limit, as Nix's `max-call-depth` */
export function enterCall(limit: number, pos: Pos): void {
  checkDepth(limit, pos);
  calls.depth++;
}

/** For a call that ends at once, as one that gives a function that takes the next argument. */
export function checkDepth(limit: number, pos: Pos): void {
  if (calls.depth > limit) throw tooDeep(pos);
}

/** Levels of data that holds data where calls are not limited: what has no end is to be told soon. */
const MAX_LEVELS = 100_000;

/** Levels of what is printed or stood for are no calls, yet may be as many, as in Nix. */
export function checkLevels(levels: number, pos: Pos): void {
  if (levels > (calls.limit === NO_LIMIT ? MAX_LEVELS : calls.limit)) throw tooDeep(pos);
}

/** @param pos of a call; one that a builtin makes is told by the builtin's own */
export function tooDeep(pos: Pos): EvalError {
  checkInterrupt();
  const error = evalError("stackOverflow", "stack overflow; max-call-depth exceeded", pos);
  error.isUnplaced = pos === NO_POS;
  return error;
}

/** What is compared past the limit has no place, as in Nix. */
export function comparedTooDeep(): EvalError {
  const error = tooDeep(NO_POS);
  error.isUnplaced = false;
  return error;
}
