import type { SpecPath } from "./specTree.ts";

/** The part of JSON Schema that devshell.schema.json uses. */
export interface Schema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly propertyNames?: { readonly pattern: string };
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly pattern?: string;
  readonly minLength?: number;
}

/** The schema of what stands at a path; undefined where nothing is said of it. */
export function schemaAt(schema: Schema, path: SpecPath): Schema | undefined {
  let at: Schema | undefined = schema;
  for (const key of path) {
    if (at === undefined) return undefined;
    if (typeof key === "number") at = at.items;
    else if (at.properties !== undefined && Object.hasOwn(at.properties, key)) at = at.properties[key];
    else at = typeof at.additionalProperties === "object" ? at.additionalProperties : undefined;
  }
  return at;
}

export function typesOf(schema: Schema | undefined): readonly string[] {
  return schema?.type === undefined ? [] : [schema.type].flat();
}

/** Values that a schema names: its enumeration, true and false, its examples and default. */
export function namedValues(schema: Schema): readonly (string | number | boolean)[] {
  const values = [
    ...(schema.enum ?? []),
    ...(typesOf(schema).join() === "boolean" ? [true, false] : []),
    ...(schema.default === undefined ? [] : [schema.default]),
    ...(schema.examples ?? []),
  ];
  return [...new Set(values)].filter(
    (value) => typeof value === "string" || typeof value === "number" || typeof value === "boolean",
  );
}
