import type { ByteString } from "../../../core/index.ts";
import { formatJsonFloat, quoteJson } from "../../print/index.ts";
import { failure } from "../define.ts";
import { JsonError, parseJson, type JsonBuilder } from "./jsonParser.ts";

/** Each value as it is printed. */
const PRINTED: JsonBuilder<string, readonly string[]> = {
  string: quoteJson,
  integer: String,
  float: formatJsonFloat,
  boolean: String,
  null: () => "null",
  list: (items) => `[${items.join(",")}]`,
  shape: (names) => names,
  object(names, values) {
    const order = names.map((_, i) => i).sort((a, b) => (names[a]! < names[b]! ? -1 : 1));
    return `{${order.map((i) => `${quoteJson(names[i]!)}:${values[i]!}`).join(",")}}`;
  },
};

/** The attributes that a derivation has as a JSON text, as Nix writes them. @throws EvalError */
export function normalStructuredAttributes(text: ByteString): ByteString {
  const fail = (reason: string): Error => failure(`cannot process __json attribute: ${reason}`);
  let printed: string;
  try {
    printed = parseJson(text, PRINTED);
  } catch (error) {
    throw error instanceof JsonError ? fail(error.message) : error;
  }
  if (printed.startsWith("{")) return printed;
  throw fail(`[json.exception.type_error.302] type must be object, but is ${typeOfJson(printed)}`);
}

function typeOfJson(printed: string): string {
  if (printed.startsWith("[")) return "array";
  if (printed.startsWith('"')) return "string";
  if (printed === "null") return "null";
  return printed === "true" || printed === "false" ? "boolean" : "number";
}
