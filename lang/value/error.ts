import { DevshellError, type DevshellErrorOptions, type TraceFrame } from "../../core/index.ts";
import { debugging } from "./debugging.ts";
import { NO_POS, sourcePos, type Pos } from "./position.ts";

/** What went wrong, by kind; `throw` and `assert` are what `builtins.tryEval` catches. */
export type EvalErrorKind =
  | "throw"
  | "assert"
  | "abort"
  | "type"
  | "missingAttribute"
  | "missingArgument"
  | "undefinedVariable"
  | "infiniteRecursion"
  | "stackOverflow"
  | "tooLarge"
  | "restricted"
  | "parse"
  | "usage"
  | "eval";

const CODES: Record<EvalErrorKind, string> = {
  throw: "LANG_THROWN",
  assert: "LANG_ASSERTION",
  abort: "LANG_ABORTED",
  type: "LANG_TYPE",
  missingAttribute: "LANG_ATTRIBUTE_MISSING",
  missingArgument: "LANG_ARGUMENT_MISSING",
  undefinedVariable: "LANG_UNDEFINED_VARIABLE",
  infiniteRecursion: "LANG_INFINITE_RECURSION",
  stackOverflow: "LANG_STACK_OVERFLOW",
  tooLarge: "LANG_TOO_LARGE",
  restricted: "LANG_RESTRICTED",
  parse: "LANG_PARSE",
  usage: "LANG_USAGE",
  eval: "LANG_EVAL",
};

/** What a fixed array of V8 holds. */
export const MAX_LIST_LENGTH = 2 ** 27 - 32;

/** A failure of evaluation. Its message is Nix's own wording; frames are pushed on the way out, innermost first. */
export class EvalError extends DevshellError {
  readonly kind: EvalErrorKind;
  /** The thunk that was found under evaluation, until its own frame is reached. */
  blackhole: object | undefined;

  constructor(kind: EvalErrorKind, message: string, options: DevshellErrorOptions = {}) {
    super(CODES[kind], message, options);
    this.kind = kind;
  }

  /** What the engine refused has no place of its own: the first frame that has one gives it. */
  isUnplaced = false;

  /** The same failure, to get frames of its own. @param pos its place, where it has none */
  copy(pos: Pos = NO_POS): EvalError {
    return new EvalError(this.kind, this.message, {
      hint: this.hint,
      pos: pos === NO_POS ? this.pos : sourcePos(pos),
      trace: this.trace,
      suggestions: this.suggestions,
      cause: this.cause,
      exitStatus: this.exitStatus,
    });
  }
}

export interface EvalErrorOptions {
  readonly suggestions?: readonly string[];
  /** A first frame, as Nix's `withTrace`. */
  readonly frame?: string;
  readonly framePos?: Pos;
  readonly hint?: string | undefined;
  readonly exitStatus?: number;
}

/** Failures of what was written or asked, where no evaluation stands still. */
const UNDEBUGGED: ReadonlySet<EvalErrorKind> = new Set(["parse", "usage"]);

/** Makes (does not throw) an evaluation error at a position, and tells a debugger; no JavaScript stack is captured. */
export function evalError(
  kind: EvalErrorKind,
  message: string,
  pos: Pos = NO_POS,
  options: EvalErrorOptions = {},
): EvalError {
  const error = makeError(kind, message, pos, options);
  if (debugging.control !== undefined && !UNDEBUGGED.has(kind)) debugging.control.failed(error);
  return error;
}

function makeError(kind: EvalErrorKind, message: string, pos: Pos, options: EvalErrorOptions): EvalError {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  const error = new EvalError(kind, message, {
    pos: sourcePos(pos),
    hint: options.hint,
    suggestions: options.suggestions,
    exitStatus: options.exitStatus,
  });
  Error.stackTraceLimit = limit;
  if (options.frame !== undefined) addFrame(error, options.frame, options.framePos ?? NO_POS);
  return error;
}

/** Past this many frames the middle of a trace is dropped: only its ends are ever read. */
const MAX_FRAMES = 20_000;

/**
 * Adds a frame to an error on its way out, and gives back what to throw on: a JavaScript stack overflow becomes
 * Nix's own error for it, and so on; anything that is no user's error stays as it is.
 * @param isAlways shown even when the trace is truncated
 */
export function addFrame(error: unknown, message: string, pos: Pos = NO_POS, isAlways = false): unknown {
  const found = asDevshellError(error, pos);
  if (found === undefined) return error;
  const known = pos !== NO_POS && found instanceof EvalError && found.isUnplaced ? found.copy(pos) : found;
  const trace = known.trace;
  if (trace.length >= MAX_FRAMES) trace.splice(MAX_FRAMES / 4, MAX_FRAMES / 2);
  const frame: TraceFrame = isAlways
    ? { message, pos: sourcePos(pos), isAlways }
    : { message, pos: sourcePos(pos) };
  trace.push(frame);
  return known;
}

/** What a JavaScript engine refuses, by its message's beginning, and how it is told. */
type Refusal = readonly [start: string, kind: EvalErrorKind, message: string, hint?: string];

const REFUSALS: readonly Refusal[] = [
  [
    "Maximum call stack",
    "stackOverflow",
    "stack overflow; max-call-depth exceeded",
    "does something call itself without end? `--option max-call-depth 10000` tells where",
  ],
  [
    "Heap limit",
    "tooLarge",
    "out of memory: evaluation needs more than the heap may hold",
    "does something grow without end? If not, NODE_OPTIONS=--max-old-space-size=MIB allows more",
  ],
  ["Invalid string length", "tooLarge", "cannot create a string of more than 536870888 bytes"],
  ["Invalid array length", "tooLarge", `cannot create a list of more than ${MAX_LIST_LENGTH} elements`],
  ["Map maximum size", "tooLarge", "cannot create a set of more than 16777216 attributes"],
  ["Set maximum size", "tooLarge", "cannot create a set of more than 16777216 attributes"],
];

/** Turns what the JavaScript engine refuses (a stack overflow, a text too long) into an error of ours. */
export function asDevshellError(error: unknown, pos: Pos = NO_POS): DevshellError | undefined {
  if (error instanceof DevshellError) return error;
  if (!(error instanceof RangeError)) return undefined;
  const refusal = REFUSALS.find(([start]) => error.message.startsWith(start));
  if (refusal === undefined) return undefined;
  const [, kind, message, hint] = refusal;
  const known = makeError(kind, message, pos, { hint });
  known.isUnplaced = pos === NO_POS;
  return known;
}

/** Whether `builtins.tryEval` catches it. */
export function isCatchable(error: unknown): boolean {
  return error instanceof EvalError && (error.kind === "throw" || error.kind === "assert");
}
