import { posOfExpr, printExpr, type AttrName, type Expr, type SelectExpr } from "../syntax/index.ts";
import { quoteAttrName } from "../value/literal.ts";
import { NO_POS, type Pos } from "../value/position.ts";
import type { Env, Value } from "../value/value.ts";
import type { Code } from "./code.ts";
import { ClosureCompiler, type CompileContext } from "./compile.ts";
import type { DebugFrame, Debugger } from "./debugger.ts";

/** Turns code into code that tells the debugger of itself. */
type Wrap = (code: Code) => Code;

/** Compiles as ever, all delayed as in Nix, and tells a debugger of what Nix's tells: calls, `let`, attributes. */
export class DebugCompiler extends ClosureCompiler {
  readonly #debugger: Debugger;
  /** What evaluating an expression means for the one around it. */
  readonly #wraps = new WeakMap<Expr, Wrap>();

  constructor(context: CompileContext, control: Debugger) {
    super(context);
    this.#debugger = control;
  }

  override get isFullyLazy(): boolean {
    return true;
  }

  override get isDebugged(): boolean {
    return true;
  }

  override remember(code: Code, expr: Expr): void {
    this.#debugger.remember(code, expr);
  }

  override compile(expr: Expr): Code {
    const own = this.#compileOwn(expr);
    const code = this.#wraps.get(expr)?.(own) ?? own;
    this.remember(code, expr);
    return code;
  }

  #compileOwn(expr: Expr): Code {
    switch (expr.kind) {
      case "call":
        return this.#within(frameOf("while calling a function", expr.pos, expr))(super.compile(expr));
      case "let":
        this.#wraps.set(
          expr.body,
          this.#within({
            ...frameOf("while evaluating a 'let' expression", NO_POS, expr.body),
            exprPos: NO_POS,
          }),
        );
        return super.compile(expr);
      case "lambda": {
        // Its name may become known later.
        const message = (): string =>
          `while calling ${expr.name === undefined ? "anonymous lambda" : `'${expr.name}'`}`;
        this.#wraps.set(
          expr.body,
          this.#within({ message, pos: expr.pos, expr: expr.body, exprPos: posOfExpr(expr.body) }),
        );
        return super.compile(expr);
      }
      case "select":
        return this.#compileSelect(expr);
      default:
        return super.compile(expr);
    }
  }

  #within(frame: DebugFrame): Wrap {
    const control = this.#debugger;
    return (code) => (env) => {
      const { depth } = control;
      control.enter(frame, env);
      try {
        return code(env);
      } finally {
        control.leave(depth);
      }
    };
  }

  /** An attribute is evaluated from when its set is there, not before. */
  #compileSelect(expr: SelectExpr): Code {
    const control = this.#debugger;
    const enter = (value: Value, env: Env): Value => {
      const message = (): string => `while evaluating the attribute '${this.#showPath(expr.path, env)}'`;
      control.enter({ message, pos: expr.pos, expr, exprPos: expr.pos }, env);
      return value;
    };
    this.#wraps.set(expr.object, (code) => (env) => enter(code(env), env));
    const code = super.compile(expr);
    return (env) => {
      const { depth } = control;
      try {
        return code(env);
      } finally {
        control.leave(depth);
      }
    };
  }

  #showPath(path: readonly AttrName[], env: Env): string {
    return path
      .map((name) => {
        if (typeof name === "string") return quoteAttrName(name);
        try {
          const value = super.compile(name)(env);
          if (typeof value === "string") return quoteAttrName(value);
        } catch {
          // shown as it is written
        }
        return `"\${${printExpr(name)}}"`;
      })
      .join(".");
  }
}

function frameOf(message: string, pos: Pos, expr: Expr): DebugFrame {
  return { message: () => message, pos, expr, exprPos: posOfExpr(expr) };
}
