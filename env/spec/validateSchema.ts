import { suggestNames } from "../suggest.ts";

/** The part of JSON Schema that devshell.schema.json uses. */
export interface Schema {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly propertyNames?: { readonly pattern: string };
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly pattern?: string;
  readonly minLength?: number;
}

export interface SchemaProblem {
  /** Keys and indices from the root. */
  readonly path: readonly (string | number)[];
  /** Whether the key is what is wrong, not its value. */
  readonly isKey: boolean;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly suggestions: readonly string[];
}

/** Checks data against a schema. @returns every problem, in the order of the data */
export function validateSchema(data: unknown, schema: Schema): SchemaProblem[] {
  const problems: SchemaProblem[] = [];
  visit(data, schema, [], problems);
  return problems;
}

function visit(
  data: unknown,
  schema: Schema,
  path: readonly (string | number)[],
  out: SchemaProblem[],
): void {
  const types = schema.type === undefined ? [] : [schema.type].flat();
  const found = typeName(data);
  if (types.length > 0 && !types.includes(found)) {
    out.push(valueProblem(path, `expected ${types.map(article).join(" or ")}, found ${describe(data)}`));
    return;
  }
  if (typeof data === "string") visitString(data, schema, path, out);
  else if (Array.isArray(data) && schema.items !== undefined) {
    const { items } = schema;
    data.forEach((item: unknown, n) => visit(item, items, [...path, n], out));
  } else if (isRecord(data)) visitObject(data, schema, path, out);
}

function visitString(
  data: string,
  schema: Schema,
  path: readonly (string | number)[],
  out: SchemaProblem[],
): void {
  if (schema.minLength !== undefined && data.length < schema.minLength)
    out.push(valueProblem(path, "must not be empty"));
  else if (schema.pattern !== undefined && !new RegExp(schema.pattern, "u").test(data))
    out.push(valueProblem(path, `found ${describe(data)}, which does not match ${schema.pattern}`));
}

function visitObject(
  data: Readonly<Record<string, unknown>>,
  schema: Schema,
  path: readonly (string | number)[],
  out: SchemaProblem[],
): void {
  const known = schema.properties ?? {};
  for (const [key, value] of Object.entries(data)) {
    const here = [...path, key];
    const own = Object.hasOwn(known, key) ? known[key] : undefined;
    if (own !== undefined) visit(value, own, here, out);
    else if (schema.additionalProperties === false)
      out.push({
        path: here,
        isKey: true,
        message: `unknown field "${key}"`,
        hint: `known fields: ${Object.keys(known)
          .filter((name) => !name.startsWith("$"))
          .join(", ")}`,
        suggestions: suggestNames(key, Object.keys(known)),
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

function valueProblem(path: readonly (string | number)[], message: string): SchemaProblem {
  return { path, isKey: false, message, suggestions: [] };
}

export function isRecord(data: unknown): data is Readonly<Record<string, unknown>> {
  return typeof data === "object" && data !== null && !Array.isArray(data);
}

function typeName(data: unknown): string {
  if (data === null) return "null";
  return Array.isArray(data) ? "array" : typeof data;
}

function article(type: string): string {
  const names: Record<string, string> = {
    array: "a list",
    object: "a mapping",
    string: "a string",
    number: "a number",
    boolean: "true or false",
  };
  return names[type] ?? type;
}

function describe(data: unknown): string {
  if (Array.isArray(data)) return "a list";
  if (isRecord(data)) return "a mapping";
  if (data === null || data === undefined) return "nothing";
  if (typeof data === "string")
    return `the string ${JSON.stringify(data.length > 40 ? `${data.slice(0, 40)}…` : data)}`;
  return `${typeof data === "number" ? "the number " : ""}${JSON.stringify(data)}`;
}
