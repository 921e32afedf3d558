import { checkInterrupt } from "../../core/index.ts";
import { asDevshellError, evalError, type EvalError } from "./error.ts";
import { claimWords } from "./heap.ts";
import { NO_POS, type Pos } from "./position.ts";

/** More calls than there can be, and fewer than {@link stopCalls} says there are. */
export const NO_LIMIT = Number.MAX_VALUE;

/**
 * How many calls evaluation is within, kept only where there is a limit. A call that fails leaves its level behind:
 * who catches a failure puts the depth back (no `finally` in every call: measured, 8 % of nixpkgs' firefox). Where it
 * is more than `unasked`, the limit and the memory are looked at.
 */
export const calls = { depth: 0, limit: NO_LIMIT, unasked: 0 };

/** Sets the limit of calls within calls. */
export function limitCalls(limit: number): void {
  calls.limit = limit;
  calls.unasked = Math.min(calls.unasked, limit);
}

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

/**
 * Goes a level deeper: into a call, or what is compared, printed or followed; `calls.depth--` comes back.
 * @throws EvalError past the limit, as Nix's `max-call-depth`
 */
export function enterLevel(pos: Pos): void {
  checkDepth(pos);
  calls.depth++;
}

/** For a call that ends at once, as one that gives a function that takes the next argument. */
export function checkDepth(pos: Pos): void {
  if (calls.depth > calls.unasked) ask(pos);
}

/** Levels between two claims of memory, and what each may hold: environments, and its part of V8's own stack. */
const LEVELS = 1 << 12;
const WORDS_OF_LEVEL = 32;

function ask(pos: Pos): void {
  if (calls.depth > calls.limit) throw tooDeep(pos);
  try {
    claimWords(LEVELS * WORDS_OF_LEVEL);
  } catch (error) {
    // Calls alone leave no frame that could give it a place.
    throw asDevshellError(error, pos) ?? error;
  }
  calls.unasked = Math.min(calls.limit, calls.depth + LEVELS);
}

/** Runs something a level deeper. */
export function deeper<T>(run: () => T): T {
  enterLevel(NO_POS);
  const result = run();
  calls.depth--;
  return result;
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
