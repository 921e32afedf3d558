import type { ByteString } from "../../../core/index.ts";
import {
  AttrSet,
  Float,
  escapeXml,
  force,
  formatFloat,
  isInteger,
  isList,
  isStringValue,
  textOf,
  type Value,
} from "../../../lang/index.ts";
import type { EnvPackage } from "./envPackage.ts";
import { sayInvalidMeta, type ListedPackage } from "./listedPackage.ts";
import type { QueryOptions } from "./queryOptions.ts";

type XmlAttributes = Readonly<Record<string, ByteString>>;

/** The document of `nix-env --query --xml`; whole at any time, should a package fail. */
export class XmlListing {
  #lines: ByteString[] = ["<?xml version='1.0' encoding='utf-8'?>", "<items>"];
  readonly #options: QueryOptions;

  constructor(options: QueryOptions) {
    this.#options = options;
  }

  text(): ByteString {
    return [...this.#lines, "</items>", ""].join("\n");
  }

  add(listed: ListedPackage): void {
    const each = listed.package;
    const attributes = this.#attributesOf(listed);
    this.#line(1, `<item${attributeText(attributes)}>`);
    try {
      for (const [name, path] of each.outputs(this.#options.hasOutPath))
        this.#empty(2, "output", path === undefined ? { name } : { name, path });
      if (this.#options.hasMeta) for (const name of each.metaNames()) this.#meta(each, name);
    } finally {
      this.#line(1, "</item>");
    }
  }

  #attributesOf({ package: each, states, comparison }: ListedPackage): XmlAttributes {
    const attributes: Record<string, ByteString> = { attrPath: each.attributePath };
    if (states !== undefined) {
      const { outPath } = each;
      attributes["installed"] = states.installed.has(outPath) ? "1" : "0";
      attributes["valid"] = states.valid.has(outPath) ? "1" : "0";
      attributes["substitutable"] = states.substitutable.has(outPath) ? "1" : "0";
    }
    attributes["name"] = each.name;
    attributes["pname"] = each.parsedName.name;
    attributes["version"] = each.parsedName.version;
    if (comparison !== undefined && comparison.sign !== "-") {
      attributes["versionDiff"] = comparison.sign;
      attributes["maxComparedVersion"] = comparison.version;
    }
    const { system, outputName } = each;
    if (system !== "") attributes["system"] = system;
    const drvPath = this.#options.hasDrvPath ? each.drvPath : undefined;
    if (drvPath !== undefined) attributes["drvPath"] = drvPath;
    attributes["outputName"] = outputName;
    const description = this.#options.hasDescription ? each.metaString("description") : "";
    if (description !== "") attributes["description"] = description;
    return attributes;
  }

  #meta(each: EnvPackage, name: ByteString): void {
    const value = each.metaValue(name);
    if (value === undefined) return sayInvalidMeta(each, name);
    const scalar = scalarOf(value);
    if (scalar !== undefined) return this.#empty(2, "meta", { name, ...scalar });
    this.#line(2, `<meta${attributeText({ name, type: "strings" })}>`);
    if (isList(value)) for (const item of value) this.#string(force(item), {});
    else if (value instanceof AttrSet)
      value.forEachSorted((type, slot) => this.#string(force(slot), { type }));
    this.#line(2, "</meta>");
  }

  #string(value: Value, attributes: XmlAttributes): void {
    if (isStringValue(value)) this.#empty(3, "string", { ...attributes, value: textOf(value) });
  }

  #empty(depth: number, name: string, attributes: XmlAttributes): void {
    this.#line(depth, `<${name}${attributeText(attributes)} />`);
  }

  #line(depth: number, text: ByteString): void {
    this.#lines.push("  ".repeat(depth) + text);
  }
}

function scalarOf(value: Value): { readonly type: string; readonly value: ByteString } | undefined {
  if (isStringValue(value)) return { type: "string", value: textOf(value) };
  if (isInteger(value)) return { type: "int", value: String(value) };
  if (value instanceof Float) return { type: "float", value: formatFloat(value.value) };
  return typeof value === "boolean" ? { type: "bool", value: String(value) } : undefined;
}

function attributeText(attributes: XmlAttributes): ByteString {
  return Object.entries(attributes)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => ` ${name}="${escapeXml(value)}"`)
    .join("");
}
