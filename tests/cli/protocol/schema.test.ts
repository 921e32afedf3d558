import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { packageRoot } from "../../../core/index.ts";
import { check, definition, protocolSchema, type Schema } from "./checkSchema.ts";

const TYPES = readFileSync(join(packageRoot, "cli/protocol/types.ts"), "utf8").replace(
  /\/\*\*[^]*?\*\//g,
  "",
);

/** Name → text of every interface and of every other type. */
const interfaces = new Map(
  [...TYPES.matchAll(/interface (\w+)(?: extends (\w+))? \{([^]*?)\n\}/g)].map(
    ([, name = "", base, body = ""]) => [name, { base, body }] as const,
  ),
);
const aliases = new Map(
  [...TYPES.matchAll(/export type (\w+) =([^]*?);\n(?=\n|export|interface|$)/g)].map(
    ([, name = "", body = ""]) => [name, body] as const,
  ),
);

function bodyOf(name: string): string {
  const found = interfaces.get(name);
  return found === undefined
    ? (aliases.get(name) ?? "")
    : found.body + (found.base === undefined ? "" : bodyOf(found.base));
}

/** `name` and `name?` of an interface's own properties, not of types within. */
function propertiesOf(body: string): string[] {
  let depth = 0;
  const own = Array.from(body).filter((char) => {
    if (char === "}") depth--;
    const isOwn = depth === 0;
    if (char === "{") depth++;
    return isOwn;
  });
  return [...own.join("").matchAll(/readonly (\w+\??):/g)].map(([, name = ""]) => name).sort();
}

/** All names of properties and all literal texts of a definition, without what it refers to. */
function wordsOf(schema: Schema): { names: Set<string>; literals: Set<string> } {
  const names = new Set<string>();
  const literals = new Set<string>();
  const visit = (part: Schema): void => {
    for (const literal of [part.const, ...(part.enum ?? [])])
      if (typeof literal === "string") literals.add(literal);
    for (const [name, property] of Object.entries(part.properties ?? {})) {
      names.add(name);
      visit(property);
    }
    if (part.items !== undefined) visit(part.items);
    for (const choice of [...(part.oneOf ?? []), ...(part.allOf ?? [])]) visit(choice);
  };
  visit(schema);
  return { names, literals };
}

/** What the first group matched, each once. */
function sorted(matches: Iterable<RegExpExecArray>): string[] {
  return [...new Set(Array.from(matches, ([, found = ""]) => found))].sort();
}

describe("the published schema", () => {
  const exported = [...TYPES.matchAll(/export (?:interface|type) (\w+)/g)].map(([, name = ""]) => name);

  it("defines each type and no other", () => {
    expect(exported.length).toBeGreaterThan(20);
    expect(Object.keys(protocolSchema.$defs ?? {}).sort()).toEqual([...exported].sort());
  });

  it.each(exported)("has the properties and the words of %s", (name) => {
    const schema = definition(name);
    const body = bodyOf(name);
    const { names, literals } = wordsOf(schema);
    expect([...names].sort()).toEqual(sorted(body.matchAll(/readonly (\w+)\??:/g)));
    expect([...literals].sort()).toEqual(sorted(body.matchAll(/"(\w+)"/g)));
    if (!interfaces.has(name)) return;
    const required = schema.required ?? [];
    const described = Object.keys(schema.properties ?? {}).map((n) => (required.includes(n) ? n : `${n}?`));
    expect(described.sort()).toEqual(propertiesOf(body));
  });

  it("is checked strictly", () => {
    const none = { protocol: 1, state: "none", directory: "/p", selection: [], watch: [] };
    expect(check(none, definition("Report"))).toEqual([]);
    expect(check({ ...none, more: 1 }, definition("Report"))).not.toEqual([]);
    expect(check({ ...none, protocol: 2 }, definition("Report"))).not.toEqual([]);
    expect(check({ ...none, watch: [1] }, definition("Report"))).not.toEqual([]);
    const progress = { event: "progress", stage: "realise", fraction: 0.5 };
    expect(check(progress, definition("WatchEvent"))).toEqual([]);
    expect(check({ ...progress, fraction: 2 }, definition("WatchEvent"))).not.toEqual([]);
    expect(check({ ...progress, more: 2 }, definition("WatchEvent"))).not.toEqual([]);
  });
});
