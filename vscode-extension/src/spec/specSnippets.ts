import type { SpecCursor } from "./specCursor.ts";
import type { SpecSyntax } from "./specFile.ts";
import { typesOf, type Schema } from "./specSchema.ts";

/** A text as a snippet that inserts just it. */
export function snippetText(text: string): string {
  return text.replace(/[\\$}]/g, "\\$&");
}

/** A key as it is written at the cursor. */
export function nameText(name: string, cursor: Pick<SpecCursor, "quote">, syntax: SpecSyntax): string {
  if (syntax === "json") return JSON.stringify(name);
  return `${cursor.quote}${name}${cursor.quote}`;
}

/** YAML reads these as they stand, as strings. */
const PLAIN = /^(?!(?:true|false|null|yes|no|on|off|y|n)$)[A-Za-z/](?:[\w.+@/~-]|:(?=\w))*$/i;

/** A string as it is written at the cursor, in the quotes begun there. */
export function scalarText(text: string, cursor: Pick<SpecCursor, "quote">, syntax: SpecSyntax): string {
  if (cursor.quote === "'") return `'${text}'`;
  return cursor.quote === "" && syntax === "yaml" && PLAIN.test(text) ? text : JSON.stringify(text);
}

/** A field with the beginning of a value of its type. @param inLine no table of its own (TOML) */
export function fieldSnippet(
  name: string,
  schema: Schema,
  cursor: Pick<SpecCursor, "quote" | "isFlow">,
  syntax: SpecSyntax,
  inLine: boolean,
): string {
  const key = snippetText(nameText(name, cursor, syntax));
  const types = typesOf(schema);
  const isText = name.endsWith("Hook");
  const body = schema.additionalProperties;
  const isNested = typeof body === "object" && typesOf(body).includes("object");
  const [inner = "command"] = isNested ? (body.required ?? []) : [];
  if (syntax === "toml") {
    if (types.includes("array")) return `${key} = ["$0"]`;
    if (types.includes("boolean")) return `${key} = \${1|true,false|}`;
    if (isText) return `${key} = """\n$0\n"""`;
    if (!types.includes("object")) return `${key} = "$0"`;
    if (inLine)
      return isNested ? `${key} = { \${1:NAME} = { ${inner} = "$0" } }` : `${key} = { \${1:NAME} = "$0" }`;
    return isNested ? `[${key}.\${1:NAME}]\n${inner} = "$0"` : `[${key}]\n\${1:NAME} = "$0"`;
  }
  if (syntax === "json") {
    if (types.includes("array")) return `${key}: ["$0"]`;
    if (types.includes("boolean")) return `${key}: \${1|true,false|}`;
    if (!types.includes("object")) return `${key}: "$0"`;
    return isNested
      ? `${key}: { "\${1:NAME}": { "${inner}": "$0" \\} \\}`
      : `${key}: { "\${1:NAME}": "$0" \\}`;
  }
  if (types.includes("boolean")) return `${key}: \${1|true,false|}`;
  if (cursor.isFlow) {
    if (types.includes("array")) return `${key}: [$0]`;
    if (!types.includes("object")) return `${key}: $0`;
    return isNested ? `${key}: { \${1:NAME}: { ${inner}: $0 \\} \\}` : `${key}: { \${1:NAME}: $0 \\}`;
  }
  if (types.includes("array")) return `${key}:\n  - $0`;
  if (isText) return `${key}: |\n  $0`;
  if (!types.includes("object")) return `${key}: $0`;
  return isNested ? `${key}:\n  \${1:NAME}:\n    ${inner}: $0` : `${key}:\n  \${1:NAME}: $0`;
}
