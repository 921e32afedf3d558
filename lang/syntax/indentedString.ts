import type { Pos } from "../value/position.ts";
import type { ConcatPart, Expr, StringExpr } from "./ast.ts";
import { unescape } from "./stringEscapes.ts";
import { checkNul, unexpectedEnd, type TokenReader } from "./tokenReader.ts";

/** A piece of an indented string: an interpolation, or the bytes from `start` to `end`. */
interface IndentedPart {
  readonly pos: Pos;
  readonly expr: Expr | undefined;
  readonly start: number;
  readonly end: number;
  /** What an escape stands for, which is no indentation. */
  readonly escaped: string | undefined;
}

/** More than any line has. */
const NO_INDENTATION = 1_000_000;

/** An indented string, from behind the opening quotes to behind the closing ones. */
export function readIndentedString(reader: TokenReader, pos: Pos): Expr {
  const { bytes, base } = reader;
  const { length } = reader.text;
  const parts: IndentedPart[] = [];
  let start = reader.at;
  let at = start;
  // A first line of nothing but spaces is not of the text.
  while (bytes[at] === 32) at++;
  if (bytes[at] === 10) start = at + 1;
  at = start;
  // Blank lines do not count, nor does a last line of spaces.
  let indentation = NO_INDENTATION;
  let isLineStart = true;
  for (;;) {
    if (isLineStart) {
      const line = at;
      while (bytes[at] === 32) at++;
      if (at - line < indentation && bytes[at] !== 10 && !isEnd(bytes, at, length)) indentation = at - line;
    }
    at = endOfPlain(bytes, at);
    if (at >= length) throw unexpectedEnd(reader, "indented string or '${' or end of an indented string");
    isLineStart = bytes[at] === 10;
    if (isLineStart) at++;
    else if (bytes[at] === 36 && bytes[at + 1] === 123) {
      pushLiteral(reader, parts, start, at);
      reader.at = at;
      const expr = reader.interpolation();
      parts.push({ pos: base + at, expr, start: at, end: at, escaped: undefined });
      start = at = reader.at;
    } else if (isEnd(bytes, at, length)) {
      pushLiteral(reader, parts, start, at);
      reader.at = at + 2;
      reader.next();
      return stripIndentation(reader, parts, indentation, pos);
    } else {
      const plain = plainLength(bytes, at, length);
      if (plain === 0) start = at = readEscape(reader, parts, start, at);
      else at += plain;
    }
  }
}

/** The next newline, quote, dollar or zero byte. */
function endOfPlain(bytes: Buffer, from: number): number {
  let at = from;
  let code = bytes[at]!;
  while (code > 39 || (code !== 10 && code !== 39 && code !== 36 && code !== 0)) code = bytes[++at]!;
  return at;
}

/** Whether the string ends at `at`. */
function isEnd(bytes: Buffer, at: number, length: number): boolean {
  return bytes[at] === 39 && bytes[at + 1] === 39 && !isEscape(bytes, at, length);
}

/** Whether the two quotes at `at` are no end. */
function isEscape(bytes: Buffer, at: number, length: number): boolean {
  const third = bytes[at + 2];
  return third === 36 || third === 39 || (third === 92 && at + 3 < length);
}

/** How much of what might be special at `at` is plain text; 0 for an escape. */
function plainLength(bytes: Buffer, at: number, length: number): number {
  const code = bytes[at];
  if (code !== 36 && code !== 39) return 1;
  const following = bytes[at + 1];
  if (at + 1 >= length || following === 39 || (code === 39 && following === 36)) return 0;
  return following === 10 ? 1 : 2;
}

/**
 * What may stand for something else: in a function of its own, since V8 compiles a function anew for each branch that
 * is taken for the first time.
 * @returns where the text goes on
 */
function readEscape(reader: TokenReader, parts: IndentedPart[], start: number, at: number): number {
  const { bytes, text } = reader;
  pushLiteral(reader, parts, start, at);
  let length = 1;
  let escaped = text.slice(at, at + 1);
  if (bytes[at] === 39 && bytes[at + 1] === 39) {
    const third = bytes[at + 2];
    length = third === 92 ? 4 : 3;
    escaped = third === 36 ? "$" : third === 39 ? "''" : unescape(text.slice(at + 2, at + 4));
  }
  pushEscape(reader, parts, escaped, at);
  return at + length;
}

function pushLiteral(reader: TokenReader, parts: IndentedPart[], start: number, end: number): void {
  if (start === end) return;
  const pos = reader.base + start;
  if (reader.hasNul) checkNul(reader, reader.text.slice(start, end), pos);
  parts.push({ pos, expr: undefined, start, end, escaped: undefined });
}

/** What the escape stands for takes its place among the bytes: it is no longer. */
function pushEscape(reader: TokenReader, parts: IndentedPart[], escaped: string, start: number): void {
  const pos = reader.base + start;
  checkNul(reader, escaped, pos);
  reader.bytes.write(escaped, start, "latin1");
  parts.push({ pos, expr: undefined, start, end: start + escaped.length, escaped });
}

/** Takes the common indentation away, as Nix does. */
function stripIndentation(
  reader: TokenReader,
  parts: readonly IndentedPart[],
  indentation: number,
  pos: Pos,
): Expr {
  const { bytes, text } = reader;
  const stripped: ConcatPart[] = [];
  let isLineStart = true;
  /** Spaces of this line so far. */
  let spaces = 0;
  for (let index = 0; index < parts.length; index++) {
    const part = parts[index]!;
    const { start, end, expr, escaped } = part;
    if (expr !== undefined) {
      isLineStart = false;
      stripped.push({ pos: part.pos, expr });
      continue;
    }
    let from = start;
    if (isLineStart) while (from < end && bytes[from] === 32 && spaces++ < indentation) from++;
    const blank = startOfLastSpaces(bytes, start, end);
    const isOfLine = blank > start;
    if (isOfLine) {
      isLineStart = bytes[blank - 1] === 10;
      spaces = end - blank;
    }
    const to = index === parts.length - 1 && isOfLine && isLineStart ? blank : end;
    if (from >= to) continue;
    const kept = escaped === undefined ? text.slice(from, to) : escaped.slice(from - start, to - start);
    stripped.push({ pos: part.pos, expr: stringOf(kept, indentation) });
  }
  const first = stripped[0];
  if (first === undefined) return { kind: "string", text: "" };
  if (stripped.length === 1 && first.expr.kind === "string") return first.expr;
  return { kind: "concat", parts: stripped.slice(), isString: true, pos };
}

/** Where the spaces begin that a piece ends with. */
function startOfLastSpaces(bytes: Buffer, start: number, end: number): number {
  let at = end;
  while (at > start && bytes[at - 1] === 32) at--;
  return at;
}

function stringOf(text: string, indentation: number): StringExpr {
  return indentation > 0 && text.includes("\n")
    ? new IndentedText(text, indentation)
    : { kind: "string", text };
}

/** Loses its lines' indentation when it is asked for, since many of a package collection never are. */
class IndentedText implements StringExpr {
  declare readonly kind: "string";
  readonly raw: string;
  readonly indentation: number;

  constructor(raw: string, indentation: number) {
    this.raw = raw;
    this.indentation = indentation;
  }

  /** The first line has lost it already. Shorter ones than it are blank. */
  get text(): string {
    const lines = this.raw.split("\n");
    for (let i = 1; i < lines.length; i++) lines[i] = lines[i]!.slice(this.indentation);
    return lines.join("\n");
  }
}
Object.defineProperty(IndentedText.prototype, "kind", { value: "string" });
