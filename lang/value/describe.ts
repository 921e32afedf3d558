import { bytesOfText } from "../../core/index.ts";
import { isUnderEvaluation } from "./blackhole.ts";
import { formatFloat, quoteAttrName, quoteString } from "./literal.ts";
import { showPos } from "./position.ts";
import {
  AttrSet,
  ContextString,
  EMPTY_SET,
  Float,
  type Lambda,
  PathValue,
  PrimOp,
  PrimOpApp,
  Thunk,
  isInteger,
  isList,
  isStringValue,
  type Slot,
  type Value,
} from "./value.ts";

const OPEN = bytesOfText("«");
const CLOSE = bytesOfText("»");

function quoted(text: string): string {
  return OPEN + text + CLOSE;
}

const THUNK = quoted("thunk");
const REPEATED = quoted("repeated");
const CIRCLE = quoted("potential infinite recursion");

/** What `builtins.typeOf` says. */
export type TypeName = "int" | "float" | "bool" | "null" | "string" | "path" | "list" | "set" | "lambda";

export function typeName(value: Value): TypeName {
  switch (typeof value) {
    case "string":
      return "string";
    case "number":
    case "bigint":
      return "int";
    case "boolean":
      return "bool";
    default:
      if (value === null) return "null";
      if (value instanceof AttrSet) return "set";
      if (isList(value)) return "list";
      if (value instanceof ContextString) return "string";
      if (value instanceof PathValue) return "path";
      if (value instanceof Float) return "float";
      return "lambda";
  }
}

const ARTICLES: Record<TypeName, string> = {
  int: "an integer",
  float: "a float",
  bool: "a Boolean",
  null: "null",
  string: "a string",
  path: "a path",
  list: "a list",
  set: "a set",
  lambda: "a function",
};

/** The type with its article, for error messages: "an integer". */
export function showType(value: Value): string {
  if (value instanceof ContextString) return "a string with context";
  if (value instanceof PrimOp) return `the built-in function '${value.name}'`;
  if (value instanceof PrimOpApp) return `the partially applied built-in function '${value.primOp.name}'`;
  return ARTICLES[typeName(value)];
}

const MAX_DEPTH = 10;
const MAX_ATTRIBUTES = 10;
const MAX_ITEMS = 10;
const MAX_STRING_LENGTH = 1024;

/** A value for an error message: nothing is forced, and big things are cut short. */
export function describeValue(value: Slot): string {
  return new ErrorPrinter().print(value, 0);
}

class ErrorPrinter {
  readonly #seen = new Set<unknown>();
  #attributes = 0;
  #items = 0;

  print(slot: Slot, depth: number): string {
    const value = slot instanceof Thunk ? valueOfThunk(slot) : slot;
    if (value === undefined) return isUnderEvaluation(slot) ? CIRCLE : THUNK;
    if (isStringValue(value))
      return quoteString(typeof value === "string" ? value : value.text, MAX_STRING_LENGTH);
    if (isInteger(value)) return String(value);
    if (typeof value === "boolean") return value ? "true" : "false";
    if (value === null) return "null";
    if (value instanceof Float) return formatFloat(value.value);
    if (value instanceof PathValue) return value.path;
    // Lists are told apart by what holds them, as in Nix: a copy of a list is another list.
    if (isList(value)) return this.#list(value, slot instanceof Thunk ? slot : value, depth);
    if (value instanceof AttrSet) return this.#attrs(value, depth);
    return describeFunction(value);
  }

  #list(list: readonly Slot[], identity: unknown, depth: number): string {
    if (list.length > 0 && this.#seen.has(identity)) return REPEATED;
    this.#seen.add(identity);
    if (depth >= MAX_DEPTH) return "[ ... ]";
    let text = "[";
    let printed = 0;
    for (const item of list) {
      text += " ";
      if (this.#items >= MAX_ITEMS) {
        text += elided(list.length - printed, "item");
        break;
      }
      text += this.print(item, depth + 1);
      this.#items++;
      printed++;
    }
    return `${text} ]`;
  }

  #attrs(set: AttrSet, depth: number): string {
    // In Nix all empty sets are one, but for those of which nothing is left.
    const identity = set.size === 0 && !set.isEmptied ? EMPTY_SET : set;
    if (this.#seen.has(identity)) return REPEATED;
    this.#seen.add(identity);
    if (depth >= MAX_DEPTH) return "{ ... }";
    const isImportant = (name: string): boolean => name === "type" || name === "_type";
    const sorted = set.sortedNames();
    const names = [...sorted.filter(isImportant), ...sorted.filter((name) => !isImportant(name))];
    let text = "{";
    let printed = 0;
    for (const name of names) {
      text += " ";
      if (this.#attributes >= MAX_ATTRIBUTES) {
        text += elided(names.length - printed, "attribute");
        break;
      }
      text += `${quoteAttrName(name)} = ${this.print(set.get(name)!, depth + 1)};`;
      this.#attributes++;
      printed++;
    }
    return `${text} }`;
  }
}

function valueOfThunk(thunk: Thunk): Value | undefined {
  return thunk.code === null ? (thunk.data as Value) : undefined;
}

function elided(count: number, noun: string): string {
  return bytesOfText(`«${count} ${noun}${count === 1 ? "" : "s"} elided»`);
}

/** `«lambda f @ /file.nix:1:2»`, `«primop map»`, `«partially applied primop map»`. */
export function describeFunction(value: Lambda | PrimOp | PrimOpApp): string {
  if (value instanceof PrimOp) return quoted(`primop ${value.name}`);
  if (value instanceof PrimOpApp) return quoted(`partially applied primop ${value.primOp.name}`);
  const { name, pos } = value.code;
  return quoted(`lambda${name === undefined ? "" : ` ${quoteAttrName(name)}`} @ ${showPos(pos)}`);
}
