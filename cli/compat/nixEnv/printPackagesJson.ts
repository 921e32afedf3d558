import type { ByteString } from "../../../core/index.ts";
import { printJson, quoteJson, type Runtime } from "../../../lang/index.ts";
import { indentJson } from "../nix/prettyJson.ts";
import type { EnvPackage } from "./envPackage.ts";
import { ofEach, sayInvalidMeta } from "./listedPackage.ts";
import type { QueryOptions } from "./queryOptions.ts";

/** Packages by attribute path, indented, as `nix-env --query --json` prints them. */
export function printPackagesJson(
  runtime: Runtime,
  packages: readonly EnvPackage[],
  options: QueryOptions,
): ByteString {
  const entries = new Map<ByteString, Map<string, ByteString> | null>();
  for (const each of packages)
    ofEach(each, () => {
      // What fails half way is printed with what is known by then.
      entries.set(each.attributePath, null);
      const fields = plainFields(each);
      entries.set(each.attributePath, fields);
      fields.set("outputs", printOutputs(each, options.hasOutPath));
      if (options.hasDrvPath) {
        const { drvPath } = each;
        if (drvPath !== undefined) fields.set("drvPath", quoteJson(drvPath));
      }
      if (options.hasMeta) addMeta(runtime, each, fields);
    });
  const members = [...entries].map(
    ([path, fields]) => [path, fields === null ? "null" : printObject(fields)] as const,
  );
  return indentJson(printObject(new Map(members)));
}

function plainFields(each: EnvPackage): Map<string, ByteString> {
  const { name, version } = each.parsedName;
  return new Map([
    ["name", quoteJson(each.name)],
    ["pname", quoteJson(name)],
    ["version", quoteJson(version)],
    ["system", quoteJson(each.system)],
    ["outputName", quoteJson(each.outputName)],
  ]);
}

function printOutputs(each: EnvPackage, hasPaths: boolean): ByteString {
  return printObject(
    new Map(
      each.outputs(hasPaths).map(([name, path]) => [name, path === undefined ? "null" : quoteJson(path)]),
    ),
  );
}

function addMeta(runtime: Runtime, each: EnvPackage, fields: Map<string, ByteString>): void {
  const meta = new Map<ByteString, ByteString>();
  fields.set("meta", "{}");
  try {
    for (const name of each.metaNames()) {
      meta.set(name, "null");
      const value = each.metaValue(name);
      if (value === undefined) sayInvalidMeta(each, name);
      else meta.set(name, printJson(runtime, value, new Set()));
    }
  } finally {
    fields.set("meta", printObject(meta));
  }
}

function printObject(members: ReadonlyMap<ByteString, ByteString>): ByteString {
  const words = [...members]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, json]) => `${quoteJson(name)}:${json}`);
  return `{${words.join(",")}}`;
}
