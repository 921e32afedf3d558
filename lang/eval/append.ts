import { posOfExpr, type AttrName, type Expr } from "../syntax/index.ts";
import { addFrame } from "../value/error.ts";
import { forceList } from "../value/force.ts";
import { isList, type Env, type Slot, type Value } from "../value/value.ts";
import type { Code, Compiler } from "./code.ts";
import { CONCATENATED, IN_RIGHT_OPERAND } from "./concatRow.ts";

/** Parts of an operand that are looked through for a name; a longer one is taken to read it. */
const MAX_PARTS = 100;

/**
 * The right operand of `list ++ e`, a function's body, where `e` does not read the function's argument `list`.
 * @returns `undefined` for any other body
 */
export function compileAppended(
  body: Expr,
  list: string | undefined,
  compiler: Compiler,
): ((frame: Env) => readonly Slot[]) | undefined {
  if (list === undefined || body.kind !== "binary" || body.operator !== "++") return undefined;
  const { left, right, pos } = body;
  if (left.kind !== "var" || left.name !== list || left.depth !== 0 || left.slot !== 1) return undefined;
  if (new NameSearch(list).isIn(right)) return undefined;
  let code: Code | undefined;
  const rightPos = posOfExpr(right);
  return (frame) => {
    let value: Value;
    try {
      value = (code ??= compiler.compile(right))(frame);
    } catch (error) {
      throw addFrame(error, IN_RIGHT_OPERAND, rightPos);
    }
    return isList(value) ? value : forceList(value, pos, CONCATENATED);
  };
}

/** Looks for a variable's name; what it cannot tell counts as found. */
class NameSearch {
  readonly #name: string;
  #parts = 0;

  constructor(name: string) {
    this.#name = name;
  }

  isIn(expr: Expr): boolean {
    if (++this.#parts > MAX_PARTS) return true;
    switch (expr.kind) {
      case "int":
      case "float":
      case "string":
      case "path":
      case "curPos":
        return false;
      case "var":
        return expr.name === this.#name;
      case "select":
        return (
          this.#isInPath(expr.object, expr.path) || (expr.fallback !== undefined && this.isIn(expr.fallback))
        );
      case "hasAttr":
        return this.#isInPath(expr.object, expr.path);
      case "call":
        return this.isIn(expr.fn) || this.#isInAny(expr.args);
      case "list":
        return this.#isInAny(expr.items);
      case "not":
        return this.isIn(expr.operand);
      case "concat":
        return expr.parts.some((part) => this.isIn(part.expr));
      case "binary":
        return this.isIn(expr.left) || this.isIn(expr.right);
      case "if":
        return this.isIn(expr.condition) || this.isIn(expr.consequent) || this.isIn(expr.alternate);
      case "attrs":
        return (
          this.#isInAny(expr.defs.map(({ value }) => value)) ||
          this.#isInAny(expr.inheritFrom) ||
          expr.dynamic.some(({ name, value }) => this.isIn(name) || this.isIn(value))
        );
      case "inheritFrom":
        return false;
      case "lambda":
      case "let":
      case "with":
      case "assert":
      case "deferred":
        return true;
    }
  }

  #isInAny(exprs: readonly Expr[]): boolean {
    return exprs.some((expr) => this.isIn(expr));
  }

  #isInPath(object: Expr, path: readonly AttrName[]): boolean {
    return this.isIn(object) || path.some((name) => typeof name !== "string" && this.isIn(name));
  }
}
