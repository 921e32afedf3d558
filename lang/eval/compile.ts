import { GLOBAL, expand, pathOf, type AttrDef, type Expr, type SelectExpr } from "../syntax/index.ts";
import { NO_POS, type Pos } from "../value/position.ts";
import { positionValue } from "../value/positionValue.ts";
import type { Runtime } from "../value/runtime.ts";
import { sharedTemplate, slotsLike } from "../value/slots.ts";
import {
  AttrSet,
  Float,
  PathValue,
  PrimOp,
  Thunk,
  placedAnew,
  type Slot,
  type Value,
} from "../value/value.ts";
import { compileAttrs, compileLet, compileWith } from "./bindings.ts";
import {
  LazyCode,
  constant,
  delayed,
  delayedDefinition,
  type Code,
  type Compiler,
  type Delay,
} from "./code.ts";
import { compileLambda } from "./lambda.ts";
import type { OutlineRecorder } from "./outline.ts";
import {
  compileAssert,
  compileBinary,
  compileCall,
  compileConcat,
  compileIf,
  compileNot,
  peekArithmetic,
  type Peek,
} from "./operators.ts";
import { compileHasAttr, compileSelect, delaySelect, selector } from "./select.ts";
import { compileVariable, delayVariable, peeker } from "./variable.ts";

/** What the compiler needs of the evaluator. */
export interface CompileContext {
  readonly runtime: Runtime;
  readonly globalNames: readonly string[];
  readonly globalValues: readonly Slot[];
  /** Where it is recorded which definitions are asked for. */
  readonly outlines: OutlineRecorder | undefined;
}

/** Small sets are made at once rather than as thunks: making them costs no more. */
const EAGER_SET_NAMES = 8;

/** Operators within operators that are worth trying before a thunk is made. */
const MAX_PEEK_LEVEL = 3;

/**
 * Turns resolved expressions into closures. Everything is compiled when it first runs; thunks are avoided where the
 * value is at hand (literals, variables, `n - 1` of a number, `x.a` of a set).
 */
export class ClosureCompiler implements Compiler {
  readonly #context: CompileContext;
  readonly #globalReaders: (() => Slot)[] = [];

  constructor(context: CompileContext) {
    this.#context = context;
  }

  get runtime(): Runtime {
    return this.#context.runtime;
  }

  get showTrace(): boolean {
    return this.#context.runtime.settings.showTrace;
  }

  get maxCallDepth(): number | undefined {
    return this.#context.runtime.settings.maxCallDepth;
  }

  get isFullyLazy(): boolean {
    return this.#context.runtime.settings.isFullyLazy;
  }

  get isDebugged(): boolean {
    return false;
  }

  global(index: number): Slot {
    return this.#context.globalValues[index]!;
  }

  globalReader(index: number): () => Slot {
    return (this.#globalReaders[index] ??= constant(this.global(index)));
  }

  builtin(name: string): Value {
    const value = this.#context.runtime.getBuiltin(name);
    if (value instanceof Thunk) throw new Error(`builtin is no function: ${name}`);
    return value;
  }

  lazy(expr: Expr): LazyCode {
    return new LazyCode(expr, this);
  }

  remember(_code: Code, _expr: Expr): void {
    // No debugger asks.
  }

  // No closures are made here and in `delay`: they would hold the expression and this.
  compile(expr: Expr): Code {
    switch (expr.kind) {
      case "int":
      case "float":
      case "string":
      case "path":
        return constant(literal(expr));
      case "var":
        return compileVariable(expr, this);
      case "select": {
        const builtin = this.#knownBuiltin(expr);
        return builtin === undefined ? compileSelect(expr, this) : constant(builtin);
      }
      case "hasAttr":
        return compileHasAttr(expr, this);
      case "call":
        return compileCall(expr, this, this.#globalName(expr.fn), this.#knownBuiltin(expr.fn));
      case "lambda":
        return compileLambda(expr, this);
      case "let":
        return compileLet(expr, this);
      case "with":
        return compileWith(expr, this);
      case "if":
        return compileIf(expr, this);
      case "assert":
        return compileAssert(expr, this);
      case "attrs":
        return compileAttrs(expr, this);
      case "list":
        return expr.items.length === 0 ? giveNoItems : this.#compileItems(expr.items);
      case "not":
        return compileNot(expr, this);
      case "concat":
        return compileConcat(expr, this);
      case "binary":
        return compileBinary(expr, this);
      case "curPos":
        return placeOf(expr.pos);
      case "deferred":
        return this.compile(expand(expr));
      case "inheritFrom":
        throw new Error("inheritFrom is compiled with its set");
    }
  }

  delay(expr: Expr): Delay {
    if (expr.kind === "deferred") return this.delay(expand(expr));
    return this.#delayAtHand(expr) ?? delayed(expr, this);
  }

  define(def: AttrDef, isAlwaysDelayed = false): Delay {
    const { outlines } = this.#context;
    // What a path of names makes in between has no text of its own.
    if (outlines === undefined || (def.value.kind === "attrs" && def.value.pos === NO_POS))
      return isAlwaysDelayed ? delayed(def.value, this) : this.delay(def.value);
    const expr = def.value.kind === "deferred" ? expand(def.value) : def.value;
    const atHand = isAlwaysDelayed ? undefined : this.#delayAtHand(expr);
    if (atHand === undefined) return delayedDefinition(expr, this, outlines, def.pos);
    outlines.ask(def.pos);
    return atHand;
  }

  /** What needs no thunk. */
  #delayAtHand(expr: Expr): Delay | undefined {
    switch (expr.kind) {
      case "int":
      case "float":
      case "string":
      case "path":
        return constant(literal(expr));
      case "var":
        return delayVariable(expr, this);
      case "list":
        if (expr.items.length === 0) return giveNoItems;
        break;
      default:
    }
    return this.isFullyLazy ? undefined : this.#delayCheap(expr);
  }

  /** The value itself where it costs no more than a thunk would. */
  #delayCheap(expr: Expr): Delay | undefined {
    switch (expr.kind) {
      case "lambda":
        return compileLambda(expr, this);
      case "attrs":
        if (
          !expr.isRecursive &&
          expr.dynamic.length === 0 &&
          expr.inheritFrom.length === 0 &&
          expr.defs.length <= EAGER_SET_NAMES
        )
          return compileAttrs(expr, this);
        break;
      case "select": {
        const builtin = this.#knownBuiltin(expr);
        return builtin === undefined ? this.#delaySelect(expr) : () => placedAnew(builtin);
      }
      case "call":
      case "concat":
        return this.#delayArithmetic(expr);
      default:
    }
    return undefined;
  }

  /** `x.a` where `x` is evaluated already: what is there, else a thunk. */
  #delaySelect(expr: SelectExpr): Delay | undefined {
    const [name] = expr.path;
    if (expr.path.length !== 1 || typeof name !== "string" || expr.fallback !== undefined) return undefined;
    const { object } = expr;
    if (object.kind !== "var") return undefined;
    if (object.depth === GLOBAL) {
      const set = this.global(object.slot);
      const slot = set instanceof AttrSet ? set.get(name) : undefined;
      return slot === undefined ? undefined : constant(slot);
    }
    return object.depth < 0 ? undefined : delaySelect(object, name, expr, this);
  }

  #compileItems(items: readonly Expr[]): Code {
    return listOf(items.map((item) => this.delay(item)));
  }

  /** `n - 1` of a number: the result where the operands are known, instead of a thunk. */
  #delayArithmetic(expr: Expr): Delay | undefined {
    const operation = this.#operation(expr);
    // Of two literals Nix makes a thunk too, and shows it so.
    if (operation === undefined || (operation.left.kind === "int" && operation.right.kind === "int"))
      return undefined;
    const peek = this.#peek(expr, 0);
    if (peek === undefined) return undefined;
    const later = delayed(expr, this);
    return (env) => {
      const value = peek(env);
      return value === undefined ? later(env) : value;
    };
  }

  /** An operator of arithmetic with its operands, if an expression is that. */
  #operation(expr: Expr): { readonly name: string; readonly left: Expr; readonly right: Expr } | undefined {
    let name: string | undefined;
    let operands: readonly Expr[] = [];
    if (expr.kind === "call") {
      name = this.#globalName(expr.fn);
      operands = expr.args;
    } else if (expr.kind === "concat" && !expr.isString) {
      name = "+";
      operands = expr.parts.map((part) => part.expr);
    }
    const [left, right] = operands;
    if (name === undefined || left === undefined || right === undefined || operands.length !== 2)
      return undefined;
    return { name, left, right };
  }

  /** Reads what is known of literals, variables, `x.a`, and arithmetic on these. */
  #peek(expr: Expr, level: number): Peek | undefined {
    switch (expr.kind) {
      case "int": {
        const { value } = expr;
        return () => value;
      }
      case "var":
        return peeker(expr, this);
      case "select": {
        const [name] = expr.path;
        if (expr.path.length !== 1 || typeof name !== "string" || expr.fallback !== undefined)
          return undefined;
        if (expr.object.kind !== "var") return undefined;
        const object = peeker(expr.object, this);
        if (object === undefined) return undefined;
        const select = selector(name);
        return (env) => {
          const set = object(env);
          if (!(set instanceof AttrSet)) return undefined;
          const slot = select(set);
          if (!(slot instanceof Thunk)) return slot;
          return slot.code === null ? (slot.data as Value) : undefined;
        };
      }
      case "call":
      case "concat": {
        const operation = level >= MAX_PEEK_LEVEL ? undefined : this.#operation(expr);
        if (operation === undefined) return undefined;
        const left = this.#peek(operation.left, level + 1);
        const right = left === undefined ? undefined : this.#peek(operation.right, level + 1);
        return left === undefined || right === undefined
          ? undefined
          : peekArithmetic(operation.name, left, right);
      }
      default:
        return undefined;
    }
  }

  /** The builtin function that `map`, `__sub` or `builtins.sub` is, where nothing else has that name. */
  #knownBuiltin(expr: Expr): PrimOp | undefined {
    let value: Slot | undefined;
    if (expr.kind === "var" && expr.depth === GLOBAL) value = this.global(expr.slot);
    else if (expr.kind === "select" && this.#globalName(expr.object) === "builtins") {
      const [name] = expr.path;
      if (expr.path.length === 1 && typeof name === "string")
        value = this.#context.runtime.builtins.get(name);
    }
    return value instanceof PrimOp ? value : undefined;
  }

  /** The name of a global variable that an expression is. */
  #globalName(expr: Expr): string | undefined {
    return expr.kind === "var" && expr.depth === GLOBAL ? this.#context.globalNames[expr.slot] : undefined;
  }
}

const giveNoItems = constant<readonly Slot[]>([]);

function placeOf(pos: Pos): Code {
  return () => positionValue(pos);
}

function listOf(items: readonly Delay[]): Code {
  const empty = sharedTemplate(items.length);
  return (env) => {
    const list = slotsLike<Slot>(empty);
    for (let i = 0; i < items.length; i++) list[i] = items[i]!(env);
    return list;
  };
}

function literal(expr: Extract<Expr, { kind: "int" | "float" | "string" | "path" }>): Value {
  switch (expr.kind) {
    case "int":
      return expr.value;
    case "float":
      return new Float(expr.value);
    case "string":
      return expr.text;
    case "path":
      return new PathValue(pathOf(expr));
  }
}
