import type { ByteString } from "../../core/index.ts";
import type { ContextElement } from "../host.ts";
import {
  AttrSet,
  ContextString,
  Float,
  Lambda,
  NO_POS,
  PathValue,
  calls,
  enterLevel,
  force,
  isDerivation,
  isInteger,
  isList,
  isStringValue,
  pathUse,
  peek,
  sourcePos,
  type Pos,
  type Slot,
  type Value,
} from "../value/index.ts";
import { ByteWriter } from "./byteWriter.ts";
import { formatFloat } from "./floats.ts";

export interface XmlOptions {
  /** Evaluate everything; else what is not evaluated is `<unevaluated />`. */
  readonly isStrict: boolean;
  /** Say where attributes and functions were written. */
  readonly hasLocations: boolean;
}

/** A value as Nix's XML document. @param context gets the contexts of all strings */
export function printXml(slot: Slot, context: Set<ContextElement>, options: XmlOptions): ByteString {
  return new XmlPrinter(context, options).run(slot);
}

/** So many small texts are one string before they become bytes. */
const PIECES = 128;

/** Deeper indentations are made each time. */
const KEPT_INDENTATIONS = 64;
const indentations: string[] = [];

function indentation(depth: number): string {
  if (depth >= KEPT_INDENTATIONS) return " ".repeat(2 * depth);
  return (indentations[depth] ??= " ".repeat(2 * depth));
}

/**
 * The options' documentation of NixOS is ten megabytes: what is printed goes as bytes into one buffer. Some texts at a
 * time: V8 reads characters of strings of many kinds (slices, halves, whole ones) slowly, all but natively.
 */
class XmlPrinter {
  readonly #to = new ByteWriter();
  #pending = "";
  #pieces = 0;
  #depth = 0;
  readonly #context: Set<ContextElement>;
  readonly #options: XmlOptions;
  readonly #seenDerivations = new Set<string>();

  constructor(context: Set<ContextElement>, options: XmlOptions) {
    this.#context = context;
    this.#options = options;
  }

  run(slot: Slot): ByteString {
    this.#text("<?xml version='1.0' encoding='utf-8'?>\n");
    this.#start("<expr");
    this.#open();
    this.#print(slot, NO_POS);
    this.#close("</expr>\n");
    this.#to.text(this.#pending);
    return this.#to.finish();
  }

  #text(text: ByteString): void {
    this.#pending += text;
    if (++this.#pieces < PIECES) return;
    this.#to.text(this.#pending);
    this.#pending = "";
    this.#pieces = 0;
  }

  /** An element's indentation and name; attributes may follow, then `#open`. */
  #start(tag: string): void {
    this.#text(indentation(this.#depth) + tag);
  }

  #attribute(name: string, value: ByteString): void {
    this.#text(`${name}${escapeXml(value)}"`);
  }

  #open(): void {
    this.#depth++;
    this.#text(">\n");
  }

  #close(tag: string): void {
    this.#depth--;
    this.#start(tag);
  }

  /** An element that says no more than a value. */
  #leaf(tag: string, value: ByteString): void {
    this.#text(`${indentation(this.#depth)}${tag}${escapeXml(value)}" />\n`);
  }

  #print(slot: Slot, pos: Pos): void {
    enterLevel(pos);
    const value = this.#options.isStrict ? force(slot, pos) : peek(slot);
    this.#value(value, pos);
    calls.depth--;
  }

  #value(value: Value | undefined, pos: Pos): void {
    if (typeof value === "string") this.#leaf('<string value="', value);
    else if (typeof value === "boolean") this.#leaf('<bool value="', String(value));
    else if (value instanceof AttrSet) this.#set(value);
    else if (value === null) this.#start("<null />\n");
    else if (value === undefined) this.#start("<unevaluated />\n");
    else if (isInteger(value)) this.#leaf('<int value="', String(value));
    else if (value instanceof ContextString) {
      for (const element of value.context) this.#context.add(element);
      this.#leaf('<string value="', value.text);
    } else if (value instanceof PathValue) {
      pathUse.tell?.(value.path);
      this.#leaf('<path value="', value.path);
    } else if (value instanceof Float) this.#leaf('<float value="', formatFloat(value.value));
    else if (isList(value)) {
      this.#start("<list");
      this.#open();
      for (const item of value) this.#print(item, pos);
      this.#close("</list>\n");
    } else if (value instanceof Lambda) this.#lambda(value);
    else this.#start("<unevaluated />\n");
  }

  #set(set: AttrSet): void {
    if (!isDerivation(set)) {
      this.#start("<attrs");
      this.#open();
      this.#attributes(set);
      this.#close("</attrs>\n");
      return;
    }
    const drvPath = this.#plainAttribute(set, "drvPath");
    const outPath = this.#plainAttribute(set, "outPath");
    this.#start("<derivation");
    if (drvPath !== undefined) this.#attribute(' drvPath="', drvPath);
    if (outPath !== undefined) this.#attribute(' outPath="', outPath);
    this.#open();
    if (drvPath !== undefined && drvPath !== "" && !this.#seenDerivations.has(drvPath)) {
      this.#seenDerivations.add(drvPath);
      this.#attributes(set);
    } else this.#start("<repeated />\n");
    this.#close("</derivation>\n");
  }

  #plainAttribute(set: AttrSet, name: string): ByteString | undefined {
    const slot = set.get(name);
    if (slot === undefined) return undefined;
    const value: Value | undefined = this.#options.isStrict ? force(slot, set.posOf(name)) : peek(slot);
    if (value === undefined || !isStringValue(value)) return undefined;
    return typeof value === "string" ? value : value.text;
  }

  #attributes(set: AttrSet): void {
    const { shape, values } = set.flatten();
    for (const i of shape.order()) {
      const pos = shape.positions?.[i] ?? NO_POS;
      this.#start("<attr");
      this.#place(pos, shape.names[i]);
      this.#open();
      this.#print(values[i]!, pos);
      this.#close("</attr>\n");
    }
  }

  #lambda({ code }: Lambda): void {
    this.#start("<function");
    this.#place(code.pos, undefined);
    this.#open();
    if (code.formals === undefined) this.#leaf('<varpat name="', code.argument ?? "");
    else {
      this.#start("<attrspat");
      if (code.hasEllipsis) this.#attribute(' ellipsis="', "1");
      if (code.argument !== undefined) this.#attribute(' name="', code.argument);
      this.#open();
      for (const name of code.formals.map((formal) => formal.name).sort()) this.#leaf('<attr name="', name);
      this.#close("</attrspat>\n");
    }
    this.#close("</function>\n");
  }

  /** Where something was written, if asked for, around its name: in the order of the attributes' names. */
  #place(pos: Pos, name: string | undefined): void {
    const place = this.#options.hasLocations ? sourcePos(pos) : undefined;
    if (place !== undefined) {
      this.#attribute(' column="', String(place.column));
      this.#attribute(' line="', String(place.line));
    }
    if (name !== undefined) this.#attribute(' name="', name);
    if (place?.origin.kind === "file") this.#attribute(' path="', place.origin.path);
  }
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': "&quot;",
  "<": "&lt;",
  ">": "&gt;",
  "&": "&amp;",
  "\n": "&#xA;",
};

const SPECIAL = /["<>&\n]/;

/** An attribute's value as Nix writes it. */
export function escapeXml(value: string): string {
  return SPECIAL.test(value) ? value.replace(/["<>&\n]/g, (char) => ESCAPES[char]!) : value;
}
