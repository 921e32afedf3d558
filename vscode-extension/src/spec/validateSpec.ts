import type { SpecDocument } from "./specDocument.ts";
import { typesOf, type Schema } from "./specSchema.ts";
import { locatePath, type Span, type SpecPath } from "./specTree.ts";
import { suggestNames } from "./suggestNames.ts";

/** What is wrong with a data spec, with the CLI's code and words. */
export interface SpecProblem extends Span {
  readonly code: "SPEC_INVALID" | "SPEC_SYNTAX";
  readonly message: string;
  readonly hint?: string | undefined;
  readonly suggestions: readonly string[];
  /** Undefined for a syntax error. */
  readonly path?: SpecPath | undefined;
  /** Whether the key is what is wrong, not its value. */
  readonly isKey: boolean;
  readonly mend?: Mend | undefined;
}

/** What can be done about it beside the suggestions. */
export type Mend =
  | { readonly kind: "remove" }
  | { readonly kind: "makeList" }
  | { readonly kind: "makeText" }
  | { readonly kind: "makeBoolean"; readonly value: boolean };

/** Checks a data spec as the CLI does. @returns every problem, in the order of the data */
export function validateSpec(document: SpecDocument, schema: Schema): SpecProblem[] {
  const { syntaxError, data, root } = document;
  if (syntaxError !== undefined)
    return [{ ...syntaxError, code: "SPEC_SYNTAX", suggestions: [], isKey: false }];
  if (data === undefined) return [];
  const problems: Problem[] = [];
  visit(data.value ?? {}, schema, [], problems);
  return problems.map(({ path, isKey, message, ...rest }): SpecProblem => {
    const field = fieldText(isKey ? path.slice(0, -1) : path);
    return {
      ...rest,
      ...locatePath(root, path, isKey),
      code: "SPEC_INVALID",
      path,
      isKey,
      message: field === "" ? message : `"${field}": ${message}`,
    };
  });
}

type Problem = Pick<SpecProblem, "message" | "hint" | "suggestions" | "isKey" | "mend"> & {
  readonly path: SpecPath;
};

function fieldText(path: SpecPath): string {
  return path.map((key, n) => (typeof key === "number" ? `[${key}]` : `${n > 0 ? "." : ""}${key}`)).join("");
}

function visit(data: unknown, schema: Schema, path: SpecPath, out: Problem[]): void {
  const types = typesOf(schema);
  if (types.length > 0 && !types.includes(typeName(data))) {
    const message = `expected ${types.map(article).join(" or ")}, found ${describe(data)}`;
    out.push({ ...valueProblem(path, message), mend: mendType(data, types) });
    return;
  }
  if (typeof data === "string") visitString(data, schema, path, out);
  else if (Array.isArray(data) && schema.items !== undefined) {
    const { items } = schema;
    data.forEach((item: unknown, n) => visit(item, items, [...path, n], out));
  } else if (isRecord(data)) visitMap(data, schema, path, out);
}

function visitString(data: string, schema: Schema, path: SpecPath, out: Problem[]): void {
  if (schema.minLength !== undefined && data.length < schema.minLength)
    out.push(valueProblem(path, "must not be empty"));
  else if (schema.pattern !== undefined && !new RegExp(schema.pattern, "u").test(data))
    out.push(valueProblem(path, `found ${describe(data)}, which does not match ${schema.pattern}`));
}

function visitMap(
  data: Readonly<Record<string, unknown>>,
  schema: Schema,
  path: SpecPath,
  out: Problem[],
): void {
  const known = schema.properties ?? {};
  const names = Object.keys(known);
  for (const [key, value] of Object.entries(data)) {
    const here = [...path, key];
    const own = Object.hasOwn(known, key) ? known[key] : undefined;
    if (own !== undefined) visit(value, own, here, out);
    else if (schema.additionalProperties === false)
      out.push({
        path: here,
        isKey: true,
        message: `unknown field "${key}"`,
        hint: `known fields: ${names.filter((name) => !name.startsWith("$")).join(", ")}`,
        suggestions: suggestNames(key, names),
        mend: { kind: "remove" },
      });
    else {
      if (schema.propertyNames !== undefined && !new RegExp(schema.propertyNames.pattern, "u").test(key))
        out.push({
          path: here,
          isKey: true,
          message: `found name "${key}", which does not match ${schema.propertyNames.pattern}`,
          suggestions: [],
        });
      if (typeof schema.additionalProperties === "object")
        visit(value, schema.additionalProperties, here, out);
    }
  }
  for (const name of schema.required ?? [])
    if (!Object.hasOwn(data, name)) out.push(valueProblem(path, `lacks the field "${name}"`));
}

function valueProblem(path: SpecPath, message: string): Problem {
  return { path, isKey: false, message, suggestions: [] };
}

function mendType(data: unknown, types: readonly string[]): Mend | undefined {
  if (types.includes("array") && typeof data === "string") return { kind: "makeList" };
  if (types.includes("boolean") && typeof data === "string") {
    const word = data.toLowerCase();
    if (["true", "yes", "on"].includes(word)) return { kind: "makeBoolean", value: true };
    if (["false", "no", "off"].includes(word)) return { kind: "makeBoolean", value: false };
  }
  const isPlain = typeof data === "number" || typeof data === "boolean";
  return types.includes("string") && isPlain ? { kind: "makeText" } : undefined;
}

function isRecord(data: unknown): data is Readonly<Record<string, unknown>> {
  return typeof data === "object" && data !== null && !Array.isArray(data);
}

function typeName(data: unknown): string {
  if (data === null) return "null";
  return Array.isArray(data) ? "array" : typeof data;
}

const ARTICLES: Readonly<Record<string, string>> = {
  array: "a list",
  object: "a mapping",
  string: "a string",
  number: "a number",
  boolean: "true or false",
};
function article(type: string): string {
  return ARTICLES[type] ?? type;
}

function describe(data: unknown): string {
  if (Array.isArray(data)) return "a list";
  if (isRecord(data)) return "a mapping";
  if (data === null || data === undefined) return "nothing";
  if (typeof data === "string")
    return `the string ${JSON.stringify(data.length > 40 ? `${data.slice(0, 40)}…` : data)}`;
  return `${typeof data === "number" ? "the number " : ""}${JSON.stringify(data)}`;
}
