import {
  FROM_WITH,
  posOfExpr,
  printExpr,
  type AssertExpr,
  type BinaryExpr,
  type CallExpr,
  type ConcatExpr,
  type ConcatPart,
  type Expr,
  type IfExpr,
  type NotExpr,
  type VarExpr,
} from "../syntax/index.ts";
import { tryAdd, tryDivide, tryMultiply, trySubtract } from "../value/arithmetic.ts";
import { updateAttrs } from "../value/attrs.ts";
import { apply1, apply2, apply3 } from "../value/call.ts";
import { calls, comparedTooDeep, enterLevel } from "../value/callDepth.ts";
import { traced } from "../value/callTrace.ts";
import { equalSets, equalValues } from "../value/compare.ts";
import { addFrame, evalError } from "../value/error.ts";
import { forceAttrs, forceBool, forceList } from "../value/force.ts";
import { joinLists } from "../value/growingList.ts";
import { NO_POS, type Pos } from "../value/position.ts";
import type { Runtime } from "../value/runtime.ts";
import {
  AttrSet,
  Float,
  Lambda,
  Thunk,
  isFunctionValue,
  isList,
  type Env,
  type PathValue,
  type PrimOp,
  type PrimOp1,
  type PrimOp2,
  type PrimOp3,
  type Slot,
  type Value,
} from "../value/value.ts";
import { assertEqual } from "./assertEqual.ts";
import { constant, type Code, type Compiler, type Delay } from "./code.ts";
import { CONCATENATED, IN_LEFT_OPERAND, IN_RIGHT_OPERAND, compileConcatRow, listsOf } from "./concatRow.ts";
import { Joined, addValues } from "./concat.ts";
import { asLocal, readLocal } from "./variable.ts";

const MAX = Number.MAX_SAFE_INTEGER;

/** A Boolean sub-expression; failures say what it was for. */
function compileBool(expr: Expr, message: string, compiler: Compiler): (env: Env) => boolean {
  const code = compiler.compile(expr);
  const pos = posOfExpr(expr);
  return (env) => {
    let value: Value;
    try {
      value = code(env);
    } catch (error) {
      throw addFrame(error, message, pos);
    }
    return typeof value === "boolean" ? value : forceBool(value, pos, message);
  };
}

const BRANCH_CONDITION = "while evaluating a branch condition";

export function compileIf(expr: IfExpr, compiler: Compiler): Code {
  const condition = compiler.compile(expr.condition);
  const pos = posOfExpr(expr.condition);
  const then = compiler.lazy(expr.consequent);
  const otherwise = compiler.lazy(expr.alternate);
  return (env) => {
    let value: Value;
    try {
      value = condition(env);
    } catch (error) {
      throw addFrame(error, BRANCH_CONDITION, pos);
    }
    if (typeof value !== "boolean") value = forceBool(value, pos, BRANCH_CONDITION);
    return value ? then.run(env) : otherwise.run(env);
  };
}

export function compileAssert(expr: AssertExpr, compiler: Compiler): Code {
  const condition = compileBool(expr.condition, "in the condition of the assert statement", compiler);
  const body = compiler.lazy(expr.body);
  return (env) => {
    if (condition(env)) return body.run(env);
    throw assertionError(expr, env, compiler);
  };
}

function assertionError(expr: AssertExpr, env: Env, compiler: Compiler): unknown {
  const text = printExpr(expr.condition);
  const { condition } = expr;
  if (condition.kind === "binary" && condition.operator === "==") {
    try {
      const left = compiler.compile(condition.left)(env);
      const right = compiler.compile(condition.right)(env);
      assertEqual(left, right, condition.pos);
    } catch (error) {
      return addFrame(error, `while evaluating the condition of the assertion '${text}'`, expr.pos);
    }
  }
  return evalError("assert", `assertion '${text}' failed`, expr.pos);
}

/** A row of `!` is one: all of them have the place of what the last one negates, and its failure a frame for each. */
export function compileNot(expr: NotExpr, compiler: Compiler): Code {
  let { operand } = expr;
  let levels = 1;
  for (; operand.kind === "not"; levels++) operand = operand.operand;
  const isTrue = compileBool(operand, NEGATED, compiler);
  if (levels === 1) return (env) => !isTrue(env);
  const pos = posOfExpr(operand);
  const isNegated = levels % 2 === 1;
  return (env) => {
    try {
      return isTrue(env) !== isNegated;
    } catch (error) {
      let framed = error;
      for (let level = 1; level < levels; level++) framed = addFrame(framed, NEGATED, pos);
      throw framed;
    }
  };
}

const NEGATED = "in the argument of '!'";

export function compileBinary(expr: BinaryExpr, compiler: Compiler): Code {
  const { operator, pos } = expr;
  switch (operator) {
    case "&&":
    case "||":
      return compileAndOr(expr, operator, compiler);
    case "->": {
      const left = compileBool(expr.left, "in the left operand of '->'", compiler);
      const right = compileBool(expr.right, "in the right operand of '->'", compiler);
      return (env) => !left(env) || right(env);
    }
    case "==":
    case "!=":
      return compileEqual(expr, operator, pos, compiler);
    case "//":
      return compileUpdate(expr, compiler);
    case "++":
      return compileConcatLists(expr, pos, compiler);
  }
}

/** The operands' types are tested here, not in functions around them: so many conditions are made of these. */
function compileAndOr(expr: BinaryExpr, operator: "&&" | "||", compiler: Compiler): Code {
  const left = compiler.compile(expr.left);
  const right = compiler.compile(expr.right);
  const leftPos = posOfExpr(expr.left);
  const rightPos = posOfExpr(expr.right);
  const decisive = operator === "||";
  return (env) => {
    let value: Value;
    try {
      value = left(env);
    } catch (error) {
      throw addFrame(error, `in the left operand of '${operator}'`, leftPos);
    }
    if (typeof value !== "boolean") value = forceBool(value, leftPos, `in the left operand of '${operator}'`);
    if (value === decisive) return value;
    try {
      value = right(env);
    } catch (error) {
      throw addFrame(error, `in the right operand of '${operator}'`, rightPos);
    }
    return typeof value === "boolean"
      ? value
      : forceBool(value, rightPos, `in the right operand of '${operator}'`);
  };
}

function compileEqual(expr: BinaryExpr, operator: "==" | "!=", pos: Pos, compiler: Compiler): Code {
  const left = operandOf(expr.left, compiler);
  const right = operandOf(expr.right, compiler);
  const isNegated = operator === "!=";
  return (env) => {
    let a: Value;
    let b: Value;
    try {
      a = left.code === null ? readLocal(env, left.depth, left.slot, left.pos) : left.code(env);
    } catch (error) {
      throw addFrame(error, `in the left operand of '${operator}'`, left.pos);
    }
    try {
      b = right.code === null ? readLocal(env, right.depth, right.slot, right.pos) : right.code(env);
    } catch (error) {
      throw addFrame(error, `in the right operand of '${operator}'`, right.pos);
    }
    // Where calls are limited, comparing counts as one, as in Nix: it is what most endless recursions end in.
    if (calls.depth > calls.limit) throw comparedTooDeep();
    const isEqual =
      (typeof a === "string" && typeof b === "string") || (typeof a === "number" && typeof b === "number")
        ? a === b
        : equalOperands(a, b, pos);
    return isEqual !== isNegated;
  };
}

/** An operand: a local variable, or code. */
class Operand {
  readonly code: Code | null;
  readonly depth: number;
  readonly slot: number;
  readonly pos: Pos;

  constructor(code: Code | null, depth: number, slot: number, pos: Pos) {
    this.code = code;
    this.depth = depth;
    this.slot = slot;
    this.pos = pos;
  }
}

function operandOf(expr: Expr, compiler: Compiler): Operand {
  const local = asLocal(expr, compiler);
  return local === undefined
    ? new Operand(compiler.compile(expr), 0, 0, posOfExpr(expr))
    : new Operand(null, local.depth, local.slot, local.pos);
}

/** The operands themselves are fresh values: the same function or list on both sides is not equal by being the same. */
function equalOperands(a: Value, b: Value, pos: Pos): boolean {
  if (a === b && a !== null && typeof a === "object") {
    if (a instanceof AttrSet) return equalSets(a, a, pos);
    if (isList(a)) return a.every((item, i) => equalValues(item, (b as readonly Slot[])[i]!, pos));
    if (isFunctionValue(a)) return false;
    if (a instanceof Float) return !Number.isNaN(a.value);
  }
  return equalValues(a, b, pos);
}

/** `a // b // c`: operands are evaluated from the right, and merged from there so that small sets meet first. */
function compileUpdate(expr: BinaryExpr, compiler: Compiler): Code {
  const operands: { readonly code: Code; readonly pos: Pos; readonly message: string }[] = [];
  const collect = (operand: Expr, message: string): void => {
    if (operand.kind === "binary" && operand.operator === "//") {
      collect(operand.left, "in the left operand of '//'");
      collect(operand.right, "in the right operand of '//'");
    } else operands.push({ code: compiler.compile(operand), pos: posOfExpr(operand), message });
  };
  collect(expr, "");
  const setOf = (index: number, env: Env): AttrSet => {
    const { code, pos, message } = operands[index]!;
    let value: Value;
    try {
      value = code(env);
    } catch (error) {
      throw addFrame(error, message, pos);
    }
    return value instanceof AttrSet ? value : forceAttrs(value, pos, message);
  };
  if (operands.length === 2)
    return (env) => {
      const right = setOf(1, env);
      return updateAttrs(setOf(0, env), right);
    };
  return (env) => {
    let result = setOf(operands.length - 1, env);
    for (let i = operands.length - 2; i >= 0; i--) result = updateAttrs(setOf(i, env), result);
    return result;
  };
}

function compileConcatLists(expr: BinaryExpr, pos: Pos, compiler: Compiler): Code {
  if (!compiler.isDebugged) {
    const lists = listsOf(expr);
    if (lists.length > 2) return compileConcatRow(expr, lists, compiler);
  }
  const left = compiler.compile(expr.left);
  const right = compiler.compile(expr.right);
  const leftPos = posOfExpr(expr.left);
  const rightPos = posOfExpr(expr.right);
  const message = CONCATENATED;
  return (env) => {
    let a: Value;
    let b: Value;
    try {
      a = left(env);
    } catch (error) {
      throw addFrame(error, IN_LEFT_OPERAND, leftPos);
    }
    try {
      b = right(env);
    } catch (error) {
      throw addFrame(error, IN_RIGHT_OPERAND, rightPos);
    }
    const listA = isList(a) ? a : forceList(a, pos, message);
    const listB = isList(b) ? b : forceList(b, pos, message);
    if (listA.length === 0) return listB;
    if (listB.length === 0) return listA;
    return joinLists(listA, listB);
  };
}

const OPERAND = "in an operand of '+'";

export function compileConcat(expr: ConcatExpr, compiler: Compiler): Code {
  if (expr.isString) return compileInterpolation(expr, compiler);
  return expr.parts.length === 2 ? compilePlus(expr, compiler) : compilePathInterpolation(expr, compiler);
}

/** `a + b`, and `/a/${b}`. */
function compilePlus({ parts, pos }: ConcatExpr, compiler: Compiler): Code {
  const { runtime } = compiler;
  const left = compiler.compile(parts[0]!.expr);
  const right = compiler.compile(parts[1]!.expr);
  return (env) => {
    let a: Value;
    try {
      a = left(env);
    } catch (error) {
      throw addFrame(error, OPERAND, posOfExpr(parts[0]!.expr));
    }
    if (typeof a !== "string" && typeof a !== "number") return addLater(runtime, a, right, env, parts, pos);
    const b = evalPart(right, env, parts[1]!);
    if (typeof a === "string" && typeof b === "string") return a + b;
    return tryAdd(a, b) ?? addValues(runtime, a, constant(b), parts, pos);
  };
}

/** In a function of its own: one that makes a closure of what it is given makes room for that in every call. */
function addLater(
  runtime: Runtime,
  a: Value,
  right: Code,
  env: Env,
  parts: readonly ConcatPart[],
  pos: Pos,
): Value {
  return addValues(runtime, a, () => evalPart(right, env, parts[1]!), parts, pos);
}

/** The pieces of an interpolation: text as it is, code for the rest. */
function piecesOf(parts: readonly ConcatPart[], compiler: Compiler): readonly (string | Code)[] {
  return parts.map(({ expr }) => (expr.kind === "string" ? expr.text : compiler.compile(expr)));
}

function compileInterpolation({ parts }: ConcatExpr, compiler: Compiler): Code {
  const { runtime } = compiler;
  const pieces = piecesOf(parts, compiler);
  return (env) => {
    let text = "";
    for (let i = 0; i < pieces.length; i++) {
      const piece = pieces[i]!;
      if (typeof piece === "string") {
        text += piece;
        continue;
      }
      const value = evalPart(piece, env, parts[i]!);
      if (typeof value === "string") {
        text += value;
        continue;
      }
      const joined = new Joined(runtime);
      joined.text = text;
      joined.add(value, parts[i]!.pos, true);
      return joinRest(joined, pieces, parts, i + 1, true, env).toStringValue();
    }
    return text;
  };
}

/** A path: its first part keeps its last slash. */
function compilePathInterpolation({ parts, pos }: ConcatExpr, compiler: Compiler): Code {
  const { runtime } = compiler;
  const pieces = piecesOf(parts, compiler);
  return (env) => {
    const first = evalPart(pieces[0] as Code, env, parts[0]!) as PathValue;
    const joined = new Joined(runtime);
    joined.text = first.path;
    return joinRest(joined, pieces, parts, 1, false, env).toPath(pos);
  };
}

function joinRest(
  joined: Joined,
  pieces: readonly (string | Code)[],
  parts: readonly ConcatPart[],
  from: number,
  copiesPaths: boolean,
  env: Env,
): Joined {
  for (let i = from; i < pieces.length; i++) {
    const piece = pieces[i]!;
    if (typeof piece === "string") joined.text += piece;
    else joined.add(evalPart(piece, env, parts[i]!), parts[i]!.pos, copiesPaths);
  }
  return joined;
}

function evalPart(code: Code, env: Env, part: ConcatPart): Value {
  try {
    return code(env);
  } catch (error) {
    throw addFrame(error, OPERAND, posOfExpr(part.expr));
  }
}

/** Calls of `__sub`, `__mul`, `__div` and `__lessThan`, as operators are read, where nothing else has their name. */
function compileArithmetic(expr: CallExpr, name: string, compiler: Compiler): Code | undefined {
  const [leftExpr, rightExpr] = expr.args;
  if (leftExpr === undefined || rightExpr === undefined || expr.args.length !== 2) return undefined;
  if (name !== "sub" && name !== "mul" && name !== "lessThan" && name !== "div") return undefined;
  const { pos } = expr;
  const left = compiler.compile(withoutPlace(leftExpr));
  const right = compiler.compile(withoutPlace(rightExpr));
  const message = `while calling the '${name}' builtin`;
  const run = (compiler.builtin(name) as PrimOp).run as PrimOp2;
  const slow = (a: Value, b: Value): Value => {
    try {
      return run(pos, a, b);
    } catch (error) {
      throw addFrame(error, message, pos);
    }
  };
  const constant =
    rightExpr.kind === "int" && typeof rightExpr.value === "number" ? rightExpr.value : undefined;
  switch (name) {
    case "sub":
      if (constant !== undefined)
        return (env) => {
          let a: Value;
          try {
            a = left(env);
          } catch (error) {
            throw addFrame(error, message, pos);
          }
          if (typeof a === "number" && a - constant >= -MAX) return a - constant;
          return slow(a, constant);
        };
      return (env) => {
        let a: Value;
        let b: Value;
        try {
          a = left(env);
          b = right(env);
        } catch (error) {
          throw addFrame(error, message, pos);
        }
        return trySubtract(a, b) ?? slow(a, b);
      };
    case "mul":
      return (env) => {
        let a: Value;
        let b: Value;
        try {
          a = left(env);
          b = right(env);
        } catch (error) {
          throw addFrame(error, message, pos);
        }
        return tryMultiply(a, b) ?? slow(a, b);
      };
    case "lessThan":
      if (constant !== undefined)
        return (env) => {
          let a: Value;
          try {
            a = left(env);
          } catch (error) {
            throw addFrame(error, message, pos);
          }
          return typeof a === "number" ? a < constant : slow(a, constant);
        };
      return (env) => {
        let a: Value;
        let b: Value;
        try {
          a = left(env);
          b = right(env);
        } catch (error) {
          throw addFrame(error, message, pos);
        }
        if (typeof a === "number" && typeof b === "number") return a < b;
        if (typeof a === "string" && typeof b === "string") return a < b;
        return slow(a, b);
      };
    case "div":
      return (env) => {
        let a: Value;
        let b: Value;
        try {
          a = left(env);
          b = right(env);
        } catch (error) {
          throw addFrame(error, message, pos);
        }
        return tryDivide(a, b) ?? slow(a, b);
      };
  }
}

/** A builtin that forces a variable's value has no place for it; what comes from a `with` is looked up first. */
function withoutPlace(expr: Expr): Expr {
  return expr.kind === "var" && expr.depth !== FROM_WITH ? expr.at(NO_POS) : expr;
}

const ARITHMETIC: ReadonlyMap<string, string> = new Map([
  ["__sub", "sub"],
  ["__mul", "mul"],
  ["__div", "div"],
  ["__lessThan", "lessThan"],
]);

export function compileCall(
  expr: CallExpr,
  compiler: Compiler,
  globalName: string | undefined,
  known: PrimOp | undefined,
): Code {
  if (compiler.runtime.settings.traceFunctionCalls) return compileTracedCall(expr, compiler);
  const arithmetic = globalName === undefined ? undefined : ARITHMETIC.get(globalName);
  if (arithmetic !== undefined) {
    const code = compileArithmetic(expr, arithmetic, compiler);
    if (code !== undefined) return expr.args.every(isImmediate) ? code : counted(code, expr.pos, compiler);
  }
  const { pos } = expr;
  if (known !== undefined && known.arity === expr.args.length)
    return compileBuiltinCall(known, expr.args, pos, compiler);
  const args = expr.args.map((argument) => delayArgument(argument, compiler));
  const local = asLocal(expr.fn, compiler);
  if (local !== undefined)
    switch (args.length) {
      case 1:
        return callLocalOf1(local, args[0]!, pos);
      case 2:
        return callLocalOf2(local, args[0]!, args[1]!, pos);
      case 3:
        return callLocalOf3(local, args[0]!, args[1]!, args[2]!, pos);
      default:
    }
  const fn = compiler.compile(expr.fn);
  switch (args.length) {
    case 1:
      return callOf1(fn, args[0]!, pos);
    case 2:
      return callOf2(fn, args[0]!, args[1]!, pos);
    case 3:
      return callOf3(fn, args[0]!, args[1]!, args[2]!, pos);
    default:
      return callOfMany(fn, args, pos);
  }
}

// Functions of their own, so that what they give holds no more than it needs.
function callOf1(fn: Code, a0: Delay, pos: Pos): Code {
  return (env) => {
    const f = fn(env);
    return f instanceof Lambda ? f.code.call1(f.env, a0(env), pos) : apply1(f, a0(env), pos);
  };
}

function callOf2(fn: Code, a0: Delay, a1: Delay, pos: Pos): Code {
  return (env) => {
    const f = fn(env);
    if (f instanceof Lambda) {
      const both = f.code.call2;
      if (both !== undefined) return both(f.env, a0(env), a1(env), pos);
      // Both arguments' slots are made before the call, as in Nix.
      const second = a1(env);
      return apply1(f.code.call1(f.env, a0(env), pos), second, pos);
    }
    return apply2(f, a0(env), a1(env), pos);
  };
}

function callOf3(fn: Code, a0: Delay, a1: Delay, a2: Delay, pos: Pos): Code {
  return (env) => apply3(fn(env), a0(env), a1(env), a2(env), pos);
}

// The same where the function is a local variable, as mostly.
function callLocalOf1({ depth, slot, pos: fnPos }: VarExpr, a0: Delay, pos: Pos): Code {
  return (env) => {
    const f = readLocal(env, depth, slot, fnPos);
    return f instanceof Lambda ? f.code.call1(f.env, a0(env), pos) : apply1(f, a0(env), pos);
  };
}

function callLocalOf2({ depth, slot, pos: fnPos }: VarExpr, a0: Delay, a1: Delay, pos: Pos): Code {
  return (env) => {
    const f = readLocal(env, depth, slot, fnPos);
    if (f instanceof Lambda) {
      const both = f.code.call2;
      if (both !== undefined) return both(f.env, a0(env), a1(env), pos);
      const second = a1(env);
      return apply1(f.code.call1(f.env, a0(env), pos), second, pos);
    }
    return apply2(f, a0(env), a1(env), pos);
  };
}

function callLocalOf3({ depth, slot, pos: fnPos }: VarExpr, a0: Delay, a1: Delay, a2: Delay, pos: Pos): Code {
  return (env) => apply3(readLocal(env, depth, slot, fnPos), a0(env), a1(env), a2(env), pos);
}

function callOfMany(fn: Code, args: readonly Delay[], pos: Pos): Code {
  return (env) => {
    const slots = args.map((argument) => argument(env));
    let result = fn(env);
    let i = 0;
    for (; i + 2 <= slots.length; i += 2) result = apply2(result, slots[i]!, slots[i + 1]!, pos);
    if (i < slots.length) result = apply1(result, slots[i]!, pos);
    return result;
  };
}

/** A call that tells when it begins and ends: all of its arguments are one call. */
function compileTracedCall(expr: CallExpr, compiler: Compiler): Code {
  const { pos } = expr;
  const fn = compiler.compile(expr.fn);
  const args = expr.args.map((argument) => delayArgument(argument, compiler));
  return (env) => {
    const f = fn(env);
    const slots = args.map((argument) => argument(env));
    const apply = (): Value => {
      if (slots.length === 2) return apply2(f, slots[0]!, slots[1]!, pos);
      if (slots.length === 3) return apply3(f, slots[0]!, slots[1]!, slots[2]!, pos);
      return slots.reduce<Value>((result, slot) => apply1(result, slot, pos), f);
    };
    return traced(apply, pos);
  };
}

/** What an operand is where counting its operator as a call costs more than it: a variable or a number. */
function isImmediate({ kind }: Expr): boolean {
  return kind === "var" || kind === "int" || kind === "float";
}

/** Where calls are limited, an operator that is a builtin counts as one, as in Nix. */
function counted(code: Code, pos: Pos, compiler: Compiler): Code {
  if (compiler.maxCallDepth === undefined) return code;
  return (env) => {
    enterLevel(pos);
    const value = code(env);
    calls.depth--;
    return value;
  };
}

/** Short lists are made at once rather than as thunks: making them costs no more. */
const EAGER_LIST_ITEMS = 8;

function delayArgument(expr: Expr, compiler: Compiler): Delay {
  return expr.kind === "list" && expr.items.length <= EAGER_LIST_ITEMS && !compiler.isFullyLazy
    ? compiler.compile(expr)
    : compiler.delay(expr);
}

/** Builtins that evaluate their only argument before anything else. */
const STRICT: ReadonlySet<string> = new Set([
  "attrNames",
  "attrValues",
  "concatLists",
  "genericClosure",
  "head",
  "isAttrs",
  "isBool",
  "isFloat",
  "isFunction",
  "isInt",
  "isList",
  "isNull",
  "isPath",
  "isString",
  "length",
  "listToAttrs",
  "stringLength",
  "tail",
  "toString",
  "typeOf",
]);

/** Those of them whose argument's evaluation is a level deeper still: it becomes a string. */
const COERCING: ReadonlySet<string> = new Set(["stringLength", "toString"]);

/** A call of a builtin known when compiling, with all its arguments: straight to its implementation. */
function compileBuiltinCall(builtin: PrimOp, args: readonly Expr[], pos: Pos, compiler: Compiler): Code {
  if (builtin.arity === 1) {
    const run = builtin.run as PrimOp1;
    if (STRICT.has(builtin.name)) {
      const argument = compiler.compile(withoutPlace(args[0]!));
      const levels = COERCING.has(builtin.name) ? 1 : 0;
      return (env) => {
        enterLevel(pos);
        let a: Slot;
        try {
          calls.depth += levels;
          a = argument(env);
          calls.depth -= levels;
        } catch (error) {
          // The builtin meets the failure itself, and adds what it was evaluating.
          a = new Thunk(() => {
            throw error;
          }, null);
        }
        try {
          const value = run(pos, a);
          calls.depth--;
          return value;
        } catch (error) {
          throw builtinFrame(error, builtin, pos);
        }
      };
    }
    const a0 = delayArgument(args[0]!, compiler);
    return (env) => {
      enterLevel(pos);
      try {
        const value = run(pos, a0(env));
        calls.depth--;
        return value;
      } catch (error) {
        throw builtinFrame(error, builtin, pos);
      }
    };
  }
  const [a0, a1, a2] = args.map((argument) => delayArgument(argument, compiler)) as [Delay, Delay, Delay];
  if (builtin.arity === 2) {
    const run = builtin.run as PrimOp2;
    return (env) => {
      enterLevel(pos);
      try {
        const value = run(pos, a0(env), a1(env));
        calls.depth--;
        return value;
      } catch (error) {
        throw builtinFrame(error, builtin, pos);
      }
    };
  }
  const run = builtin.run as PrimOp3;
  return (env) => {
    enterLevel(pos);
    try {
      const value = run(pos, a0(env), a1(env), a2(env));
      calls.depth--;
      return value;
    } catch (error) {
      throw builtinFrame(error, builtin, pos);
    }
  };
}

function builtinFrame(error: unknown, builtin: PrimOp, pos: Pos): unknown {
  return builtin.addsFrame ? addFrame(error, `while calling the '${builtin.name}' builtin`, pos) : error;
}

/** Gives a value that is known already, computing no more than arithmetic; else `undefined`. */
export type Peek = (env: Env) => Value | undefined;

/** Cheap eagerness: arithmetic on numbers that are known already. */
export function peekArithmetic(name: string, left: Peek, right: Peek): Peek | undefined {
  switch (name) {
    case "+":
      return (env) => tryAdd(left(env), right(env));
    case "__sub":
      return (env) => trySubtract(left(env), right(env));
    case "__mul":
      return (env) => tryMultiply(left(env), right(env));
    case "__div":
      return (env) => tryDivide(left(env), right(env));
    default:
      return undefined;
  }
}
