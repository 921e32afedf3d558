import { TomlCursor } from "./tomlCursor.ts";
import { tomlError, type TomlRegion } from "./tomlError.ts";
import { readNumberOrDate } from "./tomlNumber.ts";
import { readBasicString, readLiteralString, readString } from "./tomlString.ts";
import { ArrayOfTables, Leaf, Table, freeze, type Entry, type Region, type TomlBuilder } from "./tomlTree.ts";

export { TomlSyntaxError } from "./tomlError.ts";
export type { TomlBuilder } from "./tomlTree.ts";

/** Reads a byte string (UTF-8) as TOML 1.0. @throws {TomlSyntaxError} */
export function parseToml<T>(text: string, builder: TomlBuilder<T>): T {
  return new Parser(text, builder).parse();
}

const MAX_DEPTH = 5_000;

class Parser<T> {
  readonly #cursor: TomlCursor;
  readonly #builder: TomlBuilder<T>;
  #depth = 0;

  constructor(text: string, builder: TomlBuilder<T>) {
    this.#cursor = new TomlCursor(text);
    this.#builder = builder;
  }

  parse(): T {
    const cursor: TomlCursor = this.#cursor;
    const root = new Table<T>("header", 0, 0);
    let table = root;
    for (;;) {
      cursor.skipBlank();
      if (cursor.at >= cursor.text.length) return this.#build(root);
      if (cursor.peek() === "[") table = this.#header(root);
      else this.#assignment(table);
      cursor.endOfLine();
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
    const cursor: TomlCursor = this.#cursor;
    const start = cursor.at;
    const isArray = cursor.text.startsWith("[[", cursor.at);
    cursor.at += isArray ? 2 : 1;
    const what = isArray
      ? "toml::parse_file: invalid array-table key"
      : "toml::parse_file: invalid table key";
    cursor.skipSpace();
    if (!/["'A-Za-z0-9_-]/.test(cursor.peek()))
      cursor.fail(what, cursor.at, `expected basic key([a-zA-Z0-9_-]) or quoted key(" or ')`);
    const path = this.#keyPath();
    const close = isArray ? "]]" : "]";
    if (!cursor.text.startsWith(close, cursor.at)) cursor.fail(what, cursor.at, `expected ${close}`);
    cursor.at += close.length;
    const last = path.at(-1)!;
    const length = cursor.at - start;
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
    const cursor: TomlCursor = this.#cursor;
    const start = cursor.at;
    const path = this.#keyPath();
    const length = cursor.text.slice(start, cursor.at).trimEnd().length;
    if (cursor.peek() !== "=")
      cursor.fail("toml::parse_key_value_pair: invalid key value separator `=`", cursor.at, "expected =");
    cursor.at++;
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
    cursor.skipSpace();
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
    const cursor: TomlCursor = this.#cursor;
    const other = { at: known.at, length: known.length, note };
    throw tomlError(cursor.text, `toml::insert_value: ${message}`, [region, other]);
  }

  /** Dotted keys, with the space around and after them. */
  #keyPath(): string[] {
    const cursor: TomlCursor = this.#cursor;
    const path: string[] = [];
    for (;;) {
      cursor.skipSpace();
      path.push(this.#key());
      cursor.skipSpace();
      if (cursor.peek() !== ".") return path;
      cursor.at++;
    }
  }

  #key(): string {
    const cursor: TomlCursor = this.#cursor;
    const char = cursor.peek();
    if (char === '"') return readBasicString(cursor);
    if (char === "'") return readLiteralString(cursor);
    const name = cursor.take(/[A-Za-z0-9_-]+/y);
    if (name === undefined)
      cursor.fail(
        `toml::parse_simple_key: invalid key: key must be "quoted", 'quoted-literal', or bare key.`,
        cursor.at,
        "expected alpha [a-zA-Z], digit [0-9], -, or _",
        ["Hint: non-ASCII scripts are allowed in toml v1.1.0, but not in v1.0.0."],
      );
    return name;
  }

  #value(): Entry<T> {
    const cursor: TomlCursor = this.#cursor;
    const char = cursor.peek();
    if (char === "{") return this.#inlineTable();
    const start = cursor.at;
    const value = this.#plainValue(char);
    return new Leaf(value, start, cursor.at - start);
  }

  #plainValue(char: string): T {
    const cursor: TomlCursor = this.#cursor;
    const builder = this.#builder;
    switch (char) {
      case '"':
      case "'":
        return builder.string(readString(cursor));
      case "[":
        return this.#array();
      case "t":
      case "f": {
        const word = cursor.take(/true|false/y);
        if (word === undefined)
          cursor.fail(
            'toml::parse_boolean: invalid boolean: boolean must be `true` or `false`, in lowercase. string must be surrounded by `"`',
            cursor.at,
            "expected true or false",
          );
        return builder.boolean(word === "true");
      }
      default:
        return readNumberOrDate(cursor, builder);
    }
  }

  #array(): T {
    const cursor: TomlCursor = this.#cursor;
    if (++this.#depth > MAX_DEPTH) cursor.fail("values are nested too deeply");
    cursor.at++;
    const items: T[] = [];
    for (;;) {
      cursor.skipBlank();
      if (cursor.peek() === "]") break;
      const item = this.#value();
      items.push(item instanceof Leaf ? item.value : this.#build(item as Table<T>));
      cursor.skipBlank();
      if (cursor.peek() === ",") cursor.at++;
      else if (cursor.peek() !== "]")
        cursor.fail("toml::parse_array: expected value-separator `,` or closing `]`");
    }
    cursor.at++;
    this.#depth--;
    return this.#builder.list(items);
  }

  #inlineTable(): Table<T> {
    const cursor: TomlCursor = this.#cursor;
    if (++this.#depth > MAX_DEPTH) cursor.fail("values are nested too deeply");
    const start = cursor.at++;
    const filled = new Table<T>("dotted", start, 1);
    cursor.skipSpace();
    if (cursor.peek() === "}") cursor.at++;
    else
      for (;;) {
        this.#assignment(filled);
        cursor.skipSpace();
        const next = cursor.peek();
        if (next !== "," && next !== "}")
          cursor.fail("toml::parse_inline_table: expected value-separator `,` or closing `}`");
        cursor.at++;
        if (next === "}") break;
        cursor.skipSpace();
        if (cursor.peek() === "}")
          cursor.fail("toml::parse_inline_table: trailing comma is not allowed in TOML-v1.0.0)");
      }
    this.#depth--;
    const table = new Table<T>("inline", start, cursor.at - start);
    for (const [name, entry] of filled.entries) table.entries.set(name, entry);
    freeze(table);
    return table;
  }
}
