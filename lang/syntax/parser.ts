import { asDevshellError, evalError } from "../value/error.ts";
import { showPos, type Pos, type Source } from "../value/position.ts";
import { posOfExpr, type AttrsExpr, type Expr } from "./ast.ts";
import { newAttrs } from "./attrs.ts";
import { document, readAttrPath, readBindingAfter, readBindings } from "./bindings.ts";
import { NO_FORMALS, checkFormals, readFormals, readFormalsAfter, type Formals } from "./formals.ts";
import { readIndentedString } from "./indentedString.ts";
import { floatOf, integerOf } from "./numberLiteral.ts";
import {
  LEVELS,
  LOWEST_LEVEL,
  NOT_LEVEL,
  isChainless,
  isRightAssociative,
  makeBinary,
  makeCall,
  operatorCall,
  variable,
} from "./operators.ts";
import type { ParseOptions } from "./options.ts";
import { readPathLiteral } from "./pathLiteral.ts";
import { releaseBytes } from "./sourceBytes.ts";
import { readString } from "./stringLiteral.ts";
import * as Token from "./token.ts";
import { TokenReader, unexpected } from "./tokenReader.ts";

/**
 * Parses one expression.
 * @throws EvalError of kind `parse`, worded and placed as Nix's
 */
export function parse(source: Source, options: ParseOptions): Expr {
  const parser = new Parser(source.text, source.base, options, options.layout);
  try {
    parser.next();
    const expr = parser.expression();
    if (parser.kind !== Token.END) throw unexpected(parser, "end of file");
    return expr;
  } catch (error) {
    throw asDevshellError(error, parser.pos) ?? error;
  } finally {
    releaseBytes(parser.bytes);
  }
}

/** Parses `a = 1; inherit b;`, with no braces around. */
export function parseBindings(source: Source, options: ParseOptions): AttrsExpr {
  const parser = new Parser(source.text, source.base, options, options.layout);
  try {
    parser.next();
    if (parser.kind === Token.END) throw unexpected(parser);
    const attrs = newAttrs(parser.pos);
    readBindings(parser, attrs, Token.END, "'inherit' or end of file");
    return attrs;
  } finally {
    releaseBytes(parser.bytes);
  }
}

class Parser extends TokenReader {
  override expression(): Expr {
    const { kind, pos } = this;
    switch (kind) {
      case Token.IDENTIFIER: {
        const name = this.value;
        this.next();
        if (this.kind === Token.COLON) {
          this.next();
          return lambda(this, name, undefined, pos);
        }
        if (this.kind === Token.AT) return namedPattern(this, name, pos);
        return operators(this, variableOrPlace(name, pos), pos);
      }
      case Token.BRACE_OPEN:
        this.next();
        return patternOrSet(this, pos);
      case Token.LET:
        return letExpression(this, pos);
      case Token.WITH:
        return withExpression(this, pos);
      case Token.IF:
        return ifExpression(this, pos);
      case Token.ASSERT:
        return assertExpression(this, pos);
      default:
        return operators(this, undefined, pos);
    }
  }

  override deferredParser(): (pos: Pos, end: Pos) => Expr {
    const { text, base, options } = this;
    return (pos, end) => {
      const parser = new Parser(text.slice(pos - base, end - base), pos, options, undefined);
      try {
        parser.next();
        return parser.expression();
      } finally {
        releaseBytes(parser.bytes);
      }
    };
  }
}

function letExpression(parser: Parser, pos: Pos): Expr {
  parser.next();
  if (parser.kind === Token.BRACE_OPEN) return operators(parser, oldLet(parser, pos), pos);
  const attrs = newAttrs(0);
  readBindings(parser, attrs, Token.IN, "'in' or 'inherit'");
  const body = parser.expression();
  if (attrs.dynamic.length > 0) throw evalError("parse", "dynamic attributes not allowed in let", pos);
  return { kind: "let", attrs, body, slot: 0, frameSize: 0 };
}

function withExpression(parser: Parser, pos: Pos): Expr {
  parser.next();
  const attrs = parser.expression();
  parser.expect(Token.SEMICOLON);
  parser.withs++;
  const body = parser.expression();
  parser.withs--;
  return { kind: "with", attrs, body, pos, slot: 0, frameSize: 0 };
}

function ifExpression(parser: Parser, pos: Pos): Expr {
  parser.next();
  const condition = parser.expression();
  parser.expect(Token.THEN);
  const consequent = parser.expression();
  parser.expect(Token.ELSE);
  return { kind: "if", condition, consequent, alternate: parser.expression(), pos };
}

function assertExpression(parser: Parser, pos: Pos): Expr {
  parser.next();
  const condition = parser.expression();
  parser.expect(Token.SEMICOLON);
  return { kind: "assert", condition, body: parser.expression(), pos };
}

/** `name@{ … }: …`, from the `@` on. */
function namedPattern(parser: Parser, name: string, pos: Pos): Expr {
  parser.next();
  parser.expect(Token.BRACE_OPEN);
  const formals = readFormals(parser);
  parser.expect(Token.COLON);
  return lambda(parser, name, formals, pos);
}

function lambda(parser: Parser, argument: string | undefined, formals: Formals | undefined, pos: Pos): Expr {
  const body = parser.expression();
  if (formals !== undefined) checkFormals(formals.list, argument, pos);
  const expr: Expr = {
    kind: "lambda",
    argument,
    formals: formals?.list,
    hasEllipsis: formals?.hasEllipsis ?? false,
    body,
    pos,
    name: undefined,
    frameSize: 0,
  };
  if (parser.docComments !== undefined) document(parser.docComments, expr, pos);
  return expr;
}

/** From behind the `{` of an expression that may be a function. */
function patternOrSet(parser: Parser, pos: Pos): Expr {
  const { kind, value, pos: firstPos } = parser;
  switch (kind) {
    case Token.BRACE_CLOSE:
      parser.next();
      // A set cannot be followed by either.
      if (parser.kind === Token.COLON || parser.kind === Token.AT)
        return patternFunction(parser, NO_FORMALS, pos);
      return operators(parser, newAttrs(pos), pos);
    case Token.ELLIPSIS:
      return patternFunction(parser, readFormals(parser), pos);
    case Token.IDENTIFIER: {
      parser.next();
      if (parser.kind === Token.COMMA || parser.kind === Token.QUESTION || parser.kind === Token.BRACE_CLOSE)
        return patternFunction(parser, readFormalsAfter(parser, value, firstPos), pos);
      const attrs = newAttrs(pos);
      readBindingAfter(parser, attrs, value, firstPos);
      return operators(parser, restOfSet(parser, attrs, "'inherit'"), pos);
    }
    default:
      return operators(parser, restOfSet(parser, newAttrs(pos), "'inherit'"), pos);
  }
}

/** From behind a pattern's `}`. */
function patternFunction(parser: Parser, formals: Formals, pos: Pos): Expr {
  let argument: string | undefined;
  if (parser.kind === Token.AT) {
    parser.next();
    argument = parser.expectIdentifier();
    parser.expect(Token.COLON);
  } else parser.expect(Token.COLON, "':' or '@'");
  return lambda(parser, argument, formals, pos);
}

function restOfSet(parser: Parser, attrs: AttrsExpr, expected: string): AttrsExpr {
  readBindings(parser, attrs, Token.BRACE_CLOSE, expected);
  return attrs;
}

/** Operators, then pipes. @param first an operand whose first part was read already */
function operators(parser: Parser, first: Expr | undefined, pos: Pos): Expr {
  const left = binary(parser, LOWEST_LEVEL, first, pos);
  if (parser.kind === Token.PIPE_INTO) {
    let value = left;
    do {
      const pipePos = parser.pos;
      parser.next();
      value = makeCall(binary(parser, LOWEST_LEVEL, undefined, parser.pos), [value], pipePos);
    } while (parser.kind === Token.PIPE_INTO);
    return value;
  }
  return parser.kind === Token.PIPE_FROM ? pipeFrom(parser, left) : left;
}

/** From the `<|` behind a function. */
function pipeFrom(parser: Parser, fn: Expr): Expr {
  const { pos } = parser;
  parser.next();
  const argument = binary(parser, LOWEST_LEVEL, undefined, parser.pos);
  return makeCall(fn, [parser.kind === Token.PIPE_FROM ? pipeFrom(parser, argument) : argument], pos);
}

function binary(parser: Parser, minLevel: number, first: Expr | undefined, startPos: Pos): Expr {
  let left = first === undefined ? unary(parser) : application(parser, first, startPos);
  let lastLevel = 0;
  for (;;) {
    const { kind } = parser;
    const level = LEVELS[kind]!;
    if (level < minLevel) return left;
    if (level === lastLevel && isChainless(level)) throw unexpected(parser);
    lastLevel = level;
    const { pos } = parser;
    parser.next();
    if (kind === Token.QUESTION) {
      left = hasAttr(parser, left);
      continue;
    }
    const rightPos = parser.pos;
    const right = binary(parser, isRightAssociative(level) ? level : level + 1, undefined, rightPos);
    left = makeBinary(kind, left, right, pos, startPos, rightPos);
  }
}

function hasAttr(parser: Parser, object: Expr): Expr {
  return { kind: "hasAttr", object, path: readAttrPath(parser), pos: posOfExpr(object) };
}

function unary(parser: Parser): Expr {
  const { kind, pos } = parser;
  if (kind === Token.NOT) return negation(parser);
  if (kind === Token.MINUS) return negative(parser, pos);
  return application(parser, undefined, pos);
}

function negation(parser: Parser): Expr {
  parser.next();
  return { kind: "not", operand: binary(parser, NOT_LEVEL, undefined, parser.pos) };
}

function negative(parser: Parser, pos: Pos): Expr {
  parser.next();
  return operatorCall("__sub", [{ kind: "int", value: 0 }, unary(parser)], pos);
}

/** Arguments are counted off, since an array that grows takes room for seventeen. */
function application(parser: Parser, first: Expr | undefined, pos: Pos): Expr {
  const fn = select(parser, first, pos, false);
  if (parser.kind > Token.LAST_START) return fn;
  const argument1 = operand(parser);
  if (parser.kind > Token.LAST_START) return makeCall(fn, [argument1], pos);
  const argument2 = operand(parser);
  if (parser.kind > Token.LAST_START) return makeCall(fn, [argument1, argument2], pos);
  const args = [argument1, argument2, operand(parser)];
  while (parser.kind <= Token.LAST_START) args.push(operand(parser));
  return makeCall(fn, args, pos);
}

/** An argument, an item of a list, what stands behind `or`. */
function operand(parser: Parser): Expr {
  return select(parser, undefined, parser.pos, true);
}

/** @param isWithin `f or` is read as a call here, where an operand alone could stand */
function select(parser: Parser, first: Expr | undefined, pos: Pos, isWithin: boolean): Expr {
  const object = first ?? simple(parser);
  if (parser.kind === Token.DOT) {
    parser.next();
    const path = readAttrPath(parser);
    return { kind: "select", object, path, fallback: fallbackOf(parser), pos };
  }
  if (parser.kind !== Token.OR) return object;
  if (isWithin) warnOfOr(parser, pos);
  parser.next();
  return { kind: "call", fn: object, args: [variable("or", pos)], pos };
}

function fallbackOf(parser: Parser): Expr | undefined {
  if (parser.kind !== Token.OR) return undefined;
  parser.next();
  return operand(parser);
}

function warnOfOr({ text, base, at, options }: Parser, pos: Pos): void {
  options.warn?.(
    `at ${showPos(pos)}: This expression uses \`or\` as an identifier in a way that will change in a future Nix release.\n` +
      `Wrap this entire expression in parentheses to preserve its current meaning:\n    (${text.slice(pos - base, at)})\n` +
      "Give feedback at https://github.com/NixOS/nix/pull/11121",
  );
}

function simple(parser: Parser): Expr {
  const { kind, value, pos } = parser;
  switch (kind) {
    case Token.IDENTIFIER:
      parser.next();
      return variableOrPlace(value, pos);
    case Token.STRING:
      return readString(parser);
    case Token.INDENTED_STRING:
      return readIndentedString(parser, pos);
    case Token.PATH:
    case Token.HOME_PATH:
      return readPathLiteral(parser, pos);
    case Token.PAREN_OPEN: {
      parser.next();
      const expr = parser.expression();
      parser.expect(Token.PAREN_CLOSE);
      return expr;
    }
    case Token.BRACKET_OPEN:
      parser.next();
      return restOfList(parser);
    case Token.BRACE_OPEN:
      parser.next();
      return restOfSet(parser, newAttrs(pos), "'inherit'");
    default:
      return rarer(parser);
  }
}

/** In a function of its own: V8 compiles a function anew for each branch that is taken for the first time. */
function rarer(parser: Parser): Expr {
  const { kind, value, pos } = parser;
  switch (kind) {
    case Token.INTEGER: {
      const integer = integerOf(value, pos);
      parser.next();
      return { kind: "int", value: integer };
    }
    case Token.FLOAT: {
      const float = floatOf(value, pos);
      parser.next();
      return { kind: "float", value: float };
    }
    case Token.SEARCH_PATH:
      parser.next();
      return operatorCall("__findFile", [variable("__nixPath", 0), { kind: "string", text: value }], pos);
    case Token.URI:
      parser.options.lint?.("lint-url-literals", value, pos);
      parser.next();
      return { kind: "string", text: value };
    case Token.REC: {
      parser.next();
      parser.expect(Token.BRACE_OPEN);
      const attrs = newAttrs(pos);
      attrs.isRecursive = true;
      return restOfSet(parser, attrs, "'inherit' or '}'");
    }
    case Token.LET:
      parser.next();
      if (parser.kind !== Token.BRACE_OPEN) throw unexpected(parser, "'{'");
      return oldLet(parser, pos);
    default:
      throw unexpected(parser);
  }
}

function restOfList(parser: Parser): Expr {
  const items: Expr[] = [];
  while (parser.kind <= Token.LAST_START) items.push(operand(parser));
  if (parser.kind !== Token.BRACKET_CLOSE) throw unexpected(parser);
  parser.next();
  return { kind: "list", items: items.slice() };
}

/** `let { …, body = … }`, from the brace on, means `(rec { … }).body`. */
function oldLet(parser: Parser, pos: Pos): Expr {
  parser.next();
  const attrs = newAttrs(pos);
  attrs.isRecursive = true;
  const object = restOfSet(parser, attrs, "'inherit' or '}'");
  return { kind: "select", object, path: ["body"], fallback: undefined, pos };
}

function variableOrPlace(name: string, pos: Pos): Expr {
  return name === "__curPos" ? { kind: "curPos", pos } : variable(name, pos);
}
