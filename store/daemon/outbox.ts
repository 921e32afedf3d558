import type { Writable } from "node:stream";
import { DevshellError } from "../../core/index.ts";
import { WireWriter } from "../protocol/wire.ts";

/** What a writer's buffer of 64 KiB still holds whole. */
const BATCH_BYTES = 60 << 10;

/**
 * The way to a client. While it does not read, messages are put together: short ones that wait one by one take several
 * times their size of the memory, which nobody would count.
 */
export class Outbox {
  readonly #output: Writable;
  readonly #writer = new WireWriter();

  constructor(output: Writable) {
    this.#output = output;
    output.on("drain", () => this.flush());
  }

  /** What the client has still to read. */
  get unreadBytes(): number {
    return this.#output.writableLength + this.#writer.sizeBytes;
  }

  /** A message that may wait until the client reads again. */
  say(write: (writer: WireWriter) => void): void {
    write(this.#writer);
    if (!this.#output.writableNeedDrain || this.#writer.sizeBytes >= BATCH_BYTES) this.flush();
  }

  /** Nothing waits here any more: what follows may be the last. */
  flush(): void {
    if (this.#writer.sizeBytes > 0) this.#output.write(this.#writer.take());
  }

  /** Sends bytes as they are, at the client's pace. @throws {DevshellError} `PROTOCOL_DISCONNECTED` */
  async send(bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return;
    const output = this.#output;
    // Once it has ended it says so no more: whoever waited for that would wait for ever.
    if (output.destroyed) throw clientGone();
    this.flush();
    if (output.write(bytes)) return;
    await new Promise<void>((resolve, reject) => {
      const done = (error?: Error): void => {
        output.off("drain", done);
        output.off("close", done);
        output.off("error", done);
        if (error === undefined) resolve();
        else reject(error);
      };
      output.on("drain", done);
      output.on("close", done);
      output.on("error", done);
    });
  }
}

export function clientGone(): DevshellError {
  return new DevshellError("PROTOCOL_DISCONNECTED", "the client has gone");
}
