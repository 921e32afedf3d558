import { bytesOfText } from "../../core/index.ts";
import { evalError, type EvalError } from "../value/error.ts";
import type { Pos } from "../value/position.ts";
import type { Expr } from "./ast.ts";
import { Lexer } from "./lexer.ts";
import type { ParseOptions, SourceLayout } from "./options.ts";
import { BRACE_CLOSE, END, IDENTIFIER, describeToken, type TokenKind } from "./token.ts";

/** What the parts of the parser share: the token that is looked at, and how to read an expression within theirs. */
export abstract class TokenReader extends Lexer {
  readonly options: ParseOptions;
  readonly hasNul: boolean;
  /** The `with`s around. */
  withs = 0;
  /** Reads the expressions of definitions that are well-formed at a glance, when they are asked for. */
  parseDeferred: ((pos: Pos, end: Pos) => Expr) | undefined = undefined;

  constructor(text: string, base: Pos, options: ParseOptions, layout: SourceLayout | undefined) {
    super(text, base, options.allowsPipes ?? false, options.docComments, layout);
    this.options = options;
    this.hasNul = text.includes("\0");
  }

  /** Reads a whole expression: a function, `assert`, `with`, `let`, `if`, or operators. */
  abstract expression(): Expr;

  /** Makes what reads the text of a deferred definitions, without holding on to this reader. */
  abstract deferredParser(): (pos: Pos, end: Pos) => Expr;

  /** Moves on from a token that must be there. */
  expect(kind: TokenKind, expected?: string): void {
    if (this.kind !== kind) throw unexpected(this, expected ?? describeToken(kind));
    this.next();
  }

  /** Moves on from an identifier. */
  expectIdentifier(): string {
    if (this.kind !== IDENTIFIER) throw unexpected(this, "identifier");
    const { value } = this;
    this.next();
    return value;
  }

  /** The expression of `${ … }`; `at` is left right behind the brace, in raw text. */
  interpolation(): Expr {
    this.at += 2;
    this.next();
    const expr = this.expression();
    if (this.kind !== BRACE_CLOSE) throw unexpected(this, "'}'");
    return expr;
  }
}

export function unexpected(reader: TokenReader, expected?: string): EvalError {
  const found = describeToken(reader.kind);
  const message = `syntax error, unexpected ${found}${expected === undefined ? "" : `, expecting ${expected}`}`;
  return evalError("parse", message, reader.pos);
}

/** The same where the text has ended within a token. */
export function unexpectedEnd(reader: TokenReader, expected: string): EvalError {
  reader.start = reader.text.length;
  reader.kind = END;
  return unexpected(reader, expected);
}

/** No string of Nix's holds a zero byte. */
export function checkNul(reader: TokenReader, text: string, pos: Pos): void {
  if (!reader.hasNul || !text.includes("\0")) return;
  const shown = text.replaceAll("\0", bytesOfText("\u2400"));
  throw evalError(
    "parse",
    `input string '${shown}' cannot be represented as Nix string because it contains null bytes`,
    pos,
  );
}
