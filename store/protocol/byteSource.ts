import type { Readable } from "node:stream";
import { DevshellError } from "../../core/index.ts";
import { MAX_FRAME_BYTES, readNumber, wireError, type Decoder } from "./wire.ts";

/** What a message may take in all: a hostile peer must not fill the memory. */
const MAX_MESSAGE_BYTES = 1 << 30;
const HIGH_WATER_BYTES = 1 << 20;

/** The other side has gone in the middle of something. */
export function endOfStream(cause?: unknown): DevshellError {
  return new DevshellError(
    "PROTOCOL_DISCONNECTED",
    "Nix daemon disconnected unexpectedly (maybe it crashed?)",
    { cause },
  );
}

/**
 * What arrives on a stream, to be taken in pieces of known size. It reads ahead a little, so that it is noticed at
 * once when the other side goes.
 */
export class ByteSource {
  readonly #stream: Readable;
  readonly #chunks: Buffer[] = [];
  #size = 0;
  #wanted = 0;
  #isEnded = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;
  readonly #onEnd: (() => void)[] = [];

  constructor(stream: Readable) {
    this.#stream = stream;
    stream.on("data", (chunk: Buffer) => this.#push(chunk));
    stream.on("end", () => this.#finish(undefined));
    stream.on("close", () => this.#finish(undefined));
    stream.on("error", (error: Error) => this.#finish(error));
    // A socket may have been taken over paused.
    stream.resume();
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Called once when the other side goes while nothing of what it sent is left to be read. */
  onEnd(listener: () => void): void {
    if (this.#isEnded && this.#size === 0) listener();
    else this.#onEnd.push(listener);
  }

  /** @throws {DevshellError} `PROTOCOL_DISCONNECTED`, `PROTOCOL_INVALID` */
  async decode<T>(decoder: Decoder<T>, maxBytes = MAX_MESSAGE_BYTES): Promise<T> {
    let left = maxBytes;
    let step = decoder.next();
    while (step.done !== true) {
      const count = step.value;
      if (count > left) throw wireError(`a message is longer than ${maxBytes} bytes`);
      left -= count;
      if (this.#size < count) await this.#waitFor(count);
      step = decoder.next(this.#take(count));
    }
    return step.value;
  }

  /** Whether something comes, before the end. */
  async hasMore(): Promise<boolean> {
    while (this.#size === 0) {
      if (this.#isEnded) return false;
      await this.#wait(1);
    }
    return true;
  }

  /** What has arrived, at most so much and at least a byte. @throws {DevshellError} `PROTOCOL_DISCONNECTED` */
  async takeSome(maxBytes: number): Promise<Buffer> {
    if (this.#size === 0) await this.#waitFor(1);
    return this.#take(Math.min(maxBytes, this.#chunks[0]?.length ?? 0));
  }

  /** Puts back the end of what was taken last. */
  unread(rest: Buffer): void {
    if (rest.length === 0) return;
    this.#chunks.unshift(rest);
    this.#size += rest.length;
  }

  /** Stops reading; what was sent meanwhile is lost. */
  close(): void {
    this.#stream.destroy();
  }

  async #waitFor(count: number): Promise<void> {
    while (this.#size < count) {
      if (this.#isEnded) throw endOfStream(this.#error);
      await this.#wait(count);
    }
    this.#wanted = 0;
  }

  #wait(count: number): Promise<void> {
    this.#wanted = count;
    if (this.#stream.isPaused()) this.#stream.resume();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #take(count: number): Buffer {
    this.#size -= count;
    const [first] = this.#chunks;
    let taken: Buffer;
    if (first !== undefined && first.length > count) {
      taken = first.subarray(0, count);
      this.#chunks[0] = first.subarray(count);
    } else if (first !== undefined && first.length === count) {
      taken = first;
      this.#chunks.shift();
    } else taken = this.#join(count);
    if (this.#size < HIGH_WATER_BYTES && this.#stream.isPaused()) this.#stream.resume();
    return taken;
  }

  #join(count: number): Buffer {
    const parts: Buffer[] = [];
    for (let left = count; left > 0;) {
      const chunk = this.#chunks.shift();
      if (chunk === undefined) throw new Error("fewer bytes are there than were counted");
      const part = chunk.subarray(0, left);
      if (part.length < chunk.length) this.#chunks.unshift(chunk.subarray(part.length));
      parts.push(part);
      left -= part.length;
    }
    return Buffer.concat(parts, count);
  }

  #push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    if (this.#size >= HIGH_WATER_BYTES && this.#size >= this.#wanted) this.#stream.pause();
    if (this.#size >= this.#wanted) this.#notify();
  }

  #finish(error: Error | undefined): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#error = error;
    // Who sends all it has to ask and then ends is still to be answered: it may be listening.
    if (this.#size === 0 || error !== undefined) for (const listener of this.#onEnd.splice(0)) listener();
    this.#notify();
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

/**
 * A stream in frames: a number of bytes before each, 0 at the end. Whatever becomes of the reader, `drain` must be
 * called before anything else is read.
 */
export class FramedSource {
  readonly #source: ByteSource;
  #left = 0;
  #isEnded = false;
  /** What was to be a frame is none: where the next one begins is not known. */
  isBroken = false;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    for (let part = await this.takeSome(1 << 20); part !== undefined; part = await this.takeSome(1 << 20))
      yield part;
  }

  /** @returns `undefined` at the end */
  async takeSome(maxBytes: number): Promise<Buffer | undefined> {
    if (!(await this.#nextFrame())) return undefined;
    const part = await this.#source.takeSome(Math.min(this.#left, maxBytes));
    this.#left -= part.length;
    return part;
  }

  /** Reads a value that may lie across frames. */
  async decode<T>(decoder: Decoder<T>, maxBytes = 1 << 28): Promise<T> {
    let allowed = maxBytes;
    let step = decoder.next();
    while (step.done !== true) {
      const count = step.value;
      if (count > allowed) throw wireError(`a message is longer than ${maxBytes} bytes`);
      allowed -= count;
      const parts: Buffer[] = [];
      for (let left = count; left > 0;) {
        const part = await this.takeSome(left);
        if (part === undefined) throw wireError("the frames end within a value");
        parts.push(part);
        left -= part.length;
      }
      const [only] = parts;
      step = decoder.next(parts.length === 1 && only !== undefined ? only : Buffer.concat(parts, count));
    }
    return step.value;
  }

  /** So many bytes, as they come. */
  async *take(sizeBytes: number): AsyncGenerator<Buffer> {
    for (let left = sizeBytes; left > 0;) {
      const part = await this.takeSome(left);
      if (part === undefined) throw wireError("the frames end within a NAR");
      left -= part.length;
      yield part;
    }
  }

  async drain(): Promise<void> {
    while (await this.#nextFrame()) {
      const part = await this.#source.takeSome(this.#left);
      this.#left -= part.length;
    }
  }

  async #nextFrame(): Promise<boolean> {
    if (this.#left === 0 && !this.#isEnded) {
      this.isBroken = true;
      this.#left = await this.#source.decode(readNumber("the length of a frame", MAX_FRAME_BYTES));
      this.isBroken = false;
      this.#isEnded = this.#left === 0;
    }
    return !this.#isEnded;
  }
}
