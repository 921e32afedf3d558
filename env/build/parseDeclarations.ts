import type { ByteString } from "../../core/index.ts";
import type { CapturedVariable } from "../types.ts";

/** A variable as Bash declares it: its attributes (`x`, `r`, `i`, `a`, `A`, `n` …) and value. */
export interface Declaration {
  readonly name: string;
  readonly attributes: string;
  /** `undefined`: declared without a value. */
  readonly variable: CapturedVariable | undefined;
}

/**
 * Reads what `declare -p` prints: `declare -x NAME="value"`, `declare -a NAME=([0]="a" [1]="b")`, words quoted with
 * `"…"`, `'…'`, `$'…'` or backslashes.
 * @throws plain Error where the text is not what Bash prints
 */
export function parseDeclarations(text: ByteString): Declaration[] {
  const reader = new Reader(text);
  const declarations: Declaration[] = [];
  while (!reader.isAtEnd) {
    const declaration = readDeclaration(reader);
    if (declaration !== undefined) declarations.push(declaration);
  }
  return declarations;
}

function readDeclaration(reader: Reader): Declaration | undefined {
  reader.expect("declare -");
  const attributes = reader.take(/[A-Za-z-]+/y).replaceAll("-", "");
  reader.expect(" ");
  const name = reader.take(/[^=\n]+/y);
  if (reader.accept("\n") || reader.isAtEnd) return { name, attributes, variable: undefined };
  reader.expect("=");
  let variable: CapturedVariable;
  if (/[aA]/.test(attributes)) variable = readArray(reader, attributes.includes("A"));
  else variable = { kind: attributes.includes("x") ? "exported" : "var", value: reader.word() };
  if (!reader.isAtEnd) reader.expect("\n");
  return { name, attributes, variable };
}

function readArray(reader: Reader, isAssociative: boolean): CapturedVariable {
  const entries: [ByteString, ByteString][] = [];
  reader.expect("(");
  while (!reader.accept(")")) {
    reader.expect("[");
    const key = reader.word("]");
    reader.expect("]=");
    entries.push([key, reader.word()]);
    reader.accept(" ");
  }
  if (isAssociative) return { kind: "associative", value: new Map(entries) };
  const indices = entries.map(([key]) => Number(key));
  const value = entries.map(([, one]) => one);
  const isDense = indices.every((index, n) => index === n);
  return isDense ? { kind: "array", value } : { kind: "array", value, indices };
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  accept(literal: string): boolean {
    if (!this.#text.startsWith(literal, this.#at)) return false;
    this.#at += literal.length;
    return true;
  }

  expect(literal: string): void {
    if (!this.accept(literal))
      throw new Error(
        `Cannot read Bash's declarations at byte ${this.#at}: expected ${JSON.stringify(literal)}, found ${JSON.stringify(this.#text.slice(this.#at, this.#at + 20))}`,
      );
  }

  take(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += match.length;
    return match;
  }

  /** One shell word, unquoted; ends before a blank, a newline, `)` or the given character. */
  word(end = ""): string {
    let value = "";
    while (!this.isAtEnd) {
      const char = this.#text[this.#at] ?? "";
      if (char === end || char === " " || char === "\n" || (char === ")" && end === "")) return value;
      this.#at++;
      if (char === '"') value += this.#doubleQuoted();
      else if (char === "'") value += this.#singleQuoted();
      else if (char === "$" && this.accept("'")) value += this.#ansiQuoted();
      else if (char === "\\") value += this.#text[this.#at++] ?? "";
      else value += char;
    }
    return value;
  }

  #doubleQuoted(): string {
    let value = "";
    for (;;) {
      const plain = this.take(/[^"\\]+/y);
      value += plain;
      const char = this.#text[this.#at++];
      if (char === undefined) throw new Error("Cannot read Bash's declarations: a quote is not closed");
      if (char === '"') return value;
      const escaped = this.#text[this.#at++] ?? "";
      value += /[$`"\\\n]/.test(escaped) ? escaped : `\\${escaped}`;
    }
  }

  #singleQuoted(): string {
    const value = this.take(/[^']*/y);
    this.expect("'");
    return value;
  }

  #ansiQuoted(): string {
    let value = "";
    for (;;) {
      value += this.take(/[^'\\]+/y);
      const char = this.#text[this.#at++];
      if (char === undefined) throw new Error("Cannot read Bash's declarations: a quote is not closed");
      if (char === "'") return value;
      value += this.#ansiEscape();
    }
  }

  #ansiEscape(): string {
    const octal = this.take(/[0-7]{1,3}/y);
    if (octal !== "") return String.fromCharCode(Number.parseInt(octal, 8) & 255);
    const char = this.#text[this.#at++] ?? "";
    switch (char) {
      case "x":
        return String.fromCharCode(Number.parseInt(this.take(/[0-9a-fA-F]{1,2}/y), 16));
      case "u":
      case "U": {
        const digits = this.take(char === "u" ? /[0-9a-fA-F]{1,4}/y : /[0-9a-fA-F]{1,8}/y);
        return Buffer.from(String.fromCodePoint(Number.parseInt(digits, 16)), "utf8").toString("latin1");
      }
      case "c":
        return String.fromCharCode((this.#text.charCodeAt(this.#at++) || 0) & 31);
      default:
        return ANSI_ESCAPES[char] ?? char;
    }
  }
}

const ANSI_ESCAPES: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  e: "\x1b",
  E: "\x1b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};
