import { DevshellError, type ByteString } from "../../core/index.ts";

/*
 * number = 64 bits, little-endian
 * string = number of bytes, the bytes, zeros up to a multiple of 8
 * list   = number of elements, the elements
 */

/**
 * Reads something off the wire: asks for a number of bytes at each `yield`. So the same code reads from a blocking
 * descriptor (`BlockingChannel`) and from a stream (`ByteSource`), which also bound the sum.
 */
export type Decoder<T> = Generator<number, T, Buffer>;

/** Names, paths, settings, messages; what may be longer says so. */
export const MAX_STRING_BYTES = 16 << 20;
/** The longest text that is sent whole: `.drv` files over the old protocol, build logs. */
export const MAX_TEXT_BYTES = 256 << 20;
const MAX_ELEMENTS = 1 << 24;
const MAX_REASON_LENGTH = 2000;
/** Frames are short; what is larger is no frame. */
export const MAX_FRAME_BYTES = 256 << 20;

export function wireError(why: string, cause?: unknown): DevshellError {
  // What it quotes is the other side's, and may be of any length.
  const shown = why.length > MAX_REASON_LENGTH ? `${why.slice(0, MAX_REASON_LENGTH)}…` : why;
  return new DevshellError("PROTOCOL_INVALID", `Cannot read from the other side: ${shown}`, {
    hint: "is it a Nix daemon, of a version that is understood?",
    cause,
  });
}

/** @throws {DevshellError} `PROTOCOL_INVALID` where it is larger than what is possible */
export function* readNumber(what = "a number", max = Number.MAX_SAFE_INTEGER): Decoder<number> {
  const bytes = yield 8;
  const value = bytes.readUInt32LE(0) + bytes.readUInt32LE(4) * 0x1_0000_0000;
  if (value > max) throw wireError(`${what} is ${value}, where at most ${max} is possible`);
  return value;
}

/** A size or time of which the largest numbers mean "without limit": those are cut to what a number holds exactly. */
export function* readLarge(): Decoder<number> {
  const bytes = yield 8;
  const value = bytes.readUInt32LE(0) + bytes.readUInt32LE(4) * 0x1_0000_0000;
  return Math.min(value, Number.MAX_SAFE_INTEGER);
}

/** All 64 bits: activities' numbers. */
export function* readId(): Decoder<bigint> {
  const bytes = yield 8;
  return bytes.readBigUInt64LE(0);
}

export function* readFlag(): Decoder<boolean> {
  return (yield* readNumber()) !== 0;
}

export function* readBytes(what = "a string", maxBytes = MAX_STRING_BYTES): Decoder<Buffer> {
  const size = yield* readNumber(`the length of ${what}`, maxBytes);
  if (size === 0) return Buffer.alloc(0);
  const padded = yield size + padding(size);
  for (let at = size; at < padded.length; at++)
    if (padded[at] !== 0) throw wireError(`the padding of ${what} is not zero`);
  return padded.subarray(0, size);
}

export function* readString(what?: string, maxBytes?: number): Decoder<ByteString> {
  return (yield* readBytes(what, maxBytes)).toString("latin1");
}

export function* readList<T>(
  what: string,
  element: () => Decoder<T>,
  maxElements = MAX_ELEMENTS,
): Decoder<T[]> {
  const count = yield* readNumber(`the number of ${what}`, maxElements);
  const list: T[] = [];
  for (let i = 0; i < count; i++) list.push(yield* element());
  return list;
}

export function* readStrings(what = "strings"): Decoder<ByteString[]> {
  return yield* readList(what, () => readString());
}

const BUFFER_BYTES = 4096;

/** Collects what is to be sent. */
export class WireWriter {
  #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #at = 0;

  get sizeBytes(): number {
    return this.#at;
  }

  number(value: number | bigint): this {
    this.#need(8);
    this.#buffer.writeBigInt64LE(BigInt.asIntN(64, BigInt(value)), this.#at);
    this.#at += 8;
    return this;
  }

  flag(value: boolean): this {
    return this.number(value ? 1 : 0);
  }

  string(text: ByteString): this {
    this.#need(8 + text.length + 8);
    this.number(text.length);
    this.#at += this.#buffer.write(text, this.#at, "latin1");
    return this.#pad(text.length);
  }

  bytes(data: Uint8Array): this {
    this.#need(8 + data.length + 8);
    this.number(data.length);
    this.#buffer.set(data, this.#at);
    this.#at += data.length;
    return this.#pad(data.length);
  }

  strings(texts: Iterable<ByteString>): this {
    const list = [...texts];
    this.number(list.length);
    for (const text of list) this.string(text);
    return this;
  }

  /** What was written; the writer is empty again. */
  take(): Buffer {
    const taken = this.#buffer.subarray(0, this.#at);
    this.#at = 0;
    // What is short must not keep all of the buffer for as long as it waits to be sent.
    if (taken.length < BUFFER_BYTES / 2) return Buffer.from(taken);
    this.#buffer = Buffer.allocUnsafe(BUFFER_BYTES);
    return taken;
  }

  #pad(size: number): this {
    const end = this.#at + padding(size);
    this.#buffer.fill(0, this.#at, end);
    this.#at = end;
    return this;
  }

  #need(count: number): void {
    if (this.#at + count <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#at + count));
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
  }
}

function padding(size: number): number {
  return (8 - (size % 8)) % 8;
}
