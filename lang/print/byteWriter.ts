import { constants } from "node:buffer";
import type { ByteString } from "../../core/index.ts";
import { quoteAttrName } from "../value/literal.ts";

const LEAST_BYTES = 1 << 16;
/** Larger ones are not kept. */
const MOST_BYTES = 1 << 21;
/** Longer texts are copied by native code. */
const SHORT_TEXT = 48;

/** What follows the backslash for a byte of a string; 0 for one that stands for itself. */
const ESCAPES = new Uint8Array(256);
ESCAPES[34] = 34; // "
ESCAPES[92] = 92;
ESCAPES[10] = 110;
ESCAPES[13] = 114;
ESCAPES[9] = 116;

/** What a JSON string cannot hold as it is, or only where it is UTF-8. */
const NOT_JSON = new Uint8Array(256).fill(1, 128).fill(1, 0, 32);
NOT_JSON[34] = 1;
NOT_JSON[92] = 1;

let spare: Buffer | undefined;

/** A text that grows by many small pieces: as bytes, since each piece that is added to a string is an object more. */
export class ByteWriter {
  #bytes: Buffer;
  #at = 0;

  constructor() {
    this.#bytes = spare ?? Buffer.allocUnsafeSlow(LEAST_BYTES);
    spare = undefined;
  }

  /**
   * The whole text; the writer must not be used any more.
   * @throws {RangeError} as a string that grows too long does
   */
  finish(): ByteString {
    this.#check();
    const text = this.#bytes.toString("latin1", 0, this.#at);
    if (this.#bytes.length <= MOST_BYTES) spare = this.#bytes;
    else release(this.#bytes);
    return text;
  }

  text(text: ByteString): void {
    const { length } = text;
    const bytes = this.#room(length);
    const start = this.#at;
    if (length > SHORT_TEXT) bytes.write(text, start, "latin1");
    else for (let i = 0; i < length; i++) bytes[start + i] = text.charCodeAt(i);
    this.#at = start + length;
  }

  /** An attribute's name as it would have to be written. */
  name(name: ByteString): void {
    this.text(quoteAttrName(name));
  }

  /** A string literal of the language, as `quoteString` gives it. */
  quoted(text: ByteString): void {
    const { length } = text;
    const bytes = this.#room(2 * length + 2);
    let at = this.#at;
    bytes[at++] = 34;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      const escape = ESCAPES[code]!;
      if (escape !== 0) {
        bytes[at++] = 92;
        bytes[at++] = escape;
      } else {
        if (code === 36 && text.charCodeAt(i + 1) === 123) bytes[at++] = 92;
        bytes[at++] = code;
      }
    }
    bytes[at++] = 34;
    this.#at = at;
  }

  /**
   * A string of JSON, where all of it may stand as it is.
   * @returns whether it was written
   */
  plainJson(text: ByteString): boolean {
    const { length } = text;
    const bytes = this.#room(length + 2);
    let at = this.#at;
    bytes[at++] = 34;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (NOT_JSON[code] !== 0) return false;
      bytes[at++] = code;
    }
    bytes[at++] = 34;
    this.#at = at;
    return true;
  }

  #check(): void {
    if (this.#at > constants.MAX_STRING_LENGTH) throw new RangeError("Invalid string length");
  }

  #room(length: number): Buffer {
    const needed = this.#at + length;
    if (needed > this.#bytes.length) {
      this.#check();
      const larger = Buffer.allocUnsafeSlow(2 * needed);
      this.#bytes.copy(larger, 0, 0, this.#at);
      release(this.#bytes);
      this.#bytes = larger;
    }
    return this.#bytes;
  }
}

/** Gives memory back now: V8 collects buffers with its old generation, which it may never do. */
function release(bytes: Buffer): void {
  (bytes.buffer as ArrayBuffer).transfer(0);
}
