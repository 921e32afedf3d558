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
    const code = bytes[at];
    const following = bytes[at + 1];
    const isAtEnd = at + 1 >= length;
    if (code === 36) {
      if (following === 123) {
        pushLiteral(reader, parts, start, at);
        reader.at = at;
        const expr = reader.interpolation();
        parts.push({ pos: base + at, expr, start: at, end: at, escaped: undefined });
        start = at = reader.at;
      } else if (following === 39 || isAtEnd) {
        pushLiteral(reader, parts, start, at);
        pushEscape(reader, parts, "$", at);
        start = ++at;
      } else at += 2;
    } else if (code === 39) {
      if (following !== 39 && following !== 36 && !isAtEnd) {
        at += 2;
        continue;
      }
      pushLiteral(reader, parts, start, at);
      const third = bytes[at + 2];
      if (following !== 39) {
        pushEscape(reader, parts, "'", at);
        at++;
      } else if (third === 36) {
        pushEscape(reader, parts, "$", at);
        at += 3;
      } else if (third === 39) {
        pushEscape(reader, parts, "''", at);
        at += 3;
      } else if (third === 92 && at + 3 < length) {
        pushEscape(reader, parts, unescape(reader.text.slice(at + 2, at + 4)), at);
        at += 4;
      } else {
        reader.at = at + 2;
        reader.next();
        return stripIndentation(reader, parts, pos);
      }
      start = at;
    } else at++;
  }
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
