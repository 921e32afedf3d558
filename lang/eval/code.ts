import type { Expr } from "../syntax/index.ts";
import type { Runtime } from "../value/runtime.ts";
import type { Env, Slot, Value } from "../value/value.ts";

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
  readonly runtime: Runtime;
  compile(expr: Expr): Code;
  delay(expr: Expr): Delay;
  /** Code that compiles itself when first run. */
  lazy(expr: Expr): LazyCode;
  global(index: number): Slot;
  /** A builtin's own value, whatever the program calls by its name. */
  builtin(name: string): Value;
}

/** Holds code that replaces itself by its compiled form: most code of a package tree never runs. */
export class LazyCode {
  run: Code;

  constructor(expr: Expr, compiler: Compiler) {
    let compiled: Code | undefined;
    this.run = (env) => {
      // Thunks made before the first run hold this function, not what replaces it.
      if (compiled === undefined) {
        compiled = compiler.compile(expr);
        this.run = compiled;
      }
      return compiled(env);
    };
  }
}
