import type { ConcatPart, Expr } from "./ast.ts";
import { CLASSES, STRING_STOP } from "./characters.ts";
import { unescape } from "./stringEscapes.ts";
import { checkNul, unexpectedEnd, type TokenReader } from "./tokenReader.ts";

/** A string, from behind the opening quote to behind the closing one. */
export function readString(reader: TokenReader): Expr {
  const { bytes, at: start } = reader;
  let at = start;
  while ((CLASSES[bytes[at]!]! & STRING_STOP) === 0) at++;
  if (bytes[at] !== 34) return stringOfParts(reader, at);
  reader.at = at + 1;
  reader.next();
  return { kind: "string", text: reader.text.slice(start, at) };
}

/** A string with escapes, carriage returns or interpolations. @param from where the first of these is */
function stringOfParts(reader: TokenReader, from: number): Expr {
  const { bytes, base } = reader;
  const { length } = reader.text;
  const parts: ConcatPart[] = [];
  let start = reader.at;
  let at = from;
  let needsUnescape = false;
  let isInterpolated = false;
  for (;;) {
    const code = bytes[at];
    if (code === 34) break;
    if (code === 92) {
      needsUnescape = true;
      at += 2;
    } else if (code === 13) {
      needsUnescape = true;
      at++;
    } else if (code !== 36) at++;
    else if (bytes[at + 1] !== 123) at += bytes[at + 1] === 36 ? 2 : 1;
    else {
      if (at > start) parts.push(literalPart(reader, start, at, needsUnescape));
      needsUnescape = false;
      isInterpolated = true;
      reader.at = at;
      const expr = reader.interpolation();
      parts.push({ pos: base + at, expr });
      at = start = reader.at;
    }
    while ((CLASSES[bytes[at]!]! & STRING_STOP) === 0) at++;
    if (at >= length) throw unexpectedEnd(reader, "'\"'");
  }
  if (at > start) parts.push(literalPart(reader, start, at, needsUnescape));
  reader.at = at + 1;
  reader.next();
  const first = parts[0];
  if (first === undefined) return { kind: "string", text: "" };
  return isInterpolated
    ? { kind: "concat", parts: parts.slice(), isString: true, pos: first.pos }
    : first.expr;
}

function literalPart(reader: TokenReader, start: number, end: number, needsUnescape: boolean): ConcatPart {
  const raw = reader.text.slice(start, end);
  const text = needsUnescape ? unescape(raw) : raw;
  const pos = reader.base + start;
  checkNul(reader, text, pos);
  return { pos, expr: { kind: "string", text } };
}
