import { closeSync, readSync, writeSync } from "node:fs";
import { endOfStream } from "./byteSource.ts";
import { wireError, type Decoder } from "./wire.ts";

const MAX_MESSAGE_BYTES = 1 << 30;
const BUFFER_BYTES = 64 << 10;

/** A blocking descriptor, read and written while the whole thread waits: evaluation is synchronous. */
export class BlockingChannel implements Disposable {
  readonly #fd: number;
  readonly #onClose: () => void;
  #buffer = Buffer.alloc(0);
  #isClosed = false;

  constructor(fd: number, onClose: () => void = () => undefined) {
    this.#fd = fd;
    this.#onClose = onClose;
  }

  /** @throws {DevshellError} `PROTOCOL_DISCONNECTED`, `PROTOCOL_INVALID` */
  decode<T>(decoder: Decoder<T>, maxBytes = MAX_MESSAGE_BYTES): T {
    let left = maxBytes;
    let step = decoder.next();
    while (step.done !== true) {
      if (step.value > left) throw wireError(`a message is longer than ${maxBytes} bytes`);
      left -= step.value;
      step = decoder.next(this.#take(step.value));
    }
    return step.value;
  }

  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      try {
        at += writeSync(this.#fd, bytes, at, bytes.length - at);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === "EINTR") continue;
        throw code === "EPIPE" || code === "ECONNRESET" ? endOfStream(error) : error;
      }
    }
  }

  /** What has arrived, at most so much and at least a byte. */
  takeSome(maxBytes: number): Buffer {
    if (this.#buffer.length === 0) this.#fill();
    return this.#take(Math.min(maxBytes, this.#buffer.length));
  }

  /** Puts back the end of what was taken last. */
  unread(rest: Buffer): void {
    this.#buffer = Buffer.concat([rest, this.#buffer]);
  }

  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    closeSync(this.#fd);
    this.#onClose();
  }

  #take(count: number): Buffer {
    if (this.#buffer.length < count) {
      const parts = [this.#buffer];
      let size = this.#buffer.length;
      while (size < count) {
        this.#fill();
        parts.push(this.#buffer);
        size += this.#buffer.length;
      }
      this.#buffer = Buffer.concat(parts, size);
    }
    const taken = this.#buffer.subarray(0, count);
    this.#buffer = this.#buffer.subarray(count);
    return taken;
  }

  #fill(): void {
    const buffer = Buffer.allocUnsafe(BUFFER_BYTES);
    for (;;) {
      try {
        const size = readSync(this.#fd, buffer, 0, BUFFER_BYTES, null);
        if (size === 0) throw endOfStream();
        this.#buffer = buffer.subarray(0, size);
        return;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === "EINTR") continue;
        throw code === "ECONNRESET" ? endOfStream() : error;
      }
    }
  }
}
