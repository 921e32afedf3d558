import type { ByteString } from "../../core/index.ts";
import type { ContextElement } from "../host.ts";
import {
  AttrSet,
  Float,
  Lambda,
  NO_POS,
  PathValue,
  evalError,
  force,
  isDerivation,
  isInteger,
  isList,
  isStringValue,
  peek,
  sourcePos,
  type ContextString,
  type Pos,
  type Slot,
  type Value,
} from "../value/index.ts";
import { formatFloat } from "./floats.ts";

export interface XmlOptions {
  /** Evaluate everything; else what is not evaluated is `<unevaluated />`. */
  readonly isStrict: boolean;
  /** Say where attributes and functions were written. */
  readonly hasLocations: boolean;
  /** Sets and lists within each other. */
  readonly maxDepth?: number | undefined;
}

/** The indentation alone of a deeper document would be more than fits in memory. */
const MAX_DEPTH = 10_000;

/** A value as Nix's XML document. @param context gets the contexts of all strings */
export function printXml(slot: Slot, context: Set<ContextElement>, options: XmlOptions): ByteString {
  const printer = new XmlPrinter(context, options);
  printer.open("expr", []);
  printer.print(slot, NO_POS);
  printer.close("expr");
  return printer.text;
}

type XmlAttributes = readonly (readonly [name: string, value: string])[];

class XmlPrinter {
  text = "<?xml version='1.0' encoding='utf-8'?>\n";
  #depth = 0;
  readonly #context: Set<ContextElement>;
  readonly #options: XmlOptions;
  readonly #seenDerivations = new Set<string>();

  constructor(context: Set<ContextElement>, options: XmlOptions) {
    this.#context = context;
    this.#options = options;
  }

  open(name: string, attributes: XmlAttributes): void {
    if (this.#depth > (this.#options.maxDepth ?? MAX_DEPTH))
      throw evalError("stackOverflow", "stack overflow; max-call-depth exceeded");
    this.text += `${"  ".repeat(this.#depth++)}<${name}${formatAttributes(attributes)}>\n`;
  }

  close(name: string): void {
    this.text += `${"  ".repeat(--this.#depth)}</${name}>\n`;
  }

  print(slot: Slot, pos: Pos): void {
    const value = this.#options.isStrict ? force(slot, pos) : peek(slot);
    if (value === undefined) this.#empty("unevaluated", []);
    else if (isInteger(value)) this.#empty("int", [["value", String(value)]]);
    else if (typeof value === "boolean") this.#empty("bool", [["value", String(value)]]);
    else if (isStringValue(value)) this.#empty("string", [["value", this.#textOf(value)]]);
    else if (value instanceof PathValue) this.#empty("path", [["value", value.path]]);
    else if (value === null) this.#empty("null", []);
    else if (value instanceof Float) this.#empty("float", [["value", formatFloat(value.value)]]);
    else if (value instanceof AttrSet) this.#set(value);
    else if (isList(value)) {
      this.open("list", []);
      for (const item of value) this.print(item, pos);
      this.close("list");
    } else if (value instanceof Lambda) this.#lambda(value);
    else this.#empty("unevaluated", []);
  }

  #empty(name: string, attributes: XmlAttributes): void {
    this.text += `${"  ".repeat(this.#depth)}<${name}${formatAttributes(attributes)} />\n`;
  }

  #textOf(value: string | ContextString): string {
    if (typeof value === "string") return value;
    for (const element of value.context) this.#context.add(element);
    return value.text;
  }

  #set(set: AttrSet): void {
    if (!isDerivation(set)) {
      this.open("attrs", []);
      this.#attributes(set);
      this.close("attrs");
      return;
    }
    const drvPath = this.#plainAttribute(set, "drvPath");
    const outPath = this.#plainAttribute(set, "outPath");
    const attributes: [string, string][] = [];
    if (drvPath !== undefined) attributes.push(["drvPath", drvPath]);
    if (outPath !== undefined) attributes.push(["outPath", outPath]);
    this.open("derivation", attributes);
    if (drvPath !== undefined && drvPath !== "" && !this.#seenDerivations.has(drvPath)) {
      this.#seenDerivations.add(drvPath);
      this.#attributes(set);
    } else this.#empty("repeated", []);
    this.close("derivation");
  }

  #plainAttribute(set: AttrSet, name: string): string | undefined {
    const slot = set.get(name);
    if (slot === undefined) return undefined;
    const value: Value | undefined = this.#options.isStrict ? force(slot, set.posOf(name)) : peek(slot);
    if (value === undefined || !isStringValue(value)) return undefined;
    return typeof value === "string" ? value : value.text;
  }

  #attributes(set: AttrSet): void {
    set.forEachSorted((name, slot, pos) => {
      this.open("attr", [...this.#place(pos), ["name", name] as const].sort(byName));
      this.print(slot, pos);
      this.close("attr");
    });
  }

  #lambda({ code }: Lambda): void {
    this.open("function", this.#place(code.pos));
    if (code.formals === undefined) this.#empty("varpat", [["name", code.argument ?? ""]]);
    else {
      const attributes: [string, string][] = [];
      if (code.hasEllipsis) attributes.push(["ellipsis", "1"]);
      if (code.argument !== undefined) attributes.push(["name", code.argument]);
      this.open("attrspat", attributes);
      const names = code.formals.map((formal) => formal.name).sort();
      for (const name of names) this.#empty("attr", [["name", name]]);
      this.close("attrspat");
    }
    this.close("function");
  }

  #place(pos: Pos): XmlAttributes {
    const place = this.#options.hasLocations ? sourcePos(pos) : undefined;
    if (place === undefined) return [];
    const attributes: [string, string][] = [
      ["column", String(place.column)],
      ["line", String(place.line)],
    ];
    if (place.origin.kind === "file") attributes.push(["path", place.origin.path]);
    return attributes;
  }
}

function byName(a: readonly [string, string], b: readonly [string, string]): number {
  return a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0;
}

function formatAttributes(attributes: XmlAttributes): string {
  return attributes.map(([name, value]) => ` ${name}="${escapeXml(value)}"`).join("");
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': "&quot;",
  "<": "&lt;",
  ">": "&gt;",
  "&": "&amp;",
  "\n": "&#xA;",
};

/** An attribute's value as Nix writes it. */
export function escapeXml(value: string): string {
  return value.replace(/["<>&\n]/g, (char) => ESCAPES[char]!);
}
