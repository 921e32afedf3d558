import { FlowReader, unquoted, type OpenEnd } from "./flowReader.ts";
import type { MapEntry, MapNode, SpecNode, Span } from "./specTree.ts";

export interface TomlReading {
  readonly root: MapNode;
  /** What the text's end would have gone on with. */
  readonly openEnd: OpenEnd;
}

/** Reads a TOML document line by line, whatever is wrong with it: parsers of TOML keep no places and give up. */
export function readToml(text: string): TomlReading {
  const reader = new FlowReader(text, 0, "toml");
  const root = newMap(0, text.length);
  let table: string[] = [];
  let tableEntry: OpenEntry | undefined;
  while (!reader.isAtEnd) {
    reader.skipBlank(true);
    if (reader.isAtEnd) break;
    const from = reader.offset;
    const lineStart = text.lastIndexOf("\n", reader.offset - 1) + 1;
    if (text[reader.offset] === "[") {
      if (tableEntry !== undefined) tableEntry.end = lineStart;
      const header = readHeader(text, reader);
      table = header.keys.map(({ key }) => key);
      tableEntry = insert(root, header.keys, lineStart, newMap(reader.offset, reader.offset));
      if (tableEntry !== undefined) tableEntry.end = text.length;
    } else {
      const keys = readKeys(text, reader, table);
      reader.skipBlank(false);
      let value: SpecNode | undefined;
      if (text[reader.offset] === "=") {
        reader.offset++;
        value = reader.readValue([...table, ...keys.map(({ key }) => key)]);
      } else if (reader.isAtEnd) reader.end("none", []);
      const within = table.map((key) => ({ key, span: { start: 0, end: 0 } }));
      const made = insert(root, [...within, ...keys], lineStart, value, table.length);
      if (made !== undefined) made.end = value?.end ?? reader.offset;
    }
    skipLine(text, reader, from);
  }
  reader.end("key", table);
  return { root, openEnd: reader.openEnd ?? { role: "none", path: [], start: text.length, quote: "" } };
}

interface KeyWord {
  readonly key: string;
  readonly span: Span;
}

type OpenMap = MapNode & { end: number; readonly entries: OpenEntry[] };
type OpenEntry = { -readonly [K in keyof MapEntry]: MapEntry[K] };

function newMap(start: number, end: number): OpenMap {
  return { kind: "map", start, end, entries: [] };
}

function readHeader(text: string, reader: FlowReader): { keys: KeyWord[] } {
  while (text[reader.offset] === "[") reader.offset++;
  const keys: KeyWord[] = [];
  for (;;) {
    reader.offset += /^[ \t.]*/.exec(text.slice(reader.offset, reader.offset + 200))?.[0].length ?? 0;
    const at = reader.offset;
    const path = keys.map(({ key }) => key);
    const word = readKey(text, reader, "header", path);
    if (word !== undefined) keys.push(word);
    else if (reader.isAtEnd) reader.end("header", path);
    if (reader.offset === at) return { keys };
  }
}

/** `a.b."c"`, before `=`. */
function readKeys(text: string, reader: FlowReader, table: readonly string[]): KeyWord[] {
  const keys: KeyWord[] = [];
  for (;;) {
    const path = [...table, ...keys.map(({ key }) => key)];
    const word = readKey(text, reader, "key", path);
    if (word === undefined) {
      if (reader.isAtEnd) reader.end("key", path);
      return keys;
    }
    keys.push(word);
    const dot = /^[ \t]*\.[ \t]*/.exec(text.slice(reader.offset, reader.offset + 200));
    if (dot === null) return keys;
    reader.offset += dot[0].length;
  }
}

function readKey(
  text: string,
  reader: FlowReader,
  role: "key" | "header",
  path: readonly string[],
): KeyWord | undefined {
  const start = reader.offset;
  if (text[start] === '"' || text[start] === "'") {
    const { end } = reader.readString("key", path);
    return { key: unquoted(text.slice(start, end)), span: { start, end } };
  }
  const stop = /[^\p{L}\p{N}_-]/gu;
  stop.lastIndex = start;
  reader.offset = stop.exec(text)?.index ?? text.length;
  if (reader.offset === start) return undefined;
  if (reader.isAtEnd) reader.end(role, path, start);
  return { key: text.slice(start, reader.offset), span: { start, end: reader.offset } };
}

/** Puts a value in its place, with the tables on the way. @param from the first key that is written here */
function insert(
  root: OpenMap,
  keys: readonly KeyWord[],
  start: number,
  value: SpecNode | undefined,
  from = 0,
): OpenEntry | undefined {
  let map = root;
  let entry: OpenEntry | undefined;
  for (const [n, { key, span }] of keys.entries()) {
    const isLast = n === keys.length - 1;
    entry = map.entries.find((one) => one.key === key);
    const { end } = span;
    if (entry === undefined || (isLast && value?.kind !== "map")) {
      const made = isLast ? value : newMap(end, end);
      entry = { key, keySpan: span, value: made, start, end, isScattered: false };
      map.entries.push(entry);
    } else if (n >= from) entry.isScattered = true;
    if (isLast) return entry;
    if (entry.value?.kind !== "map") return undefined;
    map = entry.value as OpenMap;
  }
  return entry;
}

/** To the next line, unless a value that lacks its end has left off at one already. */
function skipLine(text: string, reader: FlowReader, from: number): void {
  const { offset } = reader;
  const lineStart = text.lastIndexOf("\n", offset - 1) + 1;
  if (lineStart > from && offset < text.length && text.slice(lineStart, offset).trim() === "") return;
  const end = text.indexOf("\n", offset);
  reader.offset = end < 0 ? text.length : end + 1;
  if (end < 0) reader.end("none", []);
}
