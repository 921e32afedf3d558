import { isUtf8 } from "node:buffer";
import type { ByteString } from "../../core/index.ts";
import type { ContextElement } from "../host.ts";
import {
  AttrSet,
  ContextString,
  Float,
  Lambda,
  NO_POS,
  PathValue,
  addFrame,
  call1,
  calls,
  describeValue,
  enterLevel,
  evalError,
  force,
  isList,
  isStringValue,
  pathUse,
  peek,
  quoteAttrName,
  showType,
  type Layout,
  type Pos,
  type Runtime,
  type Slot,
  type Value,
} from "../value/index.ts";
import { ByteWriter } from "./byteWriter.ts";
import { formatJsonFloat } from "./floats.ts";

/**
 * A value as compact JSON, in bytes, with everything in it evaluated.
 * @param context gets the contexts of all strings; paths are copied to the store and added to it
 * @param copyToStore whether paths become store paths (else their own text)
 */
export function printJson(
  runtime: Runtime,
  slot: Slot,
  context: Set<ContextElement>,
  pos: Pos = NO_POS,
  copyToStore = true,
): ByteString {
  return new JsonPrinter(runtime, context).run(slot, pos, copyToStore);
}

const MAX_KEPT_NAMES = 64;

class JsonPrinter {
  readonly #runtime: Runtime;
  readonly #context: Set<ContextElement>;
  readonly #to = new ByteWriter();
  readonly #keys = new Map<Layout, readonly string[]>();
  readonly #met = new Set<Layout>();

  constructor(runtime: Runtime, context: Set<ContextElement>) {
    this.#runtime = runtime;
    this.#context = context;
  }

  run(slot: Slot, pos: Pos, copyToStore: boolean): ByteString {
    this.#print(slot, pos, copyToStore);
    return this.#to.finish();
  }

  #string(text: ByteString): void {
    if (!this.#to.plainJson(text)) this.#to.text(quoteJson(text));
  }

  #print(slot: Slot, pos: Pos, copyToStore: boolean): void {
    enterLevel(pos);
    const value = force(slot, pos);
    if (value instanceof AttrSet) this.#peel(value, pos, copyToStore, false);
    else if (isList(value)) this.#list(value, pos, copyToStore);
    else this.#scalar(value, pos, copyToStore);
    calls.depth--;
  }

  #scalar(value: Value, pos: Pos, copyToStore: boolean): void {
    switch (typeof value) {
      case "string":
        return this.#string(value);
      case "number":
      case "bigint":
        return this.#to.text(String(value));
      case "boolean":
        return this.#to.text(value ? "true" : "false");
      default:
        break;
    }
    if (value === null) return this.#to.text("null");
    if (value instanceof ContextString) {
      for (const element of value.context) this.#context.add(element);
      return this.#string(value.text);
    }
    if (value instanceof Float) return this.#to.text(formatJsonFloat(value.value));
    if (value instanceof PathValue) {
      pathUse.tell?.(value.path);
      return this.#string(copyToStore ? this.#runtime.copyToStore(value.path, this.#context) : value.path);
    }
    const at = value instanceof Lambda ? value.code.pos : pos;
    throw evalError("type", `cannot convert ${showType(value)} to JSON`, at);
  }

  #list(items: readonly Slot[], pos: Pos, copyToStore: boolean): void {
    this.#to.text("[");
    for (let i = 0; i < items.length; i++) {
      if (i > 0) this.#to.text(",");
      try {
        this.#print(items[i]!, pos, copyToStore);
      } catch (error) {
        throw addFrame(error, `while evaluating list element at index ${i}`, pos);
      }
    }
    this.#to.text("]");
  }

  /** A set is what its `__toString` or `outPath` gives, if it has one; else an object. */
  #peel(set: AttrSet, pos: Pos, copyToStore: boolean, cameThroughToString: boolean): void {
    const toString = set.get("__toString");
    if (toString !== undefined) {
      const at = set.posOf("__toString");
      let result: Value;
      try {
        result = call1(force(toString, at), set, at);
      } catch (error) {
        throw addFrame(error, "while calling the `__toString` attribute", at);
      }
      try {
        return this.#peeled(result, at, copyToStore, true);
      } catch (error) {
        throw addFrame(error, "while using the result of the `__toString` attribute", at);
      }
    }
    const outPath = set.get("outPath");
    if (outPath !== undefined) {
      const at = set.posOf("outPath");
      try {
        return this.#peeled(force(outPath, at), at, copyToStore, cameThroughToString);
      } catch (error) {
        const verb = peek(outPath) === undefined ? "evaluating" : "using";
        throw addFrame(error, `while ${verb} the \`outPath\` attribute`, at);
      }
    }
    if (cameThroughToString)
      throw evalError(
        "type",
        `\`__toString\` must return a string, but got ${showType(set)}: ${describeValue(set)}`,
        pos,
      );
    this.#object(set, copyToStore);
  }

  #peeled(value: Value, pos: Pos, copyToStore: boolean, cameThroughToString: boolean): void {
    enterLevel(pos);
    if (value instanceof AttrSet) this.#peel(value, pos, copyToStore, cameThroughToString);
    else this.#peeledScalar(value, pos, copyToStore, cameThroughToString);
    calls.depth--;
  }

  #peeledScalar(value: Value, pos: Pos, copyToStore: boolean, cameThroughToString: boolean): void {
    if (cameThroughToString && !isStringValue(value) && !(value instanceof PathValue))
      throw evalError(
        "type",
        `\`__toString\` should return a string, but got ${showType(value)}: ${describeValue(value)}`,
        pos,
      );
    this.#print(value, pos, copyToStore && !cameThroughToString);
  }

  #object(set: AttrSet, copyToStore: boolean): void {
    const flat = set.flatten();
    const { names, positions } = flat.shape;
    const order = flat.shape.order();
    this.#to.text("{");
    const keys = this.#keysOf(flat.shape.layout);
    for (let k = 0; k < order.length; k++) {
      const i = order[k]!;
      const at = positions?.[i] ?? NO_POS;
      this.#to.text(keys === undefined ? quoteKey(names[i]!, k) : keys[k]!);
      try {
        this.#print(flat.values[i]!, at, copyToStore);
      } catch (error) {
        throw addFrame(error, `while evaluating attribute '${quoteAttrName(names[i]!)}'`, at);
      }
    }
    this.#to.text("}");
  }

  /** The quoted names of a layout met before, in order: records of a kind share them. */
  #keysOf(layout: Layout): readonly string[] | undefined {
    const known = this.#keys.get(layout);
    if (known !== undefined) return known;
    // A name that cannot be quoted fails only when its turn comes.
    if (!this.#met.has(layout)) {
      if (layout.names.length <= MAX_KEPT_NAMES) this.#met.add(layout);
      return undefined;
    }
    const keys = layout.order().map((i, k) => quoteKey(layout.names[i]!, k));
    this.#keys.set(layout, keys);
    return keys;
  }
}

function quoteKey(name: string, index: number): string {
  return index > 0 ? `,${quoteJson(name)}:` : `${quoteJson(name)}:`;
}

// eslint-disable-next-line no-control-regex
const NEEDS_CARE = /["\\\x00-\x1f\x80-\xff]/;
// eslint-disable-next-line no-control-regex
const ESCAPED = /["\\\x00-\x1f]/g;

/** A byte string as a JSON string. @throws EvalError when it is no UTF-8 */
export function quoteJson(text: ByteString): ByteString {
  if (!NEEDS_CARE.test(text)) return `"${text}"`;
  // eslint-disable-next-line no-control-regex
  if (/[\x80-\xff]/.test(text)) requireUtf8(text);
  return `"${text.replace(ESCAPED, (char) => SHORT[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`)}"`;
}

const SHORT: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\b": "\\b",
  "\t": "\\t",
  "\n": "\\n",
  "\f": "\\f",
  "\r": "\\r",
};

function requireUtf8(text: ByteString): void {
  const bytes = Buffer.from(text, "latin1");
  if (isUtf8(bytes)) return;
  for (let at = 0; at < bytes.length;) {
    const length = sequenceLength(bytes[at]!);
    const sequence = bytes.subarray(at, at + length);
    if (length > 0 && isUtf8(sequence)) {
      at += length;
      continue;
    }
    // The first byte that no continuation of what is read so far allows.
    let wrong = at;
    for (let end = 1; length > 0 && end < length; end++) {
      wrong = at + end;
      if (wrong >= bytes.length || !canContinue(bytes, at, wrong)) break;
    }
    const isCut = wrong >= bytes.length;
    const shown = (isCut ? bytes.at(-1)! : bytes[wrong]!).toString(16).toUpperCase().padStart(2, "0");
    throw evalError(
      "eval",
      isCut
        ? `JSON serialization error: [json.exception.type_error.316] incomplete UTF-8 string; last byte: 0x${shown}`
        : `JSON serialization error: [json.exception.type_error.316] invalid UTF-8 byte at index ${wrong}: 0x${shown}`,
    );
  }
}

function sequenceLength(first: number): number {
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

function canContinue(bytes: Uint8Array, first: number, at: number): boolean {
  const byte = bytes[at]!;
  if (byte < 0x80 || byte > 0xbf) return false;
  if (at !== first + 1) return true;
  switch (bytes[first]) {
    case 0xe0:
      return byte >= 0xa0;
    case 0xed:
      return byte <= 0x9f;
    case 0xf0:
      return byte >= 0x90;
    case 0xf4:
      return byte <= 0x8f;
    default:
      return true;
  }
}
