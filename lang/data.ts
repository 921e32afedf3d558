import { bytesOfText, textOfBytes } from "../core/index.ts";
import {
  AttrSet,
  EMPTY_SET,
  Float,
  PathValue,
  evalError,
  force,
  integerOf,
  isList,
  isStringValue,
  showType,
  textOf,
  type Slot,
  type Value,
} from "./value/index.ts";

/** What JSON, YAML and TOML hold. */
export type Data =
  | string
  | number
  | bigint
  | boolean
  | null
  | readonly Data[]
  | { readonly [name: string]: Data };

/** Plain data as a value of the language; text becomes byte strings. */
export function valueOfData(data: Data): Value {
  switch (typeof data) {
    case "string":
      return bytesOfText(data);
    case "number":
      return Number.isSafeInteger(data) ? data + 0 : new Float(data);
    case "bigint":
      return integerOf(data);
    case "boolean":
      return data;
    default:
      if (data === null) return null;
      if (isDataList(data)) return data.map(valueOfData);
      const entries = Object.entries(data);
      if (entries.length === 0) return EMPTY_SET;
      return AttrSet.of(
        entries.map(([name]) => bytesOfText(name)),
        entries.map(([, value]) => valueOfData(value)),
      );
  }
}

function isDataList(data: object): data is readonly Data[] {
  return Array.isArray(data);
}

/**
 * A value as plain data, forced completely; contexts are dropped and paths are their text.
 * @throws EvalError for functions
 */
export function dataOfValue(slot: Slot): Data {
  const value = force(slot);
  if (isStringValue(value)) return textOfBytes(textOf(value));
  if (value === null || typeof value === "number" || typeof value === "bigint" || typeof value === "boolean")
    return value;
  if (value instanceof Float) return value.value;
  if (value instanceof PathValue) return textOfBytes(value.path);
  if (isList(value)) return value.map(dataOfValue);
  if (value instanceof AttrSet) {
    const entries: [string, Data][] = [];
    value.forEachSorted((name, item) => entries.push([textOfBytes(name), dataOfValue(item)]));
    return Object.fromEntries(entries);
  }
  throw evalError("type", `cannot convert ${showType(value)} to data`);
}
