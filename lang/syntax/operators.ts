import type { Pos } from "../value/position.ts";
import { VarExpr, type Expr } from "./ast.ts";
import * as Token from "./token.ts";

/** How tightly an operator binds, by its token; 0 for what is none. `!` lies between `//` and `+`. */
export const LEVELS: Uint8Array = (() => {
  const levels = new Uint8Array(64);
  levels[Token.IMPLIES] = 1;
  levels[Token.LOGICAL_OR] = 2;
  levels[Token.LOGICAL_AND] = 3;
  levels[Token.EQUAL] = levels[Token.UNEQUAL] = 4;
  levels[Token.LESS] = levels[Token.GREATER] = 5;
  levels[Token.LESS_EQUAL] = levels[Token.GREATER_EQUAL] = 5;
  levels[Token.UPDATE] = 6;
  levels[Token.PLUS] = levels[Token.MINUS] = 8;
  levels[Token.TIMES] = levels[Token.DIVIDE] = 9;
  levels[Token.CONCAT] = 10;
  levels[Token.QUESTION] = 11;
  return levels;
})();
export const LOWEST_LEVEL = 1;
export const NOT_LEVEL = 8;

/** `a == b == c` means nothing, nor does `a < b < c`. */
export function isChainless(level: number): boolean {
  return level === 4 || level === 5;
}

export function isRightAssociative(level: number): boolean {
  return level === 1 || level === 6 || level === 10;
}

export function variable(name: string, pos: Pos): Expr {
  return new VarExpr(name, pos);
}

/** A call of a builtin that stands for an operator. */
export function operatorCall(builtin: string, args: Expr[], pos: Pos): Expr {
  return { kind: "call", fn: variable(builtin, 0), args, pos };
}

/** A call of a call is one call with more arguments, parenthesized or not. */
export function makeCall(fn: Expr, args: Expr[], pos: Pos): Expr {
  if (fn.kind !== "call") return { kind: "call", fn, args, pos };
  for (const argument of args) fn.args.push(argument);
  return fn;
}

export function makeBinary(
  operator: Token.TokenKind,
  left: Expr,
  right: Expr,
  pos: Pos,
  leftPos: Pos,
  rightPos: Pos,
): Expr {
  switch (operator) {
    case Token.EQUAL:
      return { kind: "binary", operator: "==", left, right, pos };
    case Token.UNEQUAL:
      return { kind: "binary", operator: "!=", left, right, pos };
    case Token.LOGICAL_AND:
      return { kind: "binary", operator: "&&", left, right, pos };
    case Token.LOGICAL_OR:
      return { kind: "binary", operator: "||", left, right, pos };
    case Token.IMPLIES:
      return { kind: "binary", operator: "->", left, right, pos };
    case Token.UPDATE:
      return { kind: "binary", operator: "//", left, right, pos };
    case Token.CONCAT:
      return { kind: "binary", operator: "++", left, right, pos };
    case Token.PLUS:
      return {
        kind: "concat",
        parts: [
          { pos: leftPos, expr: left },
          { pos: rightPos, expr: right },
        ],
        isString: false,
        pos,
      };
    case Token.MINUS:
      return operatorCall("__sub", [left, right], pos);
    case Token.TIMES:
      return operatorCall("__mul", [left, right], pos);
    case Token.DIVIDE:
      return operatorCall("__div", [left, right], pos);
    case Token.LESS:
      return operatorCall("__lessThan", [left, right], pos);
    case Token.GREATER:
      return operatorCall("__lessThan", [right, left], pos);
    case Token.LESS_EQUAL:
      return { kind: "not", operand: operatorCall("__lessThan", [right, left], pos) };
    case Token.GREATER_EQUAL:
      return { kind: "not", operand: operatorCall("__lessThan", [left, right], pos) };
    default:
      throw new Error(`no binary operator: ${operator}`);
  }
}
