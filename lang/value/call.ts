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
  if (fn instanceof Lambda) return fn.code.call1(fn.env, argument, pos);
  if (fn instanceof PrimOp) {
    if (fn.arity !== 1) return new PrimOpApp(fn, argument);
    try {
      return (fn.run as PrimOp1)(pos, argument);
    } catch (error) {
      throw primOpFrame(error, fn, pos);
    }
  }
  if (fn instanceof PrimOpApp) return callPrimOpApp(fn, argument, pos);
  return callOther(fn, argument, pos);
}

/** Calls with two arguments at once, without the function in between where there need be none. */
export function call2(fn: Value, first: Slot, second: Slot, pos: Pos): Value {
  if (fn instanceof Lambda) {
    const both = fn.code.call2;
    if (both !== undefined) return both(fn.env, first, second, pos);
    return call1(fn.code.call1(fn.env, first, pos), second, pos);
  }
  if (fn instanceof PrimOp && fn.arity !== 1) {
    if (fn.arity === 3) return new PrimOpApp(fn, first, second);
    try {
      return (fn.run as PrimOp2)(pos, first, second);
    } catch (error) {
      throw primOpFrame(error, fn, pos);
    }
  }
  return call1(call1(fn, first, pos), second, pos);
}

export function call3(fn: Value, first: Slot, second: Slot, third: Slot, pos: Pos): Value {
  if (fn instanceof PrimOp && fn.arity === 3) {
    try {
      return (fn.run as PrimOp3)(pos, first, second, third);
    } catch (error) {
      throw primOpFrame(error, fn, pos);
    }
  }
  return call1(call2(fn, first, second, pos), third, pos);
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
  try {
    return primOp.arity === 2
      ? (primOp.run as PrimOp2)(pos, first, argument)
      : (primOp.run as PrimOp3)(pos, first, second!, argument);
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
      try {
        return call2(force(functor, pos), fn, argument, fn.posOf("__functor"));
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
