import { calls, enterLevel } from "./callDepth.ts";
import { callTrace, traced } from "./callTrace.ts";
import { addFrame, evalError } from "./error.ts";
import { describeValue, showType } from "./describe.ts";
import { force } from "./force.ts";
import type { Pos } from "./position.ts";
import {
  AttrSet,
  Lambda,
  PrimOp,
  PrimOpApp,
  type PrimOp1,
  type PrimOp2,
  type PrimOp3,
  type Slot,
  type Value,
} from "./value.ts";

/** Calls a function (or a set with `__functor`) with one argument. @param pos the call's */
export function call1(fn: Value, argument: Slot, pos: Pos): Value {
  if (callTrace.tell === undefined) return apply1(fn, argument, pos);
  return traced(() => apply1(fn, argument, pos), pos);
}

/** Calls with two arguments at once, without the function in between where there need be none. */
export function call2(fn: Value, first: Slot, second: Slot, pos: Pos): Value {
  if (callTrace.tell === undefined) return apply2(fn, first, second, pos);
  return traced(() => apply2(fn, first, second, pos), pos);
}

/** As `call1`, for calls as they are written: who compiles them sees to `trace-function-calls`. */
export function apply1(fn: Value, argument: Slot, pos: Pos): Value {
  if (fn instanceof Lambda) return fn.code.call1(fn.env, argument, pos);
  if (fn instanceof PrimOp) {
    if (fn.arity !== 1) return new PrimOpApp(fn, argument);
    enterLevel(pos);
    try {
      const value = (fn.run as PrimOp1)(pos, argument);
      calls.depth--;
      return value;
    } catch (error) {
      throw primOpFrame(error, fn, pos);
    }
  }
  if (fn instanceof PrimOpApp) return callPrimOpApp(fn, argument, pos);
  return callOther(fn, argument, pos);
}

export function apply2(fn: Value, first: Slot, second: Slot, pos: Pos): Value {
  if (fn instanceof Lambda) {
    const both = fn.code.call2;
    if (both !== undefined) return both(fn.env, first, second, pos);
    return apply1(fn.code.call1(fn.env, first, pos), second, pos);
  }
  if (fn instanceof PrimOp && fn.arity !== 1) {
    if (fn.arity === 3) return new PrimOpApp(fn, first, second);
    enterLevel(pos);
    try {
      const value = (fn.run as PrimOp2)(pos, first, second);
      calls.depth--;
      return value;
    } catch (error) {
      throw primOpFrame(error, fn, pos);
    }
  }
  return apply1(apply1(fn, first, pos), second, pos);
}

export function apply3(fn: Value, first: Slot, second: Slot, third: Slot, pos: Pos): Value {
  if (fn instanceof Lambda) {
    const all = fn.code.call3;
    if (all !== undefined) return all(fn.env, first, second, third, pos);
  } else if (fn instanceof PrimOp && fn.arity === 3) {
    enterLevel(pos);
    try {
      const value = (fn.run as PrimOp3)(pos, first, second, third);
      calls.depth--;
      return value;
    } catch (error) {
      throw primOpFrame(error, fn, pos);
    }
  }
  return apply1(apply2(fn, first, second, pos), third, pos);
}

/** Calls with any number of arguments. */
export function callFunction(fn: Slot, pos: Pos, ...args: readonly Slot[]): Value {
  let result = force(fn, pos);
  for (const argument of args) result = call1(result, argument, pos);
  return result;
}

function callPrimOpApp(fn: PrimOpApp, argument: Slot, pos: Pos): Value {
  const { primOp, first, second } = fn;
  if (primOp.arity === 3 && second === undefined) return new PrimOpApp(primOp, first, argument);
  enterLevel(pos);
  try {
    const value =
      primOp.arity === 2
        ? (primOp.run as PrimOp2)(pos, first, argument)
        : (primOp.run as PrimOp3)(pos, first, second!, argument);
    calls.depth--;
    return value;
  } catch (error) {
    throw primOpFrame(error, primOp, pos);
  }
}

function primOpFrame(error: unknown, primOp: PrimOp, pos: Pos): unknown {
  return primOp.addsFrame ? addFrame(error, `while calling the '${primOp.name}' builtin`, pos) : error;
}

function callOther(fn: Value, argument: Slot, pos: Pos): Value {
  if (fn instanceof AttrSet) {
    const functor = fn.get("__functor");
    if (functor !== undefined) {
      enterLevel(pos);
      try {
        const value = call2(force(functor, pos), fn, argument, fn.posOf("__functor"));
        calls.depth--;
        return value;
      } catch (error) {
        throw addFrame(error, "while calling a functor (an attribute set with a '__functor' attribute)", pos);
      }
    }
  }
  throw evalError(
    "type",
    `attempt to call something which is not a function but ${showType(fn)}: ${describeValue(fn)}`,
    pos,
  );
}
