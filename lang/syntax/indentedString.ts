import type { Pos } from "../value/position.ts";
import type { ConcatPart, Expr } from "./ast.ts";
import { CLASSES, INDENTED_STOP } from "./characters.ts";
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

/** An indented string, from behind the opening quotes to behind the closing ones. */
export function readIndentedString(reader: TokenReader, pos: Pos): Expr {
  const { bytes, base } = reader;
  const { length } = reader.text;
  const parts: IndentedPart[] = [];
  let start = reader.at;
  let at = start;
  // A first line of nothing but spaces is not of the text.
  while (bytes[at] === 32) at++;
  if (bytes[at] === 10) start = ++at;
  else at = start;
  for (;;) {
    while ((CLASSES[bytes[at]!]! & INDENTED_STOP) === 0) at++;
    if (at >= length) throw unexpectedEnd(reader, "indented string or '${' or end of an indented string");
    const following = bytes[at + 1];
    if (bytes[at] === 36 && following === 123) {
      pushLiteral(reader, parts, start, at);
      reader.at = at;
      const expr = reader.interpolation();
      parts.push({ pos: base + at, expr, start: at, end: at, escaped: undefined });
      start = at = reader.at;
    } else if (bytes[at] === 39 && following === 39 && !isEscape(bytes, at, length)) {
      pushLiteral(reader, parts, start, at);
      reader.at = at + 2;
      reader.next();
      return stripIndentation(reader, parts, pos);
    } else {
      const plain = plainLength(bytes, at, length);
      if (plain === 0) start = at = readEscape(reader, parts, start, at);
      else at += plain;
    }
  }
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
  return 2;
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

/**
 * Takes the common indentation away, as Nix does: blank lines do not count, nor does a last line of spaces. The bytes
 * move together where they are, since nobody reads them again: one new string instead of two for each line.
 */
function stripIndentation(reader: TokenReader, parts: readonly IndentedPart[], pos: Pos): Expr {
  const { bytes, text } = reader;
  const indentation = commonIndentation(bytes, parts);
  const stripped: ConcatPart[] = [];
  let isLineStart = true;
  let dropped = 0;
  for (let index = 0; index < parts.length; index++) {
    const part = parts[index]!;
    const { start, end, expr } = part;
    if (expr !== undefined) {
      isLineStart = false;
      dropped = 0;
      stripped.push({ pos: part.pos, expr });
      continue;
    }
    let to = start;
    for (let i = start; i < end; i++) {
      const code = bytes[i]!;
      if (code === 10) {
        isLineStart = true;
        dropped = 0;
      } else if (isLineStart) {
        if (code === 32) {
          if (dropped++ < indentation) continue;
        } else {
          isLineStart = false;
          dropped = 0;
        }
      }
      if (to !== i) bytes[to] = code;
      to++;
    }
    if (index === parts.length - 1) to = endWithoutLastSpaces(bytes, start, to);
    if (to === start) continue;
    const kept = to < end ? bytes.toString("latin1", start, to) : (part.escaped ?? text.slice(start, end));
    stripped.push({ pos: part.pos, expr: { kind: "string", text: kept } });
  }
  const first = stripped[0];
  if (first === undefined) return { kind: "string", text: "" };
  if (stripped.length === 1 && first.expr.kind === "string") return first.expr;
  return { kind: "concat", parts: stripped.slice(), isString: true, pos };
}

function commonIndentation(bytes: Buffer, parts: readonly IndentedPart[]): number {
  let isLineStart = true;
  let least = 1_000_000;
  let current = 0;
  for (const { start, end, expr, escaped } of parts) {
    if (expr !== undefined || escaped !== undefined) {
      if (isLineStart) {
        isLineStart = false;
        least = Math.min(least, current);
      }
      continue;
    }
    for (let i = start; i < end; i++) {
      const code = bytes[i];
      if (code === 10) {
        isLineStart = true;
        current = 0;
      } else if (isLineStart) {
        if (code === 32) current++;
        else {
          isLineStart = false;
          least = Math.min(least, current);
        }
      }
    }
  }
  return least;
}

/** Without the spaces of a last line that has nothing else. */
function endWithoutLastSpaces(bytes: Buffer, start: number, end: number): number {
  let at = end;
  while (at > start && bytes[at - 1] === 32) at--;
  return at > start && bytes[at - 1] === 10 ? at : end;
}
