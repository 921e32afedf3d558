import type { Expr, LambdaExpr } from "../syntax/index.ts";
import { calls, checkDepth, enterLevel } from "../value/callDepth.ts";
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

/** `x: y: … body`: the functions whose arguments share one environment. */
function curried(expr: LambdaExpr, compiler: Compiler): LambdaExpr[] {
  const chain: LambdaExpr[] = [expr];
  if (compiler.isDebugged) return chain;
  for (let { body } = expr; body.kind === "lambda" && body.formals === undefined; body = body.body)
    chain.push(body);
  return chain;
}

/** The environment is made when the last argument arrives. */
function compileCurried(expr: LambdaExpr, compiler: Compiler): LambdaCode {
  const chain = curried(expr, compiler);
  const arity = chain.length;
  const body = compiler.lazy(chain[arity - 1]!.body);
  const size = expr.frameSize;
  if (arity === 1) return lambdaCode(expr, compiler, callOfOne(body, size), undefined, undefined, body);
  const codes = new HeldCodes(expr, arity, body, compiler);
  const call2 = arity === 2 ? callOfTwo(body, size) : callHoldingTwo(codes, size);
  let call3: LambdaCode["call3"];
  if (arity === 3) call3 = callOfThree(body, size);
  else if (arity > 3) call3 = callHoldingThree(codes, size);
  return lambdaCode(expr, compiler, callHoldingOne(codes, size), call2, call3, body);
}

// Functions of their own, so that what they give holds no more than it needs. Each of these counts the call itself: a
// function around it would be one more for every call.
function callOfOne(body: LazyCode, size: number): LambdaCode["call1"] {
  if (size === 2)
    return (env, a, pos) => {
      enterLevel(pos);
      const value = body.run([env, a]);
      calls.depth--;
      return value;
    };
  const newFrame = frameMaker(size);
  return (env, a, pos) => {
    enterLevel(pos);
    const frame = newFrame(env);
    frame[1] = a;
    const value = body.run(frame);
    calls.depth--;
    return value;
  };
}

function callOfTwo(body: LazyCode, size: number): NonNullable<LambdaCode["call2"]> {
  if (size === 3)
    return (env, a, b, pos) => {
      enterLevel(pos);
      const value = body.run([env, a, b]);
      calls.depth--;
      return value;
    };
  const newFrame = frameMaker(size);
  return (env, a, b, pos) => {
    enterLevel(pos);
    const frame = newFrame(env);
    frame[1] = a;
    frame[2] = b;
    const value = body.run(frame);
    calls.depth--;
    return value;
  };
}

function callOfThree(body: LazyCode, size: number): NonNullable<LambdaCode["call3"]> {
  const newFrame = frameMaker(size);
  return (env, a, b, c, pos) => {
    enterLevel(pos);
    const frame = newFrame(env);
    frame[1] = a;
    frame[2] = b;
    frame[3] = c;
    const value = body.run(frame);
    calls.depth--;
    return value;
  };
}

function callHoldingOne(codes: HeldCodes, size: number): LambdaCode["call1"] {
  const newFrame = frameMaker(size);
  return (env, a, pos) => {
    checkDepth(pos);
    const frame = newFrame(env);
    frame[1] = a;
    return new Lambda(codes.after(1), frame);
  };
}

function callHoldingTwo(codes: HeldCodes, size: number): NonNullable<LambdaCode["call2"]> {
  const newFrame = frameMaker(size);
  return (env, a, b, pos) => {
    checkDepth(pos);
    const frame = newFrame(env);
    frame[1] = a;
    frame[2] = b;
    return new Lambda(codes.after(2), frame);
  };
}

function callHoldingThree(codes: HeldCodes, size: number): NonNullable<LambdaCode["call3"]> {
  const newFrame = frameMaker(size);
  return (env, a, b, c, pos) => {
    checkDepth(pos);
    const frame = newFrame(env);
    frame[1] = a;
    frame[2] = b;
    frame[3] = c;
    return new Lambda(codes.after(3), frame);
  };
}

/** The code of the functions that are left when some arguments are held, made when they first are. */
class HeldCodes {
  readonly #expr: LambdaExpr;
  readonly #arity: number;
  readonly #body: LazyCode;
  readonly #compiler: Compiler;
  #codes: (LambdaCode | undefined)[] | undefined = undefined;

  constructor(expr: LambdaExpr, arity: number, body: LazyCode, compiler: Compiler) {
    this.#expr = expr;
    this.#arity = arity;
    this.#body = body;
    this.#compiler = compiler;
  }

  /** @param held how many arguments there are, fewer than the function takes */
  after(held: number): LambdaCode {
    this.#codes ??= [];
    return (this.#codes[held] ??= this.#make(held));
  }

  #make(held: number): LambdaCode {
    const compiler = this.#compiler;
    return heldArguments(
      curried(this.#expr, compiler)[held]!,
      held + 1,
      this.#arity - held,
      this,
      this.#body,
      compiler,
    );
  }
}

interface Delays {
  readonly delay1: LambdaCode["delay1"];
  readonly delay2: LambdaCode["delay2"];
  readonly appended: LambdaCode["appended"];
}

function makeDelays(expr: LambdaExpr, body: LazyCode, compiler: Compiler): Delays {
  const chain = curried(expr, compiler);
  const arity = chain.length;
  const bodyExpr = chain[arity - 1]!.body;
  const { frameSize: size, argument } = expr;
  const newFrame = frameMaker(size);
  const { isFullyLazy, maxCallDepth } = compiler;
  const limited =
    maxCallDepth === undefined
      ? undefined
      : (frame: Env): Value => {
          enterLevel(NO_POS);
          const value = body.run(frame);
          calls.depth--;
          return value;
        };
  let eager: Delay | undefined;
  const delayBody = (frame: Env, isEager: boolean): Slot =>
    isEager && !isFullyLazy
      ? (eager ??= compiler.delay(bodyExpr))(frame)
      : new Thunk(limited ?? body.pending(), frame);
  return {
    delay1:
      arity === 1
        ? (env, a, isEager) => {
            const frame = newFrame(env);
            frame[1] = a;
            return delayBody(frame, isEager);
          }
        : undefined,
    delay2:
      arity === 2
        ? (env, a, b, isEager) => {
            const frame = newFrame(env);
            frame[1] = a;
            frame[2] = b;
            return delayBody(frame, isEager);
          }
        : undefined,
    appended: arity === 2 ? appendedBy(argument, bodyExpr, newFrame, compiler) : undefined,
  };
}

/** See `LambdaCode.appended`. */
function appendedBy(
  list: string | undefined,
  body: Expr,
  newFrame: (env: Env) => Env,
  compiler: Compiler,
): LambdaCode["appended"] {
  const code = compileAppended(body, list, compiler);
  if (code === undefined) return undefined;
  return (env, first, second) => {
    const frame = newFrame(env);
    frame[1] = first;
    frame[2] = second;
    enterLevel(NO_POS);
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
  codes: HeldCodes,
  body: LazyCode,
  compiler: Compiler,
): LambdaCode {
  const run = (frame: Env, isLast: boolean, held: number, pos: Pos): Value => {
    if (!isLast) {
      checkDepth(pos);
      return new Lambda(codes.after(held), frame);
    }
    enterLevel(pos);
    const value = body.run(frame);
    calls.depth--;
    return value;
  };
  // The held environment may be used again: each call works on its own.
  const call1 = (env: Env, argument: Slot, pos: Pos): Value => {
    const frame = env.slice();
    frame[slot] = argument;
    return run(frame, left === 1, slot, pos);
  };
  const call2 = (env: Env, first: Slot, second: Slot, pos: Pos): Value => {
    const frame = env.slice();
    frame[slot] = first;
    frame[slot + 1] = second;
    return run(frame, left === 2, slot + 1, pos);
  };
  return lambdaCode(expr, compiler, call1, left > 1 ? call2 : undefined, undefined);
}

function lambdaCode(
  expr: LambdaExpr,
  compiler: Compiler,
  call1: (env: Env, argument: Slot, pos: Pos) => Value,
  call2: LambdaCode["call2"],
  call3: LambdaCode["call3"],
  body?: LazyCode,
): LambdaCode {
  const { traceFunctionCalls } = compiler.runtime.settings;
  const isPlain = !compiler.showTrace && !compiler.isDebugged && !traceFunctionCalls;
  return new ClosureCode(
    expr,
    compiler,
    compiler.showTrace ? traceCall(call1, expr) : call1,
    // Each argument's call leaves frames of its own, as in Nix.
    isPlain ? call2 : undefined,
    isPlain ? call3 : undefined,
    isPlain ? body : undefined,
  );
}

/** A class, not a literal: V8 keeps objects with accessors of their own as hash tables, which every call would search. */
class ClosureCode implements LambdaCode {
  readonly call1: LambdaCode["call1"];
  readonly call2: LambdaCode["call2"];
  readonly call3: LambdaCode["call3"];
  readonly #expr: LambdaExpr;
  readonly #compiler: Compiler;
  /** What the delays are made of; `undefined` where there are none. */
  readonly #body: LazyCode | undefined;
  #delays: Delays | undefined = undefined;
  #formals: readonly Formal[] | undefined = undefined;

  constructor(
    expr: LambdaExpr,
    compiler: Compiler,
    call1: LambdaCode["call1"],
    call2: LambdaCode["call2"],
    call3: LambdaCode["call3"],
    body: LazyCode | undefined,
  ) {
    this.#expr = expr;
    this.#compiler = compiler;
    this.call1 = call1;
    this.call2 = call2;
    this.call3 = call3;
    this.#body = body;
  }

  get delay1(): LambdaCode["delay1"] {
    return this.#made()?.delay1;
  }

  get delay2(): LambdaCode["delay2"] {
    return this.#made()?.delay2;
  }

  get appended(): LambdaCode["appended"] {
    return this.#made()?.appended;
  }

  /** Only some builtins ask for these, of few functions. */
  #made(): Delays | undefined {
    if (this.#body === undefined) return undefined;
    return (this.#delays ??= makeDelays(this.#expr, this.#body, this.#compiler));
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
function traceCall(call: LambdaCode["call1"], expr: LambdaExpr): LambdaCode["call1"] {
  return (env, argument, pos) => {
    // Past the limit there is no call yet, and no frame.
    checkDepth(pos);
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
  return { frame: CALL_SITE, framePos: pos };
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
  const call1 = (env: Env, argument: Slot, pos: Pos): Value => {
    enterLevel(pos);
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
          if (defaults[i] === undefined && found.find(names[i]!) < 0)
            throw missingArgument(expr, names[i]!, pos);
        throw unexpectedArgument(expr, found, names, pos);
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
      if (fallback === undefined) throw missingArgument(expr, names[i]!, pos);
      frame[firstSlot + i] = fallback(frame);
    }
  };
  return lambdaCode(expr, compiler, call1, undefined, undefined);
}

function functionName(expr: LambdaExpr): string {
  return expr.name ?? "anonymous lambda";
}

function missingArgument(expr: LambdaExpr, name: string, pos: Pos): unknown {
  return noteArgumentError(
    evalError(
      "missingArgument",
      `function '${functionName(expr)}' called without required argument '${quoteAttrName(name)}'`,
      expr.pos,
      fromCallSite(pos),
    ),
    expr,
  );
}

function unexpectedArgument(expr: LambdaExpr, found: Layout, names: readonly string[], pos: Pos): unknown {
  const name = found
    .order()
    .map((i) => found.names[i]!)
    .find((candidate) => !names.includes(candidate))!;
  return noteArgumentError(
    evalError(
      "type",
      `function '${functionName(expr)}' called with unexpected argument '${quoteAttrName(name)}'`,
      expr.pos,
      { suggestions: suggest(name, names), ...fromCallSite(pos) },
    ),
    expr,
  );
}
