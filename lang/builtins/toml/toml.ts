/* eslint-disable no-control-regex -- TOML names the control characters that it forbids */
import { ArrayOfTables, Leaf, Table, freeze, type Entry, type Region } from "./tomlTree.ts";
import { numberError, tomlError, type TomlRegion } from "./tomlError.ts";

export { TomlSyntaxError } from "./tomlError.ts";

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

/** Reads a byte string (UTF-8) as TOML 1.0. @throws {TomlSyntaxError} */
export function parseToml<T>(text: string, builder: TomlBuilder<T>): T {
  return new Parser(text, builder).parse();
}

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
    const root = new Table<T>("header", 0, 0);
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
    const what = isArray
      ? "toml::parse_file: invalid array-table key"
      : "toml::parse_file: invalid table key";
    this.#skipSpace();
    if (!/["'A-Za-z0-9_-]/.test(this.#peek()))
      this.#fail(what, this.#at, `expected basic key([a-zA-Z0-9_-]) or quoted key(" or ')`);
    const path = this.#keyPath();
    const close = isArray ? "]]" : "]";
    if (!this.#text.startsWith(close, this.#at)) this.#fail(what, this.#at, `expected ${close}`);
    this.#at += close.length;
    const last = path.at(-1)!;
    const length = this.#at - start;
    const parent = this.#descend(root, path.slice(0, -1), { at: start, length });
    const known = parent.entries.get(last);
    if (isArray) {
      const array = known ?? new ArrayOfTables<T>(start, length);
      if (!(array instanceof ArrayOfTables))
        this.#clash(
          "failed to insert an array of tables, value already exists",
          { at: start, length, note: "while inserting this" },
          array,
          "non-table value already exists",
        );
      parent.entries.set(last, array);
      const table = new Table<T>("header", start, length);
      array.items.push(table);
      return table;
    }
    if (known === undefined) {
      const table = new Table<T>("header", start, length);
      parent.entries.set(last, table);
      return table;
    }
    if (!(known instanceof Table) || known.kind !== "implicit")
      this.#clash(
        "failed to insert a table, table already defined",
        { at: start, length, note: "inserting this" },
        known,
        "this table is explicitly defined",
      );
    known.kind = "header";
    return known;
  }

  /** The table a header's key leads to; made where there is none. */
  #descend(from: Table<T>, path: readonly string[], header: Region): Table<T> {
    let table = from;
    for (const name of path) {
      const known = table.entries.get(name);
      if (known === undefined) {
        const made = new Table<T>("implicit", header.at, header.length);
        table.entries.set(name, made);
        table = made;
      } else if (known instanceof ArrayOfTables) table = known.items.at(-1)!;
      else if (known instanceof Table && known.kind !== "inline") table = known;
      else this.#refuseWithin(known, header);
    }
    return table;
  }

  #assignment(into: Table<T>): void {
    const start = this.#at;
    const path = this.#keyPath();
    const length = this.#text.slice(start, this.#at).trimEnd().length;
    if (this.#peek() !== "=")
      this.#fail("toml::parse_key_value_pair: invalid key value separator `=`", this.#at, "expected =");
    this.#at++;
    let table = into;
    for (const name of path.slice(0, -1)) {
      const known = table.entries.get(name);
      if (known === undefined) {
        const made = new Table<T>("dotted", start, length);
        table.entries.set(name, made);
        table = made;
      } else if (known instanceof Table && known.kind === "dotted") table = known;
      else if (known instanceof Table && known.kind !== "inline")
        this.#clash(
          "reopening a table using dotted keys",
          { at: start, length, note: "dotted key cannot reopen a table" },
          known,
          "this table is already closed",
        );
      else this.#refuseWithin(known, { at: start, length });
    }
    const last = path.at(-1)!;
    this.#skipSpace();
    const value = this.#value();
    const known = table.entries.get(last);
    if (known !== undefined)
      this.#clash(
        "failed to insert a value, value already exists",
        { at: start, length, note: "inserting this" },
        known,
        "but value already exists",
      );
    table.entries.set(last, value);
  }

  /** What cannot hold anything more. */
  #refuseWithin(known: Entry<T>, region: Region): never {
    if (known instanceof Table)
      this.#clash(
        "failed to insert a value: inline table is immutable",
        { ...region, note: "inserting this" },
        known,
        "to this table",
      );
    this.#clash(
      "failed to insert a value, value already exists",
      { ...region, note: "while inserting this" },
      known,
      "non-table value already exists",
    );
  }

  #clash(message: string, region: TomlRegion, known: Region, note: string): never {
    const other = { at: known.at, length: known.length, note };
    throw tomlError(this.#text, `toml::insert_value: ${message}`, [region, other]);
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
    if (name === undefined)
      this.#fail(
        `toml::parse_simple_key: invalid key: key must be "quoted", 'quoted-literal', or bare key.`,
        this.#at,
        "expected alpha [a-zA-Z], digit [0-9], -, or _",
        ["Hint: non-ASCII scripts are allowed in toml v1.1.0, but not in v1.0.0."],
      );
    return name;
  }

  #value(): Entry<T> {
    const char = this.#peek();
    if (char === "{") return this.#inlineTable();
    const start = this.#at;
    const value = this.#plainValue(char);
    return new Leaf(value, start, this.#at - start);
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
        if (word === undefined)
          this.#fail(
            'toml::parse_boolean: invalid boolean: boolean must be `true` or `false`, in lowercase. string must be surrounded by `"`',
            this.#at,
            "expected true or false",
          );
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
      else if (this.#peek() !== "]")
        this.#fail("toml::parse_array: expected value-separator `,` or closing `]`");
    }
    this.#at++;
    this.#depth--;
    return this.#builder.list(items);
  }

  #inlineTable(): Table<T> {
    if (++this.#depth > MAX_DEPTH) this.#fail("values are nested too deeply");
    const start = this.#at++;
    const filled = new Table<T>("dotted", start, 1);
    this.#skipSpace();
    if (this.#peek() === "}") this.#at++;
    else
      for (;;) {
        this.#assignment(filled);
        this.#skipSpace();
        const next = this.#peek();
        if (next !== "," && next !== "}")
          this.#fail("toml::parse_inline_table: expected value-separator `,` or closing `}`");
        this.#at++;
        if (next === "}") break;
        this.#skipSpace();
        if (this.#peek() === "}")
          this.#fail("toml::parse_inline_table: trailing comma is not allowed in TOML-v1.0.0)");
      }
    this.#depth--;
    const table = new Table<T>("inline", start, this.#at - start);
    for (const [name, entry] of filled.entries) table.entries.set(name, entry);
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
    if (token === undefined) this.#fail("bad format: unknown value appeared");
    const based = /^0([xob])([0-9A-Fa-f]+(?:_[0-9A-Fa-f]+)*)$/.exec(token);
    if (based !== null) {
      const digits = based[2]!.replaceAll("_", "");
      const isValid = based[1] === "x" || (based[1] === "o" ? /^[0-7]+$/ : /^[01]+$/).test(digits);
      if (!isValid) throw numberError(this.#text, token, start);
      return this.#integer(BigInt(`0${based[1]}${digits}`));
    }
    if (/^[+-]?(?:0|[1-9]\d*(?:_\d+)*)$/.test(token))
      return this.#integer(BigInt(token.replace("+", "").replaceAll("_", "")));
    if (/^[+-]?(?:inf|nan)$/.test(token)) {
      const value = token.endsWith("nan") ? NaN : Infinity;
      return this.#builder.float(token.startsWith("-") ? -value : value);
    }
    if (!/^[+-]?(?:0|[1-9]\d*(?:_\d+)*)(?:\.\d+(?:_\d+)*)?(?:[eE][+-]?\d+(?:_\d+)*)?$/.test(token))
      throw numberError(this.#text, token, start);
    const float = Number(token.replaceAll("_", ""));
    if (!Number.isFinite(float))
      this.#fail("toml::parse_floating: failed to read floating point value from stream");
    return this.#builder.float(float);
  }

  #integer(value: bigint): T {
    if (value > MAX_INT || value < MIN_INT)
      this.#fail(
        "toml::parse_dec_integer: too large integer: current max digits = 2^63",
        this.#at,
        "must be < 2^63",
      );
    const near = Number(value);
    return this.#builder.integer(Number.isSafeInteger(near) ? near : value);
  }

  #checkDate(day: string, start: number): void {
    const [year = 0, month = 0, date = 0] = day.split("-").map(Number);
    const days = [31, (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28, 31, 30, 31, 30];
    const last = month <= 6 ? days[month - 1] : [31, 31, 30, 31, 30, 31][month - 7];
    if (last === undefined || date < 1 || date > last)
      this.#fail(
        "toml::parse_local_date: invalid date.",
        start,
        "month must be 01-12, day must be any of 01-28,29,30,31 depending on the month/year.",
      );
  }

  #time(): string {
    const start = this.#at;
    const time = this.#take(/\d{2}:\d{2}:\d{2}(?:\.\d+)?/y);
    if (time === undefined)
      this.#fail("bad time: must be HH:MM:SS.subsec", start, "expected digit [0-9]", TIME_HINTS);
    const [hour = 0, minute = 0, second = 0] = time.slice(0, 8).split(":").map(Number);
    if (hour > 23 || minute > 59 || second > 60)
      this.#fail(
        "toml::parse_local_time: invalid time.",
        start,
        hour > 23 || minute > 59 ? "hour must be 00-23, minute must be 00-59." : "second must be 00-60.",
      );
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
      if (char !== "\\") this.#badString("basic_string", '"');
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
      if (char !== '"') this.#badString("ml_basic_string", '"""');
      const quotes = this.#take(/"{1,5}/y)!;
      if (quotes.length >= 3) return text + quotes.slice(3);
      text += quotes;
    }
  }

  #literalString(): string {
    const literal = this.#take(/'[^'\x00-\x08\x0a-\x1f\x7f]*/y)!;
    if (this.#peek() !== "'") this.#badString("literal_string", "'");
    this.#at++;
    return literal.slice(1);
  }

  #multiLineLiteral(): string {
    this.#at += 3;
    this.#skipFirstNewline();
    let text = "";
    for (;;) {
      text += this.#take(/[^'\x00-\x08\x0b\x0c\x0e-\x1f\x7f]+/y) ?? "";
      const quotes = this.#take(/'{1,5}/y);
      if (quotes === undefined) this.#badString("ml_literal_string", "'''");
      if (quotes.length >= 3) return text + quotes.slice(3);
      text += quotes;
    }
  }

  #badString(kind: string, close: string): never {
    this.#fail(`toml::parse_${kind}: invalid string format`, this.#at, `expected ${close}`);
  }

  #skipFirstNewline(): void {
    this.#take(/\r?\n/y);
  }

  #escape(): string {
    const start = this.#at;
    const escape = this.#take(/\\(?:["\\bfnrt]|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})/y);
    if (escape === undefined) this.#badString("basic_string", '"');
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
    if (this.#take(/[ \t]*(?:#[^\x00-\x08\x0a-\x1f\x7f]*)?(?:\r?\n|$)/y) === undefined) {
      this.#skipSpace();
      this.#fail("toml::parse_table: newline (LF / CRLF) or EOF is expected");
    }
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

  #fail(message: string, at = this.#at, note = "here", hints: readonly string[] = []): never {
    throw tomlError(this.#text, message, [{ at, length: 1, note }], hints);
  }
}

const TIME_HINTS = [
  "Hint: valid  : 1979-05-27T07:32:00, 1979-05-27 07:32:00.999999",
  "Hint: invalid: 1979-05-27T7:32:00, 1979-05-27 17:32",
];

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};
