/* eslint-disable no-control-regex -- TOML names the control characters that it forbids */
import type { TomlCursor } from "./tomlCursor.ts";

/** A string of any of the four kinds. */
export function readString(cursor: TomlCursor): string {
  if (cursor.peek() === '"')
    return cursor.text.startsWith('"""', cursor.at) ? readMultiLineBasic(cursor) : readBasicString(cursor);
  return cursor.text.startsWith("'''", cursor.at) ? readMultiLineLiteral(cursor) : readLiteralString(cursor);
}

export function readBasicString(cursor: TomlCursor): string {
  cursor.at++;
  let text = "";
  for (;;) {
    text += cursor.take(/[^"\\\x00-\x08\x0a-\x1f\x7f]+/y) ?? "";
    const char = cursor.peek();
    if (char === '"') break;
    if (char !== "\\") badString(cursor, "basic_string", '"');
    text += readEscape(cursor);
  }
  cursor.at++;
  return text;
}

function readMultiLineBasic(cursor: TomlCursor): string {
  cursor.at += 3;
  skipFirstNewline(cursor);
  let text = "";
  for (;;) {
    text += cursor.take(/[^"\\\x00-\x08\x0b\x0c\x0e-\x1f\x7f]+/y) ?? "";
    const char = cursor.peek();
    if (char === "\\") {
      if (cursor.take(/\\[ \t]*\r?\n[ \t\r\n]*/y) === undefined) text += readEscape(cursor);
      continue;
    }
    if (char !== '"') badString(cursor, "ml_basic_string", '"""');
    const quotes = cursor.take(/"{1,5}/y)!;
    if (quotes.length >= 3) return text + quotes.slice(3);
    text += quotes;
  }
}

export function readLiteralString(cursor: TomlCursor): string {
  const literal = cursor.take(/'[^'\x00-\x08\x0a-\x1f\x7f]*/y)!;
  if (cursor.peek() !== "'") badString(cursor, "literal_string", "'");
  cursor.at++;
  return literal.slice(1);
}

function readMultiLineLiteral(cursor: TomlCursor): string {
  cursor.at += 3;
  skipFirstNewline(cursor);
  let text = "";
  for (;;) {
    text += cursor.take(/[^'\x00-\x08\x0b\x0c\x0e-\x1f\x7f]+/y) ?? "";
    const quotes = cursor.take(/'{1,5}/y);
    if (quotes === undefined) badString(cursor, "ml_literal_string", "'''");
    if (quotes.length >= 3) return text + quotes.slice(3);
    text += quotes;
  }
}

function badString(cursor: TomlCursor, kind: string, close: string): never {
  cursor.fail(`toml::parse_${kind}: invalid string format`, cursor.at, `expected ${close}`);
}

function skipFirstNewline(cursor: TomlCursor): void {
  cursor.take(/\r?\n/y);
}

function readEscape(cursor: TomlCursor): string {
  const start = cursor.at;
  const escape = cursor.take(/\\(?:["\\bfnrt]|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})/y);
  if (escape === undefined) badString(cursor, "basic_string", '"');
  const kind = escape[1]!;
  if (kind !== "u" && kind !== "U") return ESCAPES[kind]!;
  const point = parseInt(escape.slice(2), 16);
  if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
    cursor.fail("invalid Unicode code point", start);
  return Buffer.from(String.fromCodePoint(point)).toString("latin1");
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};
