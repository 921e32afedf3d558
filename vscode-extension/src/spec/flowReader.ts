import type { ListNode, MapEntry, MapNode, ScalarNode, SpecNode, SpecPath } from "./specTree.ts";
import type { SpecSyntax } from "./specFile.ts";

/** What a text broken off at its end would have gone on with. */
export interface OpenEnd {
  /** `header`: the name of a TOML table. `none`: nothing that can be completed, a comment for one. */
  readonly role: "key" | "value" | "header" | "none";
  /** Of a key: the map that it is in. Of a value: its own, with the key or index. */
  readonly path: SpecPath;
  /** Where the word at the end begins, its quote included. */
  readonly start: number;
  readonly quote: "" | '"' | "'";
}

/** Deeper is no spec; the rest is then left unread. */
const MAX_DEPTH = 32;
/** What no value in brackets has at a line's beginning: the value lacks its end. */
const TOML_STATEMENT = /^[ \t]*(?:\[[\w.-]+\]|[\w.-]+[ \t]*=)/;
const YAML_STATEMENT = /^[\w-]+:(?:[ \t\r]|$)/;

/**
 * Reads values in braces and brackets as JSON, YAML and TOML have them, whatever is missing or too much: a string
 * ends with its line, a list where a key begins, everything with the text.
 */
export class FlowReader {
  offset: number;
  /** Set once the text's end has been reached. */
  openEnd: OpenEnd | undefined;
  readonly #text: string;
  readonly #syntax: SpecSyntax;

  constructor(text: string, offset: number, syntax: SpecSyntax) {
    this.#text = text;
    this.offset = offset;
    this.#syntax = syntax;
  }

  get isAtEnd(): boolean {
    return this.offset >= this.#text.length;
  }

  /** The first end that is told counts: it is the innermost. */
  end(role: OpenEnd["role"], path: SpecPath, start = this.offset, quote: OpenEnd["quote"] = ""): void {
    this.openEnd ??= { role, path, start, quote };
  }

  readValue(path: SpecPath): SpecNode | undefined {
    this.skipBlank(this.#syntax !== "toml" || path.length === 0);
    if (this.isAtEnd) {
      this.end("value", path);
      return undefined;
    }
    const char = this.#text[this.offset];
    if (path.length < MAX_DEPTH && char === "{") return this.#readMap(path);
    if (path.length < MAX_DEPTH && char === "[") return this.#readList(path);
    if (char === '"' || (char === "'" && this.#syntax !== "json")) return this.readString("value", path);
    return this.#readPlain(path);
  }

  /** @param role what the string is, should the text end within */
  readString(role: "key" | "value", path: SpecPath): ScalarNode {
    const text = this.#text;
    const start = this.offset;
    const quote = text[start] === "'" ? "'" : '"';
    if (this.#syntax === "toml" && text.startsWith(quote.repeat(3), start))
      return this.#readLongString(quote, path);
    let at = start + 1;
    for (; at < text.length && text[at] !== "\n"; at++) {
      // what is escaped is of the same line: the string ends with it
      if (text[at] === "\\" && quote === '"' && text[at + 1] !== "\n") at++;
      else if (text[at] === quote) {
        if (quote === "'" && this.#syntax === "yaml" && text[at + 1] === "'") at++;
        else {
          this.offset = at + 1;
          return scalar(start, this.offset, unquoted(text.slice(start, this.offset)));
        }
      }
    }
    this.offset = Math.min(at, text.length);
    if (this.isAtEnd) this.end(role, path, start, quote);
    return scalar(start, this.offset, text.slice(start + 1, this.offset));
  }

  #readLongString(quote: string, path: SpecPath): ScalarNode {
    const start = this.offset;
    const close = this.#text.indexOf(quote.repeat(3), start + 3);
    this.offset = close < 0 ? this.#text.length : close + 3;
    if (close < 0) this.end("none", path);
    return scalar(start, this.offset, this.#text.slice(start + 3, close < 0 ? undefined : close));
  }

  #readPlain(path: SpecPath): ScalarNode {
    const start = this.offset;
    const stop = this.#syntax === "yaml" ? /[,[\]{}\n]|[ \t]#|:[ \t\n]/g : /[\s,[\]{}:=#"]/g;
    stop.lastIndex = start;
    const found = stop.exec(this.#text)?.index ?? this.#text.length;
    this.offset = found;
    const word = this.#text.slice(start, found).trimEnd();
    if (this.isAtEnd) this.end("value", path, start);
    return scalar(start, start + word.length, plainValue(word));
  }

  #readMap(path: SpecPath): MapNode {
    const start = this.offset++;
    const entries: MapEntry[] = [];
    for (;;) {
      const from = this.offset;
      this.skipBlank(true);
      if (this.isAtEnd) {
        this.end("key", path);
        break;
      }
      const char = this.#text[this.offset];
      if (char === "}") {
        this.offset++;
        break;
      }
      // a list or the whole ends here: this map lacks its brace
      if (char === "]" || (path.length > 0 && this.#syntax === "yaml" && this.#isAtStatement())) break;
      if (char === ",") this.offset++;
      else {
        const entry = this.#readEntry(path);
        if (entry !== undefined) entries.push(entry);
      }
      if (this.offset === from) this.offset++;
    }
    return { kind: "map", start, end: this.offset, entries };
  }

  #readEntry(path: SpecPath): MapEntry | undefined {
    const text = this.#text;
    const start = this.offset;
    let keyNode: ScalarNode;
    if (text[start] === '"' || text[start] === "'") keyNode = this.readString("key", path);
    else {
      const stop = /[,:=[\]{}\n"]/g;
      stop.lastIndex = start;
      this.offset = stop.exec(text)?.index ?? text.length;
      const word = text.slice(start, this.offset).trimEnd();
      if (this.isAtEnd) this.end(word === text.slice(start) ? "key" : "none", path, start);
      keyNode = scalar(start, start + word.length, word);
    }
    const key = String(keyNode.value);
    this.skipBlank(this.#syntax === "json");
    if (this.isAtEnd) {
      this.end("none", path);
      return key === "" ? undefined : entry(key, keyNode, undefined);
    }
    if (text[this.offset] !== (this.#syntax === "toml" ? "=" : ":"))
      return key === "" ? undefined : entry(key, keyNode, undefined);
    this.offset++;
    return entry(key, keyNode, this.readValue([...path, key]));
  }

  #readList(path: SpecPath): ListNode {
    const start = this.offset++;
    const items: SpecNode[] = [];
    for (;;) {
      const from = this.offset;
      this.skipBlank(true);
      if (this.isAtEnd) {
        this.end("value", [...path, items.length]);
        break;
      }
      const char = this.#text[this.offset];
      if (char === "]") {
        this.offset++;
        break;
      }
      if (char === "}" || this.#isAtStatement()) break;
      if (char === ",") {
        this.offset++;
        continue;
      }
      const itemStart = this.offset;
      const item = this.readValue([...path, items.length]);
      const after = this.offset;
      this.skipBlank(this.#syntax === "json");
      if (this.#text[this.offset] === (this.#syntax === "toml" ? "=" : ":") && item?.kind === "scalar") {
        // what looked like an item is the next key: the list lacks its bracket
        this.offset = itemStart;
        break;
      }
      this.offset = after;
      if (item !== undefined) items.push(item);
      if (this.offset === from) this.offset++;
    }
    return { kind: "list", start, end: this.offset, items };
  }

  /** Whether a line begins here that cannot be part of a value. */
  #isAtStatement(): boolean {
    if (this.#syntax === "json") return false;
    const lineStart = this.#text.lastIndexOf("\n", this.offset - 1) + 1;
    if (this.#text.slice(lineStart, this.offset).trim() !== "") return false;
    const lineEnd = this.#text.indexOf("\n", this.offset);
    const line = this.#text.slice(lineStart, lineEnd < 0 ? undefined : lineEnd);
    return (this.#syntax === "toml" ? TOML_STATEMENT : YAML_STATEMENT).test(line);
  }

  /** Skips spaces, comments, and where wanted line feeds. */
  skipBlank(withLines: boolean): void {
    const text = this.#text;
    const { length } = text;
    while (this.offset < length) {
      const char = text[this.offset] ?? "";
      if (char === " " || char === "\t" || char === "\r" || char === "\uFEFF" || (withLines && char === "\n"))
        this.offset++;
      else if (char === "#" && this.#syntax !== "json") this.#skipComment("\n", 0);
      else if (this.#syntax === "json" && text.startsWith("//", this.offset)) this.#skipComment("\n", 0);
      else if (this.#syntax === "json" && text.startsWith("/*", this.offset)) this.#skipComment("*/", 2);
      else return;
    }
  }

  #skipComment(close: string, closeLength: number): void {
    const end = this.#text.indexOf(close, this.offset);
    this.offset = end < 0 ? this.#text.length : end + closeLength;
    if (end < 0) this.end("none", []);
  }
}

export function unquoted(text: string): string {
  if (text.startsWith("'")) return text.slice(1, -1).replaceAll("''", "'");
  try {
    return String(JSON.parse(text));
  } catch {
    return text.slice(1, -1);
  }
}

function plainValue(word: string): unknown {
  if (word === "true" || word === "false") return word === "true";
  if (word === "" || word === "null" || word === "~") return null;
  return /^[-+]?(?:\d+|\d*\.\d+)(?:[eE][-+]?\d+)?$/.test(word) ? Number(word) : word;
}

function scalar(start: number, end: number, value: unknown): ScalarNode {
  return { kind: "scalar", start, end, value };
}

function entry(key: string, keyNode: ScalarNode, value: SpecNode | undefined): MapEntry {
  const { start, end } = keyNode;
  return { key, keySpan: { start, end }, value, start, end: value?.end ?? end, isScattered: false };
}
