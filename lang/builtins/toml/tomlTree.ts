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

/** A table while it is filled. */
export class Table<T> implements Region {
  readonly at: number;
  readonly length: number;
  readonly entries = new Map<string, Entry<T>>();
  /** How it came to be, which decides what may still be added to it. */
  kind: "header" | "implicit" | "dotted" | "inline";
  constructor(kind: Table<T>["kind"], at: number, length: number) {
    this.kind = kind;
    this.at = at;
    this.length = length;
  }
}

export class ArrayOfTables<T> implements Region {
  readonly at: number;
  readonly length: number;
  readonly items: Table<T>[] = [];
  constructor(at: number, length: number) {
    this.at = at;
    this.length = length;
  }
}

export class Leaf<T> implements Region {
  readonly at: number;
  readonly length: number;
  readonly value: T;
  constructor(value: T, at: number, length: number) {
    this.value = value;
    this.at = at;
    this.length = length;
  }
}

/** What made an entry: a value, a dotted key, a header. */
export interface Region {
  readonly at: number;
  readonly length: number;
}

export type Entry<T> = Table<T> | ArrayOfTables<T> | Leaf<T>;

/** An inline table cannot be added to, nor can the tables its dotted keys made. */
export function freeze<T>(table: Table<T>): void {
  table.kind = "inline";
  for (const entry of table.entries.values())
    if (entry instanceof Table && entry.kind !== "inline") freeze(entry);
}
