import type { AttrDef, Expr } from "../syntax/index.ts";
import type { Pos } from "../value/position.ts";
import type { Runtime } from "../value/runtime.ts";
import type { OutlineRecorder } from "./outline.ts";
import { Thunk, type Env, type Slot, type Value } from "../value/value.ts";

/** A compiled expression: gives its value, forced. */
export type Code = (env: Env) => Value;

/** A compiled expression that gives its value or a thunk for it, without evaluating much. */
export type Delay = (env: Env) => Slot;

/** What the parts of the compiler need of each other. */
export interface Compiler {
  /** Whether calls leave frames in traces. */
  readonly showTrace: boolean;
  readonly maxCallDepth: number | undefined;
  /** Whether all that Nix delays is delayed. */
  readonly isFullyLazy: boolean;
  /** Whether a debugger follows: every call is one of its own, and nothing is evaluated twice. */
  readonly isDebugged: boolean;
  readonly runtime: Runtime;
  compile(expr: Expr): Code;
  delay(expr: Expr): Delay;
  /** As `delay`, of a definition's value. @param isAlwaysDelayed whether even what is at hand is delayed */
  define(def: AttrDef, isAlwaysDelayed?: boolean): Delay;
  /** Code that compiles itself when first run. */
  lazy(expr: Expr): LazyCode;
  /** Says whose code thunks hold, for a debugger. */
  remember(code: Code, expr: Expr): void;
  global(index: number): Slot;
  /** Code that gives a global variable's slot. */
  globalReader(index: number): () => Slot;
  /** A builtin's own value, whatever the program calls by its name. */
  builtin(name: string): Value;
}

/**
 * Holds code that is compiled when it first runs: most code of a package tree never does. Without a function of its
 * own for that: there are hundreds of thousands.
 */
export class LazyCode {
  run: (this: LazyCode, env: Env) => Value;
  readonly #expr: Expr;
  readonly #compiler: Compiler;
  /** What thunks hold that were made before the first run. */
  #pending: Code | undefined = undefined;

  constructor(expr: Expr, compiler: Compiler) {
    this.run = compileAndRun;
    this.#expr = expr;
    this.#compiler = compiler;
  }

  compiled(): Code {
    if (this.run === compileAndRun) this.run = this.#compiler.compile(this.#expr);
    return this.run as Code;
  }

  /** The code as a function, compiled when that runs. */
  pending(): Code {
    if (this.run !== compileAndRun) return this.run as Code;
    return (this.#pending ??= (env) => this.compiled()(env));
  }
}

function compileAndRun(this: LazyCode, env: Env): Value {
  return this.compiled()(env);
}

/** Makes thunks for an expression, whose code is compiled when the first of them is forced. */
export function delayed(expr: Expr, compiler: Compiler): Delay {
  let pending: Expr | undefined = expr;
  // Thunks made before the first run hold this function, not what replaces it.
  let code: Code = (env) => {
    if (pending !== undefined) {
      code = compiler.compile(pending);
      pending = undefined;
    }
    return code(env);
  };
  compiler.remember(code, expr);
  return (env) => new Thunk(code, env);
}

/** The same of a definition, which is asked for when the first of them is forced. @param pos of its name */
export function delayedDefinition(
  expr: Expr,
  compiler: Compiler,
  outlines: OutlineRecorder,
  pos: Pos,
): Delay {
  let pending: Expr | undefined = expr;
  let code: Code = (env) => {
    if (pending !== undefined) {
      outlines.ask(pos);
      code = compiler.compile(pending);
      pending = undefined;
    }
    return code(env);
  };
  return (env) => new Thunk(code, env);
}

/** Code for what is known. A function of its own, so that what it gives holds no more than that. */
export function constant<T>(value: T): () => T {
  return () => value;
}
