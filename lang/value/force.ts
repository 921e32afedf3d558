import { blackhole, isUnderEvaluation } from "./blackhole.ts";
import { NO_LIMIT, calls, enterLevel, tooDeep } from "./callDepth.ts";
import { debugging } from "./debugging.ts";
import { addFrame, evalError, EvalError } from "./error.ts";
import { itemsOf } from "./growingList.ts";
import { claimWords } from "./heap.ts";
import { describeValue, showType } from "./describe.ts";
import { displayContextElement, orderContext } from "./orderContext.ts";
import { FUNCTION_POS, NO_POS, type Pos } from "./position.ts";
import {
  AttrSet,
  type ContextString,
  Float,
  Thunk,
  isFunctionValue,
  isInteger,
  isList,
  isStringValue,
  type Env,
  type Slot,
  type ThunkCode,
  type Value,
} from "./value.ts";
import { quoteAttrName } from "./literal.ts";
import type { Shape } from "./shape.ts";

/** The code of a thunk that failed, whose data is a `Failure`: it fails again without computing again. */
const failed = (data: unknown): never => {
  throw (data as Failure).again();
};

/** A failure kept by a thunk; later forces get a copy, with the frames of the first way out, as in Nix. */
class Failure {
  readonly #error: EvalError;

  constructor(error: EvalError) {
    this.#error = error;
  }

  again(): EvalError {
    return this.#error.copy();
  }
}

/** Gives the value, computing it if need be. @param pos blamed for an infinite recursion found here */
export function force(slot: Slot, pos: Pos = NO_POS): Value {
  return slot instanceof Thunk ? (slot.code === null ? (slot.data as Value) : runThunk(slot, pos)) : slot;
}

/** What a thunk's value takes, about: an environment, and a set or a list with thunks of its own. */
const WORDS_OF_VALUE = 16;

/**
 * Computes a thunk that is not done. A failed one keeps its failure; where failing depends on more than the program
 * (the stack's end, the host), it is put back to be tried again.
 */
export function runThunk(thunk: Thunk, pos: Pos = NO_POS): Value {
  const code = thunk.code!;
  if (code === blackhole) throw recursionError(thunk, pos);
  claimWords(WORDS_OF_VALUE);
  const data = thunk.data as Env;
  thunk.code = blackhole;
  thunk.data = null;
  try {
    const value = code(data, pos);
    thunk.code = null;
    thunk.data = value;
    return value;
  } catch (error) {
    throw failThunk(thunk, code, data, error);
  }
}

function failThunk(thunk: Thunk, code: ThunkCode, data: Env, error: unknown): unknown {
  if (error instanceof EvalError && !dependsOnMoment(error)) {
    if (error.blackhole === thunk) {
      error.blackhole = undefined;
      addFrame(error, "entering the infinite recursion", NO_POS, true);
    }
    thunk.code = failed;
    thunk.data = code === failed ? data : new Failure(error);
  } else {
    thunk.code = code;
    thunk.data = data;
  }
  return error;
}

/** Whether a failure may not come again: the stack was full, or what a debugger stopped in was asked for. */
function dependsOnMoment({ kind }: EvalError): boolean {
  return kind === "stackOverflow" || (kind === "infiniteRecursion" && debugging.control?.isLooking === true);
}

function recursionError(thunk: Thunk, pos: Pos): EvalError {
  const at = pos === FUNCTION_POS ? NO_POS : pos;
  const error = evalError("infiniteRecursion", "infinite recursion encountered", at);
  error.blackhole = thunk;
  return error;
}

/** A slot whose value is known already, or `undefined`. */
export function peek(slot: Slot): Value | undefined {
  if (!(slot instanceof Thunk)) return slot;
  if (slot.code === null) return slot.data as Value;
  const named = variableReaders.get(slot.code)?.(slot.data as Env);
  if (named instanceof Thunk) return named.code === null ? (named.data as Value) : undefined;
  return named;
}

/**
 * Code of thunks that stand for a variable which was not made yet when it was named: what it names may be known
 * since then, and is shown so, as in Nix, where the variable itself is there.
 */
export const variableReaders = new WeakMap<ThunkCode, (env: Env) => Slot | undefined>();

/** A value computed when first needed. */
export function delay(compute: () => Value): Thunk {
  return new Thunk(compute, null);
}

function typeError(expected: string, value: Value, pos: Pos): EvalError {
  return evalError("type", `expected ${expected} but found ${showType(value)}: ${describeValue(value)}`, pos);
}

/** Sets and lists: the frame alone says where. */
function notExpected(expected: string, value: Value, pos: Pos, context: string): EvalError {
  return evalError(
    "type",
    `expected ${expected} but found ${showType(value)}: ${describeValue(value)}`,
    NO_POS,
    {
      frame: context,
      framePos: pos,
    },
  );
}

/**
 * The `force…` helpers force a slot and check its type.
 * @param context the frame added to any failure: "while evaluating the first argument passed to …"
 */
export function forceInt(slot: Slot, pos: Pos, context: string): number | bigint {
  try {
    const value = force(slot, pos);
    if (isInteger(value)) return value;
    throw typeError("an integer", value, pos);
  } catch (error) {
    throw addFrame(error, context, pos);
  }
}

/** A number, whether integer or float. */
export function forceFloat(slot: Slot, pos: Pos, context: string): number {
  try {
    const value = force(slot, pos);
    if (value instanceof Float) return value.value;
    if (isInteger(value)) return Number(value);
    throw typeError("a float", value, pos);
  } catch (error) {
    throw addFrame(error, context, pos);
  }
}

export function forceBool(slot: Slot, pos: Pos, context: string): boolean {
  try {
    const value = force(slot, pos);
    if (typeof value === "boolean") return value;
    throw typeError("a Boolean", value, pos);
  } catch (error) {
    throw addFrame(error, context, pos);
  }
}

export function forceAttrs(slot: Slot, pos: Pos, context: string): AttrSet {
  const value = force(slot, pos);
  if (value instanceof AttrSet) return value;
  throw notExpected("a set", value, pos, context);
}

export function forceList(slot: Slot, pos: Pos, context: string): readonly Slot[] {
  return itemsOf(forceGrowing(slot, pos, context));
}

/** As `forceList`, for who looks at a list's length or at a few of its elements: it may be a list that grows. */
export function forceGrowing(slot: Slot, pos: Pos, context: string): readonly Slot[] {
  const value = force(slot, pos);
  if (isList(value)) return value;
  throw notExpected("a list", value, pos, context);
}

/** A function, or a set that can be called (`__functor`). */
export function forceFunction(slot: Slot, pos: Pos, context: string): Value {
  try {
    const value = force(slot, pos);
    if (isFunctionValue(value) || (value instanceof AttrSet && value.has("__functor"))) return value;
    throw typeError("a function", value, pos);
  } catch (error) {
    throw addFrame(error, context, pos);
  }
}

/** A string with its context, if it has one. */
export function forceStringValue(slot: Slot, pos: Pos, context: string): string | ContextString {
  try {
    const value = force(slot, pos);
    if (isStringValue(value)) return value;
    throw typeError("a string", value, pos);
  } catch (error) {
    throw addFrame(error, context, pos);
  }
}

/** A string's text. @param collect gets its context; without it the context is dropped */
export function forceString(slot: Slot, pos: Pos, context: string, collect?: Set<string>): string {
  const value = forceStringValue(slot, pos, context);
  if (typeof value === "string") return value;
  if (collect !== undefined) for (const element of value.context) collect.add(element);
  return value.text;
}

/** A string that must not refer to store paths. */
export function forceStringNoContext(slot: Slot, pos: Pos, context: string): string {
  const value = forceStringValue(slot, pos, context);
  if (typeof value === "string") return value;
  const [first = ""] = orderContext(value.context);
  throw evalError(
    "eval",
    `the string '${value.text}' is not allowed to refer to a store path (such as '${displayContextElement(first)}')`,
    NO_POS,
    { frame: context, framePos: pos },
  );
}

/** A required attribute. */
export function getAttr(set: AttrSet, name: string, context: string): Slot {
  const slot = set.get(name);
  if (slot !== undefined) return slot;
  throw evalError("missingAttribute", `attribute '${quoteAttrName(name)}' missing`, NO_POS, {
    frame: context,
  });
}

/** Forces everything inside a value, each part once. */
export function forceDeep(slot: Slot): Value {
  if (calls.limit === NO_LIMIT && debugging.control === undefined)
    visitDeep(force(slot, FUNCTION_POS), new Set());
  else visitLimited(slot, undefined, 0, new Set());
  return force(slot);
}

/** Forces an attribute; where it was written is looked up only to be blamed for an infinite recursion. */
function forceAttribute(slot: Slot, shape: Shape, index: number): Value {
  if (!isUnderEvaluation(slot)) return force(slot, FUNCTION_POS);
  return force(slot, shape.positions?.[index]);
}

/** Code of thunks that are calls: where the function was written, which is the place of such a call. */
export const callPlaces = new WeakMap<ThunkCode, (env: Env) => Pos>();

/** As {@link visitDeep} where calls within calls are limited (each level counts as one, as in Nix) or debugged. */
function visitLimited(slot: Slot, shape: Shape | undefined, index: number, seen: Set<unknown>): void {
  let pos: Pos = NO_POS;
  if (slot instanceof Thunk && slot.code !== null)
    pos = callPlaces.get(slot.code)?.(slot.data as Env) ?? NO_POS;
  enterLevel(pos);
  if (pos !== NO_POS && calls.depth > calls.limit) throw tooDeep(pos);
  const value = shape === undefined || pos !== NO_POS ? force(slot, pos) : forceAttribute(slot, shape, index);
  if (value instanceof AttrSet && !seen.has(value)) {
    seen.add(value);
    const { shape, values } = value.flatten();
    const visit = debugging.control === undefined ? visitLimited : visitDebugged;
    let i = Math.max(0, shape.find("outPath"));
    try {
      if (i > 0) visit(values[i]!, shape, i, seen);
      for (i = 0; i < values.length; i++) visit(values[i]!, shape, i, seen);
    } catch (error) {
      throw addFrame(error, `while evaluating the attribute '${shape.names[i]!}'`, shape.positions?.[i]);
    }
  } else if (isList(value) && !seen.has(value)) {
    seen.add(value);
    let i = 0;
    try {
      for (; i < value.length; i++) visitLimited(value[i]!, undefined, 0, seen);
    } catch (error) {
      throw addFrame(error, `while evaluating list element at index ${i}`);
    }
  }
  calls.depth--;
}

function visitDebugged(slot: Slot, shape: Shape, index: number, seen: Set<unknown>): void {
  const { control } = debugging;
  if (control === undefined || !(slot instanceof Thunk)) return visitLimited(slot, shape, index, seen);
  const pos = shape.positions?.[index] ?? NO_POS;
  control.attribute(slot, shape.names[index]!, pos, () => visitLimited(slot, shape, index, seen));
}

/** Measured on firefox of nixpkgs, which forces its configuration deeply: no closure, no sorting here. */
function visitDeep(value: Value, seen: Set<unknown>): void {
  if (value instanceof AttrSet) {
    if (seen.has(value)) return;
    seen.add(value);
    const { shape, values } = value.flatten();
    // Nix visits a derivation's `outPath` before all else; of several failures that one is shown.
    let i = Math.max(0, shape.find("outPath"));
    try {
      if (i > 0) visitDeep(forceAttribute(values[i]!, shape, i), seen);
      for (i = 0; i < values.length; i++) {
        const slot = values[i]!;
        const item = slot instanceof Thunk ? forceAttribute(slot, shape, i) : slot;
        if (typeof item === "object" && item !== null) visitDeep(item, seen);
      }
    } catch (error) {
      throw addFrame(
        error,
        `while evaluating the attribute '${quoteAttrName(shape.names[i]!)}'`,
        shape.positions?.[i],
      );
    }
  } else if (isList(value)) {
    if (seen.has(value)) return;
    seen.add(value);
    let i = 0;
    try {
      for (; i < value.length; i++) {
        const item = force(value[i]!, FUNCTION_POS);
        if (typeof item === "object" && item !== null) visitDeep(item, seen);
      }
    } catch (error) {
      throw addFrame(error, `while evaluating list element at index ${i}`);
    }
  }
}
