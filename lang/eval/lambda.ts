import type { Expr, LambdaExpr } from "../syntax/index.ts";
import { calls, checkDepth, enterCall } from "../value/callDepth.ts";
import { addFrame, evalError, type EvalErrorOptions } from "../value/error.ts";
import { forceAttrs } from "../value/force.ts";
import { NO_POS, type Pos } from "../value/position.ts";
import type { Layout } from "../value/shape.ts";
import { suggest } from "../value/suggest.ts";
import {
  AttrSet,
  Lambda,
  Thunk,
  type Env,
  type Formal,
  type LambdaCode,
  type Slot,
  type Value,
} from "../value/value.ts";
import { compileAppended } from "./append.ts";
import type { Compiler, Delay, LazyCode } from "./code.ts";
import { frameMaker } from "./frame.ts";
import { quoteAttrName } from "../value/literal.ts";

export function compileLambda(expr: LambdaExpr, compiler: Compiler): (env: Env) => Lambda {
  const code = expr.formals === undefined ? compileCurried(expr, compiler) : compileFormals(expr, compiler);
  return (env) => new Lambda(code, env);
}

/** `x: y: … body`: the arguments share one environment, made when the last one arrives. */
function compileCurried(expr: LambdaExpr, compiler: Compiler): LambdaCode {
  const chain: LambdaExpr[] = [];
  let last: LambdaExpr = expr;
  for (;;) {
    chain.push(last);
    if (last.body.kind !== "lambda" || last.body.formals !== undefined || compiler.isDebugged) break;
    last = last.body;
  }
  const size = expr.frameSize;
  const newFrame = frameMaker(size);
  const frame1 = (env: Env, a: Slot): Env => {
    const frame = newFrame(env);
    frame[1] = a;
    return frame;
  };
  const body = compiler.lazy(last.body);
  const arity = chain.length;
  // The code of the function that is left when so many arguments are held; each gives the next.
  const codes: (LambdaCode | undefined)[] = Array.from({ length: arity + 1 });
  for (let held = arity - 1; held >= 1; held--)
    codes[held] = heldArguments(
      chain[held]!,
      held + 1,
      arity - held,
      codes[held + 1],
      codes[held + 2],
      body,
      compiler,
    );
  // Each of these counts the call itself: a function around it would be one more for every call.
  const limit = compiler.maxCallDepth ?? Infinity;
  const limited =
    compiler.maxCallDepth === undefined
      ? undefined
      : (frame: Env): Value => {
          enterCall(limit, NO_POS);
          const value = body.run(frame);
          calls.depth--;
          return value;
        };
  const afterOne = codes[1];
  const call1 =
    afterOne !== undefined
      ? (env: Env, a: Slot, pos: Pos): Value => {
          checkDepth(limit, pos);
          return new Lambda(afterOne, frame1(env, a));
        }
      : size === 2
        ? (env: Env, a: Slot, pos: Pos): Value => {
            enterCall(limit, pos);
            const value = body.run([env, a]);
            calls.depth--;
            return value;
          }
        : (env: Env, a: Slot, pos: Pos): Value => {
            enterCall(limit, pos);
            const value = body.run(frame1(env, a));
            calls.depth--;
            return value;
          };
  const afterTwo = codes[2];
  const call2 =
    arity === 1
      ? undefined
      : afterTwo === undefined
        ? size === 3
          ? (env: Env, a: Slot, b: Slot, pos: Pos): Value => {
              enterCall(limit, pos);
              const value = body.run([env, a, b]);
              calls.depth--;
              return value;
            }
          : (env: Env, a: Slot, b: Slot, pos: Pos): Value => {
              enterCall(limit, pos);
              const frame = frame1(env, a);
              frame[2] = b;
              const value = body.run(frame);
              calls.depth--;
              return value;
            }
        : (env: Env, a: Slot, b: Slot, pos: Pos): Value => {
            checkDepth(limit, pos);
            const frame = frame1(env, a);
            frame[2] = b;
            return new Lambda(afterTwo, frame);
          };
  let eager: Delay | undefined;
  const { isFullyLazy } = compiler;
  const delayBody = (frame: Env, isEager: boolean): Slot =>
    isEager && !isFullyLazy
      ? (eager ??= compiler.delay(last.body))(frame)
      : new Thunk(limited ?? body.pending(), frame);
  const delay1: LambdaCode["delay1"] =
    arity === 1 ? (env, a, isEager) => delayBody(size === 2 ? [env, a] : frame1(env, a), isEager) : undefined;
  const delay2: LambdaCode["delay2"] =
    arity === 2
      ? (env, a, b, isEager) => {
          const frame = frame1(env, a);
          frame[2] = b;
          return delayBody(frame, isEager);
        }
      : undefined;
  const appended = arity === 2 ? appendedBy(chain[0]!.argument, last.body, frame1, compiler) : undefined;
  return lambdaCode(chain[0]!, compiler, call1, call2, delay1, delay2, appended);
}

/** See `LambdaCode.appended`. */
function appendedBy(
  list: string | undefined,
  body: Expr,
  frame1: (env: Env, a: Slot) => Env,
  compiler: Compiler,
): LambdaCode["appended"] {
  const code = compileAppended(body, list, compiler);
  if (code === undefined) return undefined;
  const limit = compiler.maxCallDepth ?? Infinity;
  return (env, first, second) => {
    const frame = frame1(env, first);
    frame[2] = second;
    enterCall(limit, NO_POS);
    const value = code(frame);
    calls.depth--;
    return value;
  };
}

/**
 * The function that a function of several arguments gives: its environment holds the first ones.
 * @param slot the next argument's
 * @param left how many arguments it still takes
 */
function heldArguments(
  expr: LambdaExpr,
  slot: number,
  left: number,
  afterOne: LambdaCode | undefined,
  afterTwo: LambdaCode | undefined,
  body: LazyCode,
  compiler: Compiler,
): LambdaCode {
  const limit = compiler.maxCallDepth ?? Infinity;
  const run = (frame: Env, after: LambdaCode | undefined, pos: Pos): Value => {
    if (after !== undefined) {
      checkDepth(limit, pos);
      return new Lambda(after, frame);
    }
    enterCall(limit, pos);
    const value = body.run(frame);
    calls.depth--;
    return value;
  };
  // The held environment may be used again: each call works on its own.
  const call1 = (env: Env, argument: Slot, pos: Pos): Value => {
    const frame = env.slice();
    frame[slot] = argument;
    return run(frame, afterOne, pos);
  };
  const call2 = (env: Env, first: Slot, second: Slot, pos: Pos): Value => {
    const frame = env.slice();
    frame[slot] = first;
    frame[slot + 1] = second;
    return run(frame, afterTwo, pos);
  };
  return lambdaCode(expr, compiler, call1, left > 1 ? call2 : undefined);
}

function lambdaCode(
  expr: LambdaExpr,
  compiler: Compiler,
  call1: (env: Env, argument: Slot, pos: Pos) => Value,
  call2: LambdaCode["call2"],
  delay1?: LambdaCode["delay1"],
  delay2?: LambdaCode["delay2"],
  appended?: LambdaCode["appended"],
): LambdaCode {
  const { traceFunctionCalls } = compiler.runtime.settings;
  const isPlain = !compiler.showTrace && !compiler.isDebugged && !traceFunctionCalls;
  return new ClosureCode(
    expr,
    compiler.showTrace ? traceCall(call1, expr, compiler) : call1,
    // Each argument's call leaves frames of its own, as in Nix.
    isPlain ? call2 : undefined,
    isPlain ? delay1 : undefined,
    isPlain ? delay2 : undefined,
    isPlain ? appended : undefined,
  );
}

/** A class, not a literal: V8 keeps objects with accessors of their own as hash tables, which every call would search. */
class ClosureCode implements LambdaCode {
  readonly call1: LambdaCode["call1"];
  readonly call2: LambdaCode["call2"];
  readonly delay1: LambdaCode["delay1"];
  readonly delay2: LambdaCode["delay2"];
  readonly appended: LambdaCode["appended"];
  readonly #expr: LambdaExpr;
  #formals: readonly Formal[] | undefined = undefined;

  constructor(
    expr: LambdaExpr,
    call1: LambdaCode["call1"],
    call2: LambdaCode["call2"],
    delay1: LambdaCode["delay1"],
    delay2: LambdaCode["delay2"],
    appended: LambdaCode["appended"],
  ) {
    this.#expr = expr;
    this.call1 = call1;
    this.call2 = call2;
    this.delay1 = delay1;
    this.delay2 = delay2;
    this.appended = appended;
  }

  get name(): string | undefined {
    return this.#expr.name;
  }

  get pos(): Pos {
    return this.#expr.pos;
  }

  get argument(): string | undefined {
    return this.#expr.argument;
  }

  get formals(): readonly Formal[] | undefined {
    return (this.#formals ??= this.#expr.formals?.map((formal) => ({
      name: formal.name,
      hasDefault: formal.fallback !== undefined,
      pos: formal.pos,
    })));
  }

  get hasEllipsis(): boolean {
    return this.#expr.hasEllipsis;
  }
}

/** Adds frames for calls, which only some runs want. */
function traceCall(call: LambdaCode["call1"], expr: LambdaExpr, compiler: Compiler): LambdaCode["call1"] {
  const limit = compiler.maxCallDepth ?? Infinity;
  return (env, argument, pos) => {
    // Past the limit there is no call yet, and no frame.
    checkDepth(limit, pos);
    try {
      return call(env, argument, pos);
    } catch (error) {
      if (isArgumentError(error, expr)) throw error;
      const what = expr.name === undefined ? "anonymous lambda" : `'${expr.name}'`;
      const framed = addFrame(error, `while calling ${what}`, expr.pos);
      throw pos === NO_POS ? framed : addFrame(framed, CALL_SITE, pos);
    }
  };
}

/** Errors about the argument itself, which come before the call: they say where the call is, and no more. */
const argumentErrors = new WeakMap<object, LambdaExpr>();

function isArgumentError(error: unknown, expr: LambdaExpr): boolean {
  if (typeof error !== "object" || error === null || argumentErrors.get(error) !== expr) return false;
  argumentErrors.delete(error);
  return true;
}

function argumentError(error: unknown, expr: LambdaExpr, pos: Pos): unknown {
  return noteArgumentError(pos === NO_POS ? error : addFrame(error, CALL_SITE, pos), expr);
}

function noteArgumentError(error: unknown, expr: LambdaExpr): unknown {
  if (typeof error === "object" && error !== null) argumentErrors.set(error, expr);
  return error;
}

const CALL_SITE = "from call site";

function fromCallSite(pos: Pos): EvalErrorOptions {
  return pos === NO_POS ? {} : { frame: CALL_SITE, framePos: pos };
}

/** `{ a, b ? 1, … }@args: body`. */
function compileFormals(expr: LambdaExpr, compiler: Compiler): LambdaCode {
  const formals = expr.formals!;
  const newFrame = frameMaker(expr.frameSize);
  const firstSlot = expr.argument === undefined ? 1 : 2;
  const names = formals.map((formal) => formal.name);
  const defaults: (Delay | undefined)[] = formals.map((formal) =>
    formal.fallback === undefined ? undefined : compiler.delay(formal.fallback),
  );
  const body = compiler.lazy(expr.body);
  const { hasEllipsis, pos: lambdaPos } = expr;
  // Which value of the argument's layout each formal takes; remembered for the last one.
  let layout: Layout | undefined;
  let indexes: number[] = [];
  let isComplete = false;
  const limit = compiler.maxCallDepth ?? Infinity;
  const call1 = (env: Env, argument: Slot, pos: Pos): Value => {
    enterCall(limit, pos);
    let set: AttrSet;
    if (argument instanceof AttrSet) set = argument;
    else {
      try {
        set = forceAttrs(argument, lambdaPos, "while evaluating the value passed for the lambda argument");
      } catch (error) {
        throw argumentError(error, expr, pos);
      }
    }
    const frame = newFrame(env);
    if (firstSlot === 2) frame[1] = set;
    if (set.base !== null) {
      if (!hasEllipsis) set.flatten();
      else {
        let missing = false;
        for (let i = 0; i < names.length; i++) {
          const slot = set.get(names[i]!);
          frame[firstSlot + i] = slot;
          if (slot === undefined) missing = true;
        }
        if (missing) fillDefaults(frame, pos);
        const value = body.run(frame);
        calls.depth--;
        return value;
      }
    }
    const found = set.shape.layout;
    if (found !== layout) {
      layout = found;
      indexes = names.map((name) => found.find(name));
      isComplete = true;
      let used = 0;
      for (let i = 0; i < indexes.length; i++) {
        if (indexes[i]! >= 0) used++;
        else isComplete = false;
      }
      if (!hasEllipsis && used !== found.names.length) {
        layout = undefined;
        // Nix finds missing arguments first.
        for (let i = 0; i < names.length; i++)
          if (defaults[i] === undefined && found.find(names[i]!) < 0) throw missingArgument(i, pos);
        throw unexpectedArgument(found, pos);
      }
    }
    const values = set.values;
    for (let i = 0; i < indexes.length; i++) {
      const index = indexes[i]!;
      if (index >= 0) {
        const slot = values[index];
        frame[firstSlot + i] = slot === undefined ? set.slotAt(index) : slot;
      }
    }
    if (!isComplete) fillDefaults(frame, pos);
    const value = body.run(frame);
    calls.depth--;
    return value;
  };
  const fillDefaults = (frame: Env, pos: Pos): void => {
    for (let i = 0; i < defaults.length; i++) {
      if (frame[firstSlot + i] !== undefined) continue;
      const fallback = defaults[i];
      if (fallback === undefined) throw missingArgument(i, pos);
      frame[firstSlot + i] = fallback(frame);
    }
  };
  const functionName = (): string => expr.name ?? "anonymous lambda";
  const missingArgument = (index: number, pos: Pos): unknown =>
    noteArgumentError(
      evalError(
        "missingArgument",
        `function '${functionName()}' called without required argument '${quoteAttrName(names[index]!)}'`,
        lambdaPos,
        fromCallSite(pos),
      ),
      expr,
    );
  const unexpectedArgument = (found: Layout, pos: Pos): unknown => {
    const name = found
      .order()
      .map((i) => found.names[i]!)
      .find((candidate) => !names.includes(candidate))!;
    return noteArgumentError(
      evalError(
        "type",
        `function '${functionName()}' called with unexpected argument '${quoteAttrName(name)}'`,
        lambdaPos,
        { suggestions: suggest(name, names), ...fromCallSite(pos) },
      ),
      expr,
    );
  };
  return lambdaCode(expr, compiler, call1, undefined);
}
