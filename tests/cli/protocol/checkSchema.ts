import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../../../core/index.ts";

/** The part of JSON Schema that protocol.schema.json uses. */
export interface Schema {
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, Schema>>;
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly oneOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
}

const KNOWN = new Set([
  ..."$ref $defs type const enum properties required items oneOf anyOf allOf pattern minimum maximum".split(
    " ",
  ),
  ..."$schema title description".split(" "),
]);

export const protocolSchema = JSON.parse(
  readFileSync(join(packageRoot, "cli/protocol/protocol.schema.json"), "utf8"),
) as Schema;

export function definition(name: string): Schema {
  const found = protocolSchema.$defs?.[name];
  if (found === undefined) throw new Error(`the schema defines no ${name}`);
  return found;
}

/** What is wrong with data; unlike a reader of the protocol it refuses properties that it does not know. */
export function check(data: unknown, schema: Schema, path = "$", isStrict = true): string[] {
  for (const word of Object.keys(schema)) if (!KNOWN.has(word)) throw new Error(`cannot check "${word}"`);
  const problems: string[] = [];
  if (schema.$ref !== undefined) return check(data, referred(schema.$ref), path, isStrict);
  if ("const" in schema && data !== schema.const)
    problems.push(`${path}: not ${JSON.stringify(schema.const)}`);
  if (schema.enum !== undefined && !schema.enum.includes(data))
    problems.push(`${path}: not in the enumeration`);
  const choices = schema.oneOf ?? schema.anyOf;
  if (choices !== undefined) {
    const tried = choices.map((choice) => check(data, choice, path, isStrict));
    const fitting = tried.filter((found) => found.length === 0).length;
    if (fitting === 0)
      problems.push(`${path}: fits none of ${choices.length}: ${tried.map((t) => t[0]).join("; ")}`);
    else if (fitting > 1 && schema.oneOf !== undefined) problems.push(`${path}: fits ${fitting}`);
  }
  for (const part of schema.allOf ?? []) problems.push(...check(data, part, path, false));
  if (schema.type !== undefined && !hasType(data, schema.type))
    return [...problems, `${path}: no ${schema.type}`];
  if (typeof data === "string" && schema.pattern !== undefined && !new RegExp(schema.pattern, "u").test(data))
    problems.push(`${path}: does not match ${schema.pattern}`);
  if (
    typeof data === "number" &&
    (data < (schema.minimum ?? -Infinity) || data > (schema.maximum ?? Infinity))
  )
    problems.push(`${path}: ${data} is out of range`);
  if (Array.isArray(data) && schema.items !== undefined) {
    const { items } = schema;
    data.forEach((item, n) => problems.push(...check(item, items, `${path}[${n}]`)));
  }
  if (schema.properties !== undefined && typeof data === "object" && data !== null) {
    const object = data as Readonly<Record<string, unknown>>;
    for (const name of schema.required ?? [])
      if (!Object.hasOwn(object, name)) problems.push(`${path}: lacks ${name}`);
    const allowed = propertiesOf(schema);
    for (const [name, value] of Object.entries(object)) {
      const own = schema.properties[name];
      if (own !== undefined) problems.push(...check(value, own, `${path}.${name}`));
      else if (isStrict && !allowed.has(name)) problems.push(`${path}: unknown ${name}`);
    }
  }
  return problems;
}

function propertiesOf(schema: Schema): Set<string> {
  const resolved = schema.$ref === undefined ? schema : referred(schema.$ref);
  const parts = (resolved.allOf ?? []).flatMap((part) => [...propertiesOf(part)]);
  return new Set([...Object.keys(resolved.properties ?? {}), ...parts]);
}

function referred(ref: string): Schema {
  return definition(ref.replace("#/$defs/", ""));
}

function hasType(data: unknown, type: string): boolean {
  switch (type) {
    case "object":
      return typeof data === "object" && data !== null && !Array.isArray(data);
    case "array":
      return Array.isArray(data);
    case "integer":
      return Number.isInteger(data);
    default:
      return typeof data === type;
  }
}
