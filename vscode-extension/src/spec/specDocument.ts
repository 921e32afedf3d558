import { parse as parseToml, TomlError } from "smol-toml";
import { isAlias, isMap, isScalar, isSeq, parseDocument, type Document } from "yaml";
import { MAX_SPEC_LENGTH, type SpecFile } from "./specFile.ts";
import { nodeAt, type MapEntry, type Span, type SpecNode, type SpecPath } from "./specTree.ts";
import { readToml } from "./tomlReader.ts";

/** A data spec's text, read as far as it can be. */
export interface SpecDocument {
  readonly file: SpecFile;
  readonly text: string;
  /** The spec, without what encloses it in the document; undefined where there is none. */
  readonly root: SpecNode | undefined;
  /** As the CLI reads it; undefined when it cannot be read. */
  readonly data: { readonly value: unknown } | undefined;
  readonly syntaxError: (Span & { readonly message: string }) | undefined;
}

/** Deeper is no spec, and not to be walked. */
const MAX_DEPTH = 64;

/** Reads a data spec with the parsers of the CLI. Never throws: documents are broken while they are typed. */
export function parseSpecDocument(text: string, file: SpecFile): SpecDocument {
  if (text.length > MAX_SPEC_LENGTH)
    return { file, text, root: undefined, data: undefined, syntaxError: undefined };
  const parsed = file.syntax === "toml" ? readTomlDocument(text) : readYamlDocument(text, file.syntax);
  let { data } = parsed;
  for (const key of file.within) data = data === undefined ? undefined : { value: fieldOf(data.value, key) };
  const isAbsent = file.within.length > 0 && data?.value === undefined;
  return {
    file,
    text,
    root: nodeAt(parsed.root, file.within),
    data: isAbsent ? undefined : data,
    // another file than a spec, and another's to check
    syntaxError: file.within.length > 0 ? undefined : parsed.syntaxError,
  };
}

type Parsed = Pick<SpecDocument, "root" | "data" | "syntaxError">;

function readYamlDocument(text: string, syntax: "yaml" | "json"): Parsed {
  let document: Document;
  try {
    document = parseDocument(text, {
      prettyErrors: false,
      schema: syntax === "json" ? "json" : "core",
      uniqueKeys: true,
      logLevel: "silent",
    });
  } catch {
    return { root: undefined, data: undefined, syntaxError: undefined };
  }
  const root = yamlNode(document.contents, text, 0);
  const [error] = document.errors;
  if (error !== undefined) {
    const [start, end] = error.pos.map((at) => Math.min(Math.max(0, at), text.length)) as [number, number];
    return { root, data: undefined, syntaxError: { start, end, message: sentence(error.message) } };
  }
  try {
    return {
      root,
      data: { value: document.toJS({ maxAliasCount: 100 }) as unknown },
      syntaxError: undefined,
    };
  } catch (thrown) {
    const message = sentence((thrown as Error).message);
    return { root, data: undefined, syntaxError: { start: 0, end: 0, message } };
  }
}

function yamlNode(node: unknown, text: string, depth: number): SpecNode | undefined {
  if (depth > MAX_DEPTH) return undefined;
  if (isMap(node)) {
    const [start, end] = spanOf(node.range, text);
    const entries = node.items.flatMap((pair): MapEntry[] => {
      if (!isScalar(pair.key)) return [];
      const [keyStart, keyEnd] = spanOf(pair.key.range, text);
      const value = yamlNode(pair.value, text, depth + 1);
      const keySpan = { start: keyStart, end: keyEnd };
      const entryEnd = Math.max(keyEnd, value?.end ?? keyEnd);
      return [
        { key: String(pair.key.value), keySpan, value, start: keyStart, end: entryEnd, isScattered: false },
      ];
    });
    return { kind: "map", start, end, entries };
  }
  if (isSeq(node)) {
    const [start, end] = spanOf(node.range, text);
    const items = node.items.map(
      (item) =>
        yamlNode(item, text, depth + 1) ?? { kind: "scalar" as const, start, end: start, value: null },
    );
    return { kind: "list", start, end, items };
  }
  if (!isScalar(node) && !isAlias(node)) return undefined;
  const [start, end] = spanOf(node.range, text);
  return { kind: "scalar", start, end, value: isScalar(node) ? node.value : undefined };
}

/** Without the blanks at the end, which belong to blocks, and scalars of several lines. */
function spanOf(range: readonly number[] | null | undefined, text: string): [start: number, end: number] {
  const start = range?.[0] ?? 0;
  let end = Math.max(start, range?.[1] ?? start);
  while (end > start && /\s/.test(text[end - 1] ?? "")) end--;
  return [start, end];
}

function readTomlDocument(text: string): Parsed {
  const { root } = readToml(text);
  try {
    return { root, data: { value: parseToml(text) }, syntaxError: undefined };
  } catch (thrown) {
    if (!(thrown instanceof TomlError)) return { root, data: undefined, syntaxError: undefined };
    const start = offsetOfPlace(text, thrown.line, thrown.column);
    const [first = ""] = thrown.message.split("\n");
    const message = sentence(first.replace(/^Invalid TOML document: /, ""));
    return { root, data: undefined, syntaxError: { start, end: start, message } };
  }
}

function offsetOfPlace(text: string, line: number, column: number): number {
  let start = 0;
  for (let n = 1; n < line; n++) {
    const feed = text.indexOf("\n", start);
    if (feed < 0) break;
    start = feed + 1;
  }
  return Math.min(text.length, start + Math.max(0, column - 1));
}

function fieldOf(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, key)
    ? (value as Readonly<Record<string, unknown>>)[key]
    : undefined;
}

function sentence(message: string): string {
  const line = (message.split("\n")[0] ?? "").replace(/\.$/, "");
  return line.charAt(0).toLowerCase() + line.slice(1);
}

/** The keys of the map at a path, but the one that is being typed at the offset. */
export function keysThere(document: SpecDocument, path: SpecPath, offset: number): string[] {
  const map = nodeAt(document.root, path);
  if (map?.kind !== "map") return [];
  return map.entries
    .filter(({ keySpan }) => offset < keySpan.start || offset > keySpan.end)
    .map(({ key }) => key);
}
