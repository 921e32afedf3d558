import { readFileSync } from "node:fs";
import { TomlError, parse as parseToml } from "smol-toml";
import { LineCounter, isMap, isNode, isSeq, parseDocument, type Document, type Node } from "yaml";
import { DevshellError, packageRoot, type SourcePos } from "../../core/index.ts";
import type { DataSpec, ServiceSpec } from "../types.ts";
import { parsePackageChoice } from "./packageChoice.ts";
import { isRecord, validateSchema, type Schema, type SchemaProblem } from "./validateSchema.ts";

/** How a data spec is written; `object` is one that a program made (`devshell.ts`). */
export type DataSpecSyntax = "yaml" | "json" | "toml" | "object";

const MAX_SPEC_BYTES = 1 << 20;

/**
 * Reads a data spec and checks it against the published schema.
 * @param within keys to the spec inside the document (`package.json`: `["devshell"]`)
 * @param data   the document itself for `object`
 * @throws {DevshellError} `SPEC_SYNTAX`, `SPEC_INVALID` with the place in the file
 */
export function parseDataSpec(
  path: string,
  text: string,
  syntax: DataSpecSyntax,
  within: readonly string[] = [],
  data?: unknown,
): DataSpec {
  if (Buffer.byteLength(text) > MAX_SPEC_BYTES)
    throw new DevshellError("SPEC_SYNTAX", `Cannot read spec "${path}": it is larger than 1 MiB`);
  const document = readDocument(path, text, syntax, data);
  let value = document.value;
  for (const key of within) value = isRecord(value) ? value[key] : undefined;
  value ??= {};
  const locate = (keys: readonly (string | number)[], isKey: boolean): SourcePos =>
    document.locate([...within, ...keys], isKey);
  const [problem, ...others] = validateSchema(value, loadSchema());
  if (problem !== undefined)
    throw specError(path, problem, others.length, (keys, isKey) => ({ ...locate(keys, isKey), text }));
  return toDataSpec(value as RawSpec, locate);
}

interface ParsedDocument {
  readonly value: unknown;
  locate(keys: readonly (string | number)[], isKey: boolean): SourcePos;
}

/** What the schema lets through. */
interface RawSpec {
  readonly collection?: string;
  readonly suite?: string;
  readonly packages?: readonly string[];
  readonly inputsFrom?: readonly string[];
  readonly env?: Readonly<Record<string, string | number | boolean>>;
  readonly unset?: readonly string[];
  readonly shellHook?: string;
  readonly exitHook?: string;
  readonly scripts?: Readonly<Record<string, string>>;
  readonly services?: Readonly<Record<string, ServiceSpec>>;
  readonly pure?: boolean;
  readonly keep?: readonly string[];
  readonly args?: Readonly<Record<string, string | number | boolean>>;
}

let schema: Schema | undefined;
function loadSchema(): Schema {
  schema ??= JSON.parse(readFileSync(`${packageRoot}/env/spec/devshell.schema.json`, "utf8")) as Schema;
  return schema;
}

function toDataSpec(
  raw: RawSpec,
  locate: (keys: readonly (string | number)[], isKey: boolean) => SourcePos,
): DataSpec {
  const positions = new Map<string, SourcePos>();
  for (const [field, value] of Object.entries(raw)) {
    positions.set(field, locate([field], true));
    if (Array.isArray(value))
      value.forEach((_, n) => positions.set(`${field}/${n}`, locate([field, n], false)));
    else if (isRecord(value))
      for (const key of Object.keys(value)) positions.set(`${field}/${key}`, locate([field, key], true));
  }
  return {
    collection: raw.collection ?? "debian",
    suite: raw.suite,
    packages: (raw.packages ?? []).map(parsePackageChoice),
    inputsFrom: (raw.inputsFrom ?? []).map(parsePackageChoice),
    env: new Map(Object.entries(raw.env ?? {}).map(([name, value]) => [name, String(value)])),
    unset: raw.unset ?? [],
    shellHook: raw.shellHook ?? "",
    exitHook: raw.exitHook ?? "",
    scripts: new Map(Object.entries(raw.scripts ?? {})),
    services: new Map(Object.entries(raw.services ?? {})),
    pure: raw.pure ?? false,
    keep: raw.keep ?? [],
    args: new Map(Object.entries(raw.args ?? {})),
    positions,
  };
}

function specError(
  path: string,
  problem: SchemaProblem,
  others: number,
  locate: (keys: readonly (string | number)[], isKey: boolean) => SourcePos,
): DevshellError {
  const field = problem.path
    .slice(0, problem.isKey ? -1 : undefined)
    .map((key, n) => (typeof key === "number" ? `[${key}]` : `${n > 0 ? "." : ""}${key}`))
    .join("");
  const more = others > 0 ? ` (and ${others} more ${others === 1 ? "problem" : "problems"})` : "";
  return new DevshellError(
    "SPEC_INVALID",
    `Cannot use spec "${path}": ${field === "" ? "" : `"${field}": `}${problem.message}${more}`,
    {
      pos: locate(problem.path, problem.isKey),
      hint: problem.hint,
      suggestions: problem.suggestions,
    },
  );
}

function readDocument(path: string, text: string, syntax: DataSpecSyntax, data: unknown): ParsedDocument {
  switch (syntax) {
    case "yaml":
    case "json":
      return readYaml(path, text, syntax);
    case "toml":
      return readToml(path, text);
    case "object":
      return { value: data, locate: (keys) => locateByText(path, text, keys) };
  }
}

function readYaml(path: string, text: string, syntax: "yaml" | "json"): ParsedDocument {
  const counter = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: counter,
    prettyErrors: false,
    schema: syntax === "json" ? "json" : "core",
    uniqueKeys: true,
  });
  const positionAt = (offset: number, end = offset): SourcePos => {
    const { line } = counter.linePos(offset);
    const start = counter.lineStarts[line - 1] ?? 0;
    const pos = filePos(path, line, Buffer.byteLength(text.slice(start, offset)) + 1);
    const extent = text.slice(offset, end);
    return extent === "" || extent.includes("\n")
      ? pos
      : { ...pos, endColumn: pos.column + Buffer.byteLength(extent) };
  };
  const [error] = document.errors;
  if (error !== undefined)
    throw new DevshellError("SPEC_SYNTAX", `Cannot read spec "${path}": ${sentence(error.message)}`, {
      pos: { ...positionAt(error.pos[0]), text },
    });
  return {
    // `maxAliasCount` bounds what aliases may expand to
    value: document.toJS({ maxAliasCount: 100 }) as unknown,
    locate: (keys, isKey) => {
      const node = yamlNode(document, keys, isKey);
      return positionAt(node?.range?.[0] ?? 0, node?.range?.[1]);
    },
  };
}

/** A key or its value; the nearest enclosing node where it is absent. */
function yamlNode(document: Document, keys: readonly (string | number)[], isKey: boolean): Node | undefined {
  let node: unknown = document.contents;
  let nearest = isNode(node) ? node : undefined;
  for (const [n, key] of keys.entries()) {
    if (isMap(node)) {
      const pair = node.items.find((item) => keyText(item.key) === String(key));
      if (pair === undefined) return nearest;
      const keyNode = isNode(pair.key) ? pair.key : undefined;
      if (n === keys.length - 1 && isKey) return keyNode ?? nearest;
      node = pair.value;
      nearest = isNode(node) ? node : (keyNode ?? nearest);
    } else if (isSeq(node)) {
      node = node.items[Number(key)];
      if (isNode(node)) nearest = node;
    } else return nearest;
  }
  return nearest;
}

function keyText(key: unknown): string | undefined {
  return typeof key === "object" && key !== null && "value" in key ? String(key.value) : undefined;
}

function readToml(path: string, text: string): ParsedDocument {
  try {
    return { value: parseToml(text), locate: (keys) => locateByText(path, text, keys) };
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [first = ""] = error.message.split("\n");
    throw new DevshellError(
      "SPEC_SYNTAX",
      `Cannot read spec "${path}": ${sentence(first.replace(/^Invalid TOML document: /, ""))}`,
      { pos: { ...filePos(path, error.line, error.column), text } },
    );
  }
}

/** Where the last key that stands in the text as a word is written: good enough where a parser keeps no places. */
function locateByText(path: string, text: string, keys: readonly (string | number)[]): SourcePos {
  const lines = text.split("\n");
  let at: SourcePos = filePos(path, 1, 1);
  let from = 0;
  for (const key of keys) {
    if (typeof key === "number") continue;
    const pattern = new RegExp(`(^|[\\s.{,["'])(${key.replace(/[^\w]/g, "\\$&")})["']?\\s*[=:\\].]`);
    const found = lines.findIndex((line, n) => n >= from && pattern.test(line));
    if (found < 0) break;
    const line = lines[found] ?? "";
    const match = pattern.exec(line);
    const column = (match?.index ?? 0) + (match?.[1]?.length ?? 0);
    const start = Buffer.byteLength(line.slice(0, column)) + 1;
    at = { ...filePos(path, found + 1, start), endColumn: start + Buffer.byteLength(key) };
    from = found;
  }
  return at;
}

function filePos(path: string, line: number, column: number): SourcePos {
  return { origin: { kind: "file", path }, line, column };
}

function sentence(text: string): string {
  const line = (text.split("\n")[0] ?? "").replace(/\.$/, "");
  return line.charAt(0).toLowerCase() + line.slice(1);
}
