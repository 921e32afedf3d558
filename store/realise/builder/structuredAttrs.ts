import { bytesOfText, quoteForShell, type ByteString } from "../../../core/index.ts";
import { isArray, isObject, type Json } from "../derivationOptions.ts";

const SHELL_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Prints JSON as Nix does: no spaces, keys in byte order, text as it is. */
export function printJson(value: Json): string {
  if (isArray(value)) return `[${value.map(printJson).join(",")}]`;
  if (isObject(value))
    return `{${sortedEntries(value)
      .map(([key, item]) => `${JSON.stringify(key)}:${printJson(item)}`)
      .join(",")}}`;
  if (typeof value === "bigint") return String(value);
  if (typeof value === "number" && Number.isInteger(value)) return `${value}.0`;
  return JSON.stringify(value);
}

/** The `.attrs.sh` of structured attributes: what Bash can hold, as declarations. */
export function shellOfStructuredAttrs(json: { readonly [key: string]: Json }): ByteString {
  let script = "";
  for (const [name, value] of sortedEntries(json)) {
    if (!SHELL_NAME.test(name)) continue;
    const simple = simpleValue(value);
    if (simple !== undefined) script += `declare ${name}=${simple}\n`;
    else if (isArray(value)) {
      const items = value.map(simpleValue);
      if (items.every((item) => item !== undefined))
        script += `declare -a ${name}=(${items.map((item) => `${item} `).join("")})\n`;
    } else if (isObject(value)) {
      const items = sortedEntries(value).map(([key, item]) => [key, simpleValue(item)] as const);
      if (items.every(([, item]) => item !== undefined))
        script += `declare -A ${name}=(${items.map(([key, item]) => `[${quoteForShell(key)}]=${item} `).join("")})\n`;
    }
  }
  return bytesOfText(script);
}

function simpleValue(value: Json): string | undefined {
  if (typeof value === "string") return quoteForShell(value);
  if (typeof value === "bigint") return String(value);
  if (typeof value === "number") return Number.isInteger(value) ? String(BigInt(value)) : undefined;
  if (value === null) return "''";
  if (typeof value === "boolean") return value ? "1" : "";
  return undefined;
}

function sortedEntries(value: { readonly [key: string]: Json }): [string, Json][] {
  // Code points, not UTF-16 units: the order of the UTF-8 bytes.
  return Object.entries(value).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}
