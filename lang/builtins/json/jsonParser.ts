import { isUtf8 } from "node:buffer";
import { claimWords } from "../../value/index.ts";
import { explainJsonError } from "./jsonError.ts";
import { NameTrie, type NameNode } from "./nameTrie.ts";

/** What the parser builds; the types of values and of their names together are the caller's. */
export interface JsonBuilder<T, S> {
  string(text: string): T;
  /** |value| ≤ 2^53 − 1 as number, beyond as bigint within 64 bits. */
  integer(value: number | bigint): T;
  float(value: number): T;
  boolean(value: boolean): T;
  null(): T;
  list(items: T[]): T;
  /** Names are distinct: of equal ones the last value is kept. Made once for many records of a kind. */
  shape(names: string[]): S;
  object(shape: S, values: T[]): T;
}

/** A text that is no JSON; the message is worded as nlohmann's library words it. */
export class JsonError extends Error {
  /** Whether it is a syntax error, rather than a number out of range. */
  readonly isSyntax: boolean;
  constructor(message: string, isSyntax: boolean) {
    super(message);
    this.isSyntax = isSyntax;
  }
}

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;
const UINT64_MAX = 2n ** 64n - 1n;

/**
 * Parses a byte string (UTF-8). Nesting is bounded by memory, not by the stack.
 * @throws {JsonError}
 * @throws {RangeError} where the heap has no room for it
 */
export function parseJson<T, S>(text: string, builder: JsonBuilder<T, S>): T {
  return new JsonParser(text, builder).parse();
}

/** Of text that make a claim on the heap: records take about a word for each of their bytes. */
const CLAIMED_BYTES = 1 << 14;

/** A container that is open: a list has no names; an object's are a node of the trie, or too many for it. */
interface Frame<T, S> {
  names: NameNode<S> | string[] | undefined;
  readonly values: T[];
}

class JsonParser<T, S> {
  readonly #text: string;
  readonly #builder: JsonBuilder<T, S>;
  readonly #trie = new NameTrie<S>();
  #at = 0;

  constructor(text: string, builder: JsonBuilder<T, S>) {
    this.#text = text;
    this.#builder = builder;
  }

  parse(): T {
    const text = this.#text;
    // eslint-disable-next-line no-control-regex
    if (/[\x80-\xff]/.test(text)) {
      if (!isUtf8(Buffer.from(text, "latin1"))) this.#fail();
      if (text.startsWith("\xef\xbb\xbf")) this.#at = 3;
    }
    const builder = this.#builder;
    const stack: Frame<T, S>[] = [];
    let frame: Frame<T, S> | undefined;
    let claimAt = CLAIMED_BYTES;
    for (;;) {
      if (this.#at >= claimAt) {
        claimWords(CLAIMED_BYTES);
        claimAt = this.#at + CLAIMED_BYTES;
      }
      let value: T;
      // One value, or the opening of a container.
      const code = this.#skipSpace();
      if (code === 123 /* { */ || code === 91 /* [ */) {
        const isObject = code === 123;
        this.#at++;
        if (frame !== undefined) stack.push(frame);
        frame = { names: isObject ? this.#trie.root : undefined, values: [] };
        if (this.#skipSpace() !== (isObject ? 125 : 93)) {
          if (isObject) this.#name(frame);
          continue;
        }
        this.#at++;
        value = this.#close(frame);
        frame = stack.pop();
      } else value = this.#scalar(code);
      // What follows a value; closes as many containers as end here.
      for (;;) {
        if (frame === undefined) {
          this.#skipSpace();
          if (this.#at < text.length) this.#fail();
          return value;
        }
        frame.values.push(value);
        const next = this.#skipSpace();
        this.#at++;
        if (next === 44 /* , */) {
          if (frame.names !== undefined) {
            this.#skipSpace();
            this.#name(frame);
          }
          break;
        }
        if (next !== (frame.names === undefined ? 93 : 125)) this.#fail();
        value = frame.names === undefined ? builder.list(frame.values) : this.#close(frame);
        frame = stack.pop();
      }
    }
  }

  #close({ names, values }: Frame<T, S>): T {
    const builder = this.#builder;
    if (names === undefined) return builder.list(values);
    if (!Array.isArray(names)) {
      if (!names.hasRepeated) return builder.object((names.shape ??= builder.shape(names.names())), values);
      return this.#object(names.names(), values);
    }
    return this.#object(names, values);
  }

  #object(names: string[], values: T[]): T {
    const builder = this.#builder;
    if (new Set(names).size === names.length) return builder.object(builder.shape(names), values);
    const last = new Map<string, T>();
    for (let i = 0; i < names.length; i++) last.set(names[i]!, values[i]!);
    return builder.object(builder.shape([...last.keys()]), [...last.values()]);
  }

  /** Reads `"name":` and adds the name to the object. */
  #name(frame: Frame<T, S>): void {
    const text = this.#text;
    if (text.charCodeAt(this.#at) !== 34) this.#fail();
    const { names } = frame;
    if (names !== undefined && !Array.isArray(names)) {
      const guess = names.guess;
      const end = guess === undefined ? 0 : this.#at + 1 + guess.name.length;
      if (guess !== undefined && text.charCodeAt(end) === 34 && text.startsWith(guess.name, this.#at + 1)) {
        frame.names = guess;
        this.#at = end + 1;
      } else {
        const name = this.#string();
        frame.names = this.#trie.next(names, name) ?? [...names.names(), name];
      }
    } else names?.push(this.#string());
    if (this.#skipSpace() !== 58) this.#fail();
    this.#at++;
  }

  #skipSpace(): number {
    const text = this.#text;
    for (;;) {
      const code = text.charCodeAt(this.#at);
      if (code !== 32 && code !== 10 && code !== 9 && code !== 13) return code;
      this.#at++;
    }
  }

  #scalar(code: number): T {
    switch (code) {
      case 34:
        return this.#builder.string(this.#string());
      case 116:
        this.#literal("true");
        return this.#builder.boolean(true);
      case 102:
        this.#literal("false");
        return this.#builder.boolean(false);
      case 110:
        this.#literal("null");
        return this.#builder.null();
      default:
        return this.#number(code);
    }
  }

  #literal(word: string): void {
    if (!this.#text.startsWith(word, this.#at)) this.#fail();
    this.#at += word.length;
  }

  #number(first: number): T {
    const text = this.#text;
    const start = this.#at;
    let at = start;
    let code = first;
    if (code === 45) code = text.charCodeAt(++at);
    const firstDigit = at;
    // Up to 15 digits are exact in a number.
    let value = 0;
    while (code >= 48 && code <= 57) {
      value = value * 10 + (code - 48);
      code = text.charCodeAt(++at);
    }
    const digits = at - firstDigit;
    if (digits === 0 || (digits > 1 && text.charCodeAt(firstDigit) === 48)) this.#fail();
    let isFloat = false;
    if (code === 46) {
      isFloat = true;
      const end = skipDigits(text, at + 1);
      if (end === at + 1) this.#fail();
      at = end;
      code = text.charCodeAt(at);
    }
    if (code === 101 || code === 69) {
      isFloat = true;
      code = text.charCodeAt(++at);
      if (code === 43 || code === 45) at++;
      const end = skipDigits(text, at);
      if (end === at) this.#fail();
      at = end;
    }
    this.#at = at;
    if (!isFloat && digits <= 15) return this.#builder.integer(first === 45 && value !== 0 ? -value : value);
    const token = text.slice(start, at);
    if (!isFloat) {
      const exact = BigInt(token);
      if (exact > INT64_MAX && exact <= UINT64_MAX)
        throw new JsonError(`unsigned json number ${exact} outside of Nix integer range`, false);
      if (exact >= INT64_MIN && exact <= INT64_MAX) {
        const near = Number(exact);
        return this.#builder.integer(Number.isSafeInteger(near) ? near : exact);
      }
    }
    const float = Number(token);
    if (!Number.isFinite(float))
      throw new JsonError(`[json.exception.out_of_range.406] number overflow parsing '${token}'`, true);
    return this.#builder.float(float);
  }

  /** At the opening quote. Most strings hold no escape and are cut out whole. */
  #string(): string {
    const text = this.#text;
    const start = this.#at + 1;
    let at = start;
    for (;;) {
      const code = text.charCodeAt(at);
      if (code === 34) break;
      if (code === 92) return this.#escapedString(start, at);
      if (!(code >= 32)) this.#fail();
      at++;
    }
    this.#at = at + 1;
    return text.slice(start, at);
  }

  #escapedString(start: number, at: number): string {
    const text = this.#text;
    let result = "";
    for (;;) {
      const code = text.charCodeAt(at);
      if (code === 34) break;
      if (!(code >= 32)) this.#fail();
      if (code !== 92) {
        at++;
        continue;
      }
      result += text.slice(start, at);
      const escape = text.charCodeAt(at + 1);
      at += 2;
      if (escape === 117) {
        let point = this.#hex4(at);
        at += 4;
        if (point >= 0xd800 && point <= 0xdbff) {
          if (text.charCodeAt(at) !== 92 || text.charCodeAt(at + 1) !== 117) this.#fail();
          const low = this.#hex4(at + 2);
          if (low < 0xdc00 || low > 0xdfff) this.#fail();
          at += 6;
          point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
        } else if (point >= 0xdc00 && point <= 0xdfff) this.#fail();
        result += encodePoint(point);
      } else {
        const index = ESCAPES.indexOf(String.fromCharCode(escape));
        if (index < 0) this.#fail();
        result += ESCAPED[index]!;
      }
      start = at;
    }
    this.#at = at + 1;
    return result + text.slice(start, at);
  }

  #hex4(at: number): number {
    const digits = this.#text.slice(at, at + 4);
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.#fail();
    return parseInt(digits, 16);
  }

  #fail(): never {
    throw new JsonError(explainJsonError(this.#text), true);
  }
}

const ESCAPES = '"\\/bfnrt';
const ESCAPED = '"\\/\b\f\n\r\t';

function skipDigits(text: string, at: number): number {
  for (;;) {
    const code = text.charCodeAt(at);
    if (!(code >= 48 && code <= 57)) return at;
    at++;
  }
}

function encodePoint(point: number): string {
  return point < 0x80
    ? String.fromCharCode(point)
    : Buffer.from(String.fromCodePoint(point)).toString("latin1");
}
