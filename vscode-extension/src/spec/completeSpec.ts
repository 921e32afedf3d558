import type { VariableReport } from "../../../cli/protocol/types.ts";
import { fieldSnippet, nameText, scalarText, snippetText } from "./specSnippets.ts";
import type { SpecCursor } from "./specCursor.ts";
import { keysThere, type SpecDocument } from "./specDocument.ts";
import { namedValues, schemaAt, typesOf, type Schema } from "./specSchema.ts";
import { nodeAt } from "./specTree.ts";

export interface SpecCompletion {
  readonly label: string;
  readonly kind: "field" | "value" | "variable" | "package" | "version";
  /** A snippet's text. */
  readonly insert: string;
  /** What the typed word is compared with. */
  readonly filter: string;
  readonly detail?: string | undefined;
  readonly documentation?: string | undefined;
  /** Whether what comes next can be completed, too. */
  readonly goesOn: boolean;
}

/** Packages that are to be asked for: by the beginning of a name, or one name's versions. */
export type PackageQuery =
  | { readonly kind: "names"; readonly prefix: string }
  | { readonly kind: "versions"; readonly name: string };

export interface CompletionFacts {
  /** Of the environment in use. */
  readonly variables: readonly VariableReport[];
  /** Variables that a shell would have from its caller. */
  readonly callerNames: readonly string[];
}

export interface SpecCompletions {
  readonly items: readonly SpecCompletion[];
  readonly query?: PackageQuery | undefined;
}

/** What can stand where the cursor is, packages apart: these are asked for. */
export function completeSpec(
  document: SpecDocument,
  cursor: SpecCursor,
  schema: Schema,
  facts: CompletionFacts,
): SpecCompletions {
  const at = schemaAt(schema, cursor.path);
  switch (cursor.role) {
    case "header":
      return { items: headers(document, cursor, at) };
    case "key":
      return { items: keys(document, cursor, at, facts) };
    case "child":
      if (typesOf(at).includes("array"))
        return values(document, { ...cursor, path: [...cursor.path, 0] }, at?.items, facts);
      return { items: keys(document, cursor, at, facts) };
    case "value":
      return values(document, cursor, at, facts);
  }
}

/** Packages, once they are known, as completions at the cursor. */
export function packageCompletions(
  cursor: SpecCursor,
  document: SpecDocument,
  query: PackageQuery,
  packages: readonly {
    readonly name: string;
    readonly versions: readonly string[];
    readonly summary?: string | undefined;
  }[],
): SpecCompletion[] {
  const make = (
    word: string,
    kind: "package" | "version",
    detail?: string,
    summary?: string,
  ): SpecCompletion => ({
    label: word,
    kind,
    insert: snippetText(`${cursor.needsDash ? "- " : ""}${scalarText(word, cursor, document.file.syntax)}`),
    filter: `${cursor.quote}${word}`,
    detail,
    documentation: summary,
    goesOn: false,
  });
  if (query.kind === "versions") {
    const found = packages.find(({ name }) => name === query.name);
    return (found?.versions ?? []).map((version) =>
      make(`${query.name}@${version}`, "version", version, found?.summary),
    );
  }
  const there = new Set(itemsThere(document, cursor));
  return packages
    .filter(({ name }) => !there.has(name))
    .map(({ name, versions, summary }) => make(name, "package", versions.join(", "), summary));
}

function headers(document: SpecDocument, cursor: SpecCursor, schema: Schema | undefined): SpecCompletion[] {
  const there = new Set(keysThere(document, cursor.path, cursor.end));
  const close = document.text[cursor.end] === "]" ? "" : "]\n$0";
  return Object.entries(schema?.properties ?? {})
    .filter(([name, field]) => typesOf(field).includes("object") && !there.has(name))
    .map(([name, field]) => ({
      label: name,
      kind: "field",
      insert: `${snippetText(name)}${close}`,
      filter: name,
      documentation: field.description,
      goesOn: false,
    }));
}

function keys(
  document: SpecDocument,
  cursor: SpecCursor,
  schema: Schema | undefined,
  facts: CompletionFacts,
): SpecCompletion[] {
  const there = new Set(keysThere(document, cursor.path, cursor.end));
  const { syntax } = document.file;
  const fields = Object.entries(schema?.properties ?? {}).filter(
    ([name]) => !there.has(name) && (!name.startsWith("$") || syntax === "json"),
  );
  const items = fields.map(([name, field]): SpecCompletion => {
    const inLine =
      syntax === "toml" && (cursor.path.length > 0 || hasRootKeysAfter(document.text, cursor.end));
    return {
      label: name,
      kind: "field",
      insert: cursor.hasSeparator
        ? snippetText(nameText(name, cursor, syntax))
        : fieldSnippet(name, field, cursor, syntax, inLine),
      filter: `${cursor.quote}${name}`,
      detail: typesOf(field).join(" | "),
      documentation: field.description,
      goesOn: !cursor.hasSeparator && (field.examples !== undefined || typesOf(field).includes("array")),
    };
  });
  if (cursor.path.length === 1 && cursor.path[0] === "env")
    for (const variable of facts.variables) {
      if (there.has(variable.name)) continue;
      const name = nameText(variable.name, cursor, syntax);
      const rest = syntax === "yaml" ? ": $0" : syntax === "json" ? ': "$0"' : ' = "$0"';
      items.push({
        ...variableItem(variable, cursor),
        insert: `${snippetText(name)}${cursor.hasSeparator ? "" : rest}`,
      });
    }
  return items;
}

function values(
  document: SpecDocument,
  cursor: SpecCursor,
  schema: Schema | undefined,
  facts: CompletionFacts,
): SpecCompletions {
  const { syntax } = document.file;
  const [field] = cursor.path;
  const dash = cursor.needsDash ? "- " : "";
  if (typeof cursor.path.at(-1) === "number") {
    if (field === "packages" || field === "inputsFrom") {
      const at = cursor.typed.indexOf("@", 1);
      const query: PackageQuery =
        at < 0
          ? { kind: "names", prefix: cursor.typed }
          : { kind: "versions", name: cursor.typed.slice(0, at) };
      return { items: [], query };
    }
    if (field !== "unset" && field !== "keep") return { items: [] };
    const there = new Set(itemsThere(document, cursor));
    const known = new Map(facts.variables.map((variable) => [variable.name, variable]));
    const names = [...new Set([...facts.callerNames, ...known.keys()])]
      .filter((name) => !there.has(name))
      .sort();
    const items = names.map((name): SpecCompletion => {
      const insert = snippetText(`${dash}${scalarText(name, cursor, syntax)}`);
      const variable = known.get(name);
      const plain = {
        label: name,
        filter: `${cursor.quote}${name}`,
        kind: "variable",
        goesOn: false,
      } as const;
      return { ...plain, ...(variable === undefined ? {} : variableItem(variable, cursor)), insert };
    });
    return { items };
  }
  if (schema === undefined) return { items: [] };
  if (typesOf(schema).includes("array") && cursor.quote === "" && cursor.typed === "") {
    const insert = syntax === "yaml" && !cursor.isFlow ? "\n  - $0" : syntax === "yaml" ? "[$0]" : '["$0"]';
    return { items: [{ label: "[]", kind: "value", insert, filter: "", goesOn: true }] };
  }
  const items = namedValues(schema).map((value): SpecCompletion => ({
    label: String(value),
    kind: "value",
    insert: snippetText(typeof value === "string" ? scalarText(value, cursor, syntax) : String(value)),
    filter: `${cursor.quote}${String(value)}`,
    detail: value === schema.default ? "default" : undefined,
    goesOn: false,
  }));
  return { items };
}

function variableItem(variable: VariableReport, cursor: SpecCursor): SpecCompletion {
  const value =
    variable.action === "unset"
      ? undefined
      : variable.isSecret
        ? "••••"
        : (variable.value.split("\n")[0] ?? "");
  return {
    label: variable.name,
    kind: "variable",
    insert: variable.name,
    filter: `${cursor.quote}${variable.name}`,
    detail: value === undefined || value.length <= 80 ? value : `${value.slice(0, 80)}…`,
    goesOn: false,
  };
}

/** What the list has already, but for the item that is being typed. */
function itemsThere(document: SpecDocument, cursor: SpecCursor): string[] {
  const list = nodeAt(document.root, cursor.path.slice(0, -1));
  if (list?.kind !== "list") return [];
  return list.items.flatMap((item) =>
    item.kind === "scalar" && (cursor.end < item.start || cursor.start > item.end)
      ? [String(item.value).replace(/(.)@.*$/, "$1")]
      : [],
  );
}

/** A table's header would take the keys that follow to itself. */
function hasRootKeysAfter(text: string, offset: number): boolean {
  const lineEnd = text.indexOf("\n", offset);
  if (lineEnd < 0) return false;
  const rest = /^(?:(?![ \t]*\[)[^\n]*\n?)*/.exec(text.slice(lineEnd + 1))?.[0] ?? "";
  return /^[ \t]*[\w."'-]+[ \t]*=/m.test(rest);
}
