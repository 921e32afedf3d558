/* eslint-disable no-control-regex -- TOML names the control characters that it forbids */
/** What the reader of TOML builds; the values' type is the caller's. */
export interface TomlBuilder<T> {
  string(text: string): T;
  integer(value: number | bigint): T;
  float(value: number): T;
  boolean(value: boolean): T;
  list(items: T[]): T;
  object(names: string[], values: T[]): T;
  /** A date, a time or both, as RFC 3339 writes it, with 0, 3, 6 or 9 digits of a second. */
  timestamp(text: string): T;
}

/** A text that is no TOML 1.0. */
export class TomlSyntaxError extends Error {}

/** Reads a byte string (UTF-8) as TOML 1.0. @throws {TomlSyntaxError} */
export function parseToml<T>(text: string, builder: TomlBuilder<T>): T {
  return new Parser(text, builder).parse();
}

/** A table while it is filled. */
class Table<T> {
  readonly entries = new Map<string, Entry<T>>();
  /** How it came to be, which decides what may still be added to it. */
  kind: "header" | "implicit" | "dotted" | "inline";
  constructor(kind: Table<T>["kind"]) {
    this.kind = kind;
  }
}

class ArrayOfTables<T> {
  readonly items: Table<T>[] = [];
}

class Leaf<T> {
  readonly value: T;
  constructor(value: T) {
    this.value = value;
  }
}

type Entry<T> = Table<T> | ArrayOfTables<T> | Leaf<T>;

const MAX_DEPTH = 5_000;
const MAX_INT = 2n ** 63n - 1n;
const MIN_INT = -(2n ** 63n);

class Parser<T> {
  readonly #text: string;
  readonly #builder: TomlBuilder<T>;
  #at = 0;
  #depth = 0;

  constructor(text: string, builder: TomlBuilder<T>) {
    this.#text = text;
    this.#builder = builder;
  }

  parse(): T {
    const root = new Table<T>("header");
    let table = root;
    if (this.#text.startsWith("\xef\xbb\xbf")) this.#at = 3;
    for (;;) {
      this.#skipBlank();
      if (this.#at >= this.#text.length) return this.#build(root);
      if (this.#peek() === "[") table = this.#header(root);
      else this.#assignment(table);
      this.#endOfLine();
    }
  }

  #build(table: Table<T>): T {
    const names: string[] = [];
    const values: T[] = [];
    for (const [name, entry] of table.entries) {
      names.push(name);
      values.push(
        entry instanceof Leaf
          ? entry.value
          : entry instanceof Table
            ? this.#build(entry)
            : this.#builder.list(entry.items.map((item) => this.#build(item))),
      );
    }
    return this.#builder.object(names, values);
  }

  #header(root: Table<T>): Table<T> {
    const start = this.#at;
    const isArray = this.#text.startsWith("[[", this.#at);
    this.#at += isArray ? 2 : 1;
    const path = this.#keyPath();
    const close = isArray ? "]]" : "]";
    if (!this.#text.startsWith(close, this.#at)) this.#fail(`expected '${close}'`);
    this.#at += close.length;
    const last = path.at(-1)!;
    const parent = this.#descend(root, path.slice(0, -1), start);
    const known = parent.entries.get(last);
    if (isArray) {
      const array = known ?? new ArrayOfTables<T>();
      if (!(array instanceof ArrayOfTables)) this.#fail(`key "${last}" is already defined`, start);
      parent.entries.set(last, array);
      const table = new Table<T>("header");
      array.items.push(table);
      return table;
    }
    if (known === undefined) {
      const table = new Table<T>("header");
      parent.entries.set(last, table);
      return table;
    }
    if (!(known instanceof Table) || known.kind !== "implicit")
      this.#fail(`table "${path.join(".")}" is already defined`, start);
    known.kind = "header";
    return known;
  }

  /** The table a header's key leads to; made where there is none. */
  #descend(from: Table<T>, path: readonly string[], start: number): Table<T> {
    let table = from;
    for (const name of path) {
      const known = table.entries.get(name);
      if (known === undefined) {
        const made = new Table<T>("implicit");
        table.entries.set(name, made);
        table = made;
      } else if (known instanceof ArrayOfTables) table = known.items.at(-1)!;
      else if (known instanceof Table && known.kind !== "inline") table = known;
      else this.#fail(`key "${name}" is not a table`, start);
    }
    return table;
  }

  #assignment(into: Table<T>): void {
    const start = this.#at;
    const path = this.#keyPath();
    if (this.#peek() !== "=") this.#fail("expected '='");
    this.#at++;
    let table = into;
    for (const name of path.slice(0, -1)) {
      const known = table.entries.get(name);
      if (known === undefined) {
        const made = new Table<T>("dotted");
        table.entries.set(name, made);
        table = made;
      } else if (known instanceof Table && known.kind === "dotted") table = known;
      else this.#fail(`key "${name}" is already defined`, start);
    }
    const last = path.at(-1)!;
    this.#skipSpace();
    const value = this.#value();
    if (table.entries.has(last)) this.#fail(`key "${last}" is already defined`, start);
    table.entries.set(last, value);
  }

  /** Dotted keys, with the space around and after them. */
  #keyPath(): string[] {
    const path: string[] = [];
    for (;;) {
      this.#skipSpace();
      path.push(this.#key());
      this.#skipSpace();
      if (this.#peek() !== ".") return path;
      this.#at++;
    }
  }

  #key(): string {
    const char = this.#peek();
    if (char === '"') return this.#basicString();
    if (char === "'") return this.#literalString();
    const name = this.#take(/[A-Za-z0-9_-]+/y);
    if (name === undefined) this.#fail("expected a key");
    return name;
  }

  #value(): Entry<T> {
    const char = this.#peek();
    if (char === "{") return this.#inlineTable();
    return new Leaf(this.#plainValue(char));
  }

  #plainValue(char: string): T {
    const builder = this.#builder;
    switch (char) {
      case '"':
        return builder.string(
          this.#text.startsWith('"""', this.#at) ? this.#multiLineBasic() : this.#basicString(),
        );
      case "'":
        return builder.string(
          this.#text.startsWith("'''", this.#at) ? this.#multiLineLiteral() : this.#literalString(),
        );
      case "[":
        return this.#array();
      case "t":
      case "f": {
        const word = this.#take(/true|false/y);
        if (word === undefined) this.#fail("expected a value");
        return builder.boolean(word === "true");
      }
      default:
        return this.#numberOrDate();
    }
  }

  #array(): T {
    if (++this.#depth > MAX_DEPTH) this.#fail("values are nested too deeply");
    this.#at++;
    const items: T[] = [];
    for (;;) {
      this.#skipBlank();
      if (this.#peek() === "]") break;
      const item = this.#value();
      items.push(item instanceof Leaf ? item.value : this.#build(item as Table<T>));
      this.#skipBlank();
      if (this.#peek() === ",") this.#at++;
      else if (this.#peek() !== "]") this.#fail("expected ',' or ']'");
    }
    this.#at++;
    this.#depth--;
    return this.#builder.list(items);
  }

  #inlineTable(): Table<T> {
    if (++this.#depth > MAX_DEPTH) this.#fail("values are nested too deeply");
    this.#at++;
    const table = new Table<T>("dotted");
    this.#skipSpace();
    if (this.#peek() === "}") this.#at++;
    else
      for (;;) {
        this.#assignment(table);
        this.#skipSpace();
        const next = this.#peek();
        this.#at++;
        if (next === "}") break;
        if (next !== ",") this.#fail("expected ',' or '}'");
      }
    this.#depth--;
    freeze(table);
    return table;
  }

  #numberOrDate(): T {
    const start = this.#at;
    const date = this.#take(/\d{4}-\d{2}-\d{2}(?:[Tt ](?=\d{2}:))?/y);
    if (date !== undefined) {
      const day = date.slice(0, 10);
      this.#checkDate(day, start);
      if (date.length === 10) return this.#builder.timestamp(day);
      return this.#builder.timestamp(`${day}T${this.#time()}${this.#offset()}`);
    }
    if (/\d{2}:/y.test(this.#text.slice(start, start + 3))) return this.#builder.timestamp(this.#time());
    const token = this.#take(/[+-]?[0-9A-Za-z_.+-]+/y);
    if (token === undefined) this.#fail("expected a value");
    const based = /^0([xob])([0-9A-Fa-f]+(?:_[0-9A-Fa-f]+)*)$/.exec(token);
    if (based !== null) {
      const digits = based[2]!.replaceAll("_", "");
      const isValid = based[1] === "x" || (based[1] === "o" ? /^[0-7]+$/ : /^[01]+$/).test(digits);
      if (!isValid) this.#fail(`invalid number '${token}'`, start);
      return this.#integer(BigInt(`0${based[1]}${digits}`));
    }
    if (/^[+-]?(?:0|[1-9]\d*(?:_\d+)*)$/.test(token))
      return this.#integer(BigInt(token.replace("+", "").replaceAll("_", "")));
    if (/^[+-]?(?:inf|nan)$/.test(token)) {
      const value = token.endsWith("nan") ? NaN : Infinity;
      return this.#builder.float(token.startsWith("-") ? -value : value);
    }
    if (!/^[+-]?(?:0|[1-9]\d*(?:_\d+)*)(?:\.\d+(?:_\d+)*)?(?:[eE][+-]?\d+(?:_\d+)*)?$/.test(token))
      this.#fail(`invalid value '${token}'`, start);
    return this.#builder.float(Number(token.replaceAll("_", "")));
  }

  #integer(value: bigint): T {
    if (value > MAX_INT || value < MIN_INT) {
      const place = this.#excerpt(this.#at, "must be < 2^63");
      throw new TomlSyntaxError(
        `[error] toml::parse_dec_integer: too large integer: current max digits = 2^63\n${place}\n`,
      );
    }
    const near = Number(value);
    return this.#builder.integer(Number.isSafeInteger(near) ? near : value);
  }

  #checkDate(day: string, start: number): void {
    const [year = 0, month = 0, date = 0] = day.split("-").map(Number);
    const days = [31, (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28, 31, 30, 31, 30];
    const last = month <= 6 ? days[month - 1] : [31, 31, 30, 31, 30, 31][month - 7];
    if (last === undefined || date < 1 || date > last) this.#fail(`invalid date '${day}'`, start);
  }

  #time(): string {
    const start = this.#at;
    const time = this.#take(/\d{2}:\d{2}:\d{2}(?:\.\d+)?/y);
    if (time === undefined) this.#fail("invalid time");
    const [hour = 0, minute = 0, second = 0] = time.slice(0, 8).split(":").map(Number);
    if (hour > 23 || minute > 59 || second > 60) this.#fail(`invalid time '${time}'`, start);
    // Nine digits at most, shown in groups of three.
    const digits = time.slice(9, 18).replace(/0+$/, "");
    const shown = digits.padEnd(Math.ceil(digits.length / 3) * 3, "0");
    return time.slice(0, 8) + (shown === "" ? "" : `.${shown}`);
  }

  #offset(): string {
    const offset = this.#take(/[Zz]|[+-]\d{2}:\d{2}/y) ?? "";
    return offset === "+00:00" || offset === "-00:00" ? "Z" : offset.toUpperCase();
  }

  #basicString(): string {
    this.#at++;
    let text = "";
    for (;;) {
      text += this.#take(/[^"\\\x00-\x08\x0a-\x1f\x7f]+/y) ?? "";
      const char = this.#peek();
      if (char === '"') break;
      if (char !== "\\") this.#fail("expected the end of a string");
      text += this.#escape();
    }
    this.#at++;
    return text;
  }

  #multiLineBasic(): string {
    this.#at += 3;
    this.#skipFirstNewline();
    let text = "";
    for (;;) {
      text += this.#take(/[^"\\\x00-\x08\x0b\x0c\x0e-\x1f\x7f]+/y) ?? "";
      const char = this.#peek();
      if (char === "\\") {
        if (this.#take(/\\[ \t]*\r?\n[ \t\r\n]*/y) === undefined) text += this.#escape();
        continue;
      }
      if (char !== '"') this.#fail("expected the end of a string");
      const quotes = this.#take(/"{1,5}/y)!;
      if (quotes.length >= 3) return text + quotes.slice(3);
      text += quotes;
    }
  }

  #literalString(): string {
    const literal = this.#take(/'[^'\x00-\x08\x0a-\x1f\x7f]*'/y);
    if (literal === undefined) this.#fail("expected the end of a string");
    return literal.slice(1, -1);
  }

  #multiLineLiteral(): string {
    this.#at += 3;
    this.#skipFirstNewline();
    let text = "";
    for (;;) {
      text += this.#take(/[^'\x00-\x08\x0b\x0c\x0e-\x1f\x7f]+/y) ?? "";
      const quotes = this.#take(/'{1,5}/y);
      if (quotes === undefined) this.#fail("expected the end of a string");
      if (quotes.length >= 3) return text + quotes.slice(3);
      text += quotes;
    }
  }

  #skipFirstNewline(): void {
    this.#take(/\r?\n/y);
  }

  #escape(): string {
    const start = this.#at;
    const escape = this.#take(/\\(?:["\\bfnrt]|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})/y);
    if (escape === undefined) this.#fail("unknown escape sequence");
    const kind = escape[1]!;
    if (kind !== "u" && kind !== "U") return ESCAPES[kind]!;
    const point = parseInt(escape.slice(2), 16);
    if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
      this.#fail("invalid Unicode code point", start);
    return Buffer.from(String.fromCodePoint(point)).toString("latin1");
  }

  #skipSpace(): void {
    this.#take(/[ \t]+/y);
  }

  /** Space, newlines and comments. */
  #skipBlank(): void {
    this.#take(/(?:[ \t\n]|\r\n|#[^\x00-\x08\x0a-\x1f\x7f]*)+/y);
  }

  #endOfLine(): void {
    if (this.#take(/[ \t]*(?:#[^\x00-\x08\x0a-\x1f\x7f]*)?(?:\r?\n|$)/y) === undefined)
      this.#fail("expected the end of the line");
  }

  #peek(): string {
    return this.#text[this.#at] ?? "";
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) return undefined;
    this.#at += match[0].length;
    return match[0];
  }

  #fail(message: string, at = this.#at): never {
    throw new TomlSyntaxError(`[error] ${message}\n${this.#excerpt(at, "here")}\n`);
  }

  #excerpt(at: number, note: string): string {
    const lineStart = this.#text.lastIndexOf("\n", at - 1) + 1;
    const end = this.#text.indexOf("\n", lineStart);
    const line = this.#text.slice(lineStart, end < 0 ? undefined : end);
    const number = String(this.#text.slice(0, lineStart).split("\n").length);
    const margin = " ".repeat(number.length);
    return [
      `${margin}--> fromTOML`,
      ` ${margin} |`,
      ` ${number} | ${line}`,
      ` ${margin} | ${" ".repeat(at - lineStart)}^-- ${note}`,
    ].join("\n");
  }
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

/** An inline table cannot be added to, nor can the tables its dotted keys made. */
function freeze<T>(table: Table<T>): void {
  table.kind = "inline";
  for (const entry of table.entries.values())
    if (entry instanceof Table && entry.kind !== "inline") freeze(entry);
}
