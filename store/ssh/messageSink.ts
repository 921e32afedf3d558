import type { Writable } from "node:stream";
import { DevshellError } from "../../core/index.ts";

/** Sends bytes one after the other, each once the one before has left: what the other side does not take is not piled up. */
export class MessageSink {
  readonly #stream: Writable;
  readonly #name: string;
  #failure: Error | undefined;

  /** @param name the other side, for messages */
  constructor(stream: Writable, name: string) {
    this.#stream = stream;
    this.#name = name;
    // What was being sent hears of it, too.
    stream.on("error", (error) => (this.#failure ??= error));
  }

  /** @throws {DevshellError} `PROTOCOL_DISCONNECTED` */
  send(bytes: Uint8Array): Promise<void> {
    if (this.#failure !== undefined || this.#stream.destroyed || this.#stream.writableEnded)
      return Promise.reject(this.#gone(this.#failure));
    return new Promise((resolve, reject) => {
      const onClose = (): void => reject(this.#gone(this.#failure));
      this.#stream.once("close", onClose);
      this.#stream.write(bytes, (error) => {
        this.#stream.off("close", onClose);
        if (error == null) resolve();
        else reject(this.#gone(error));
      });
    });
  }

  async sendAll(chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<number> {
    let sentBytes = 0;
    for await (const chunk of chunks) {
      await this.send(chunk);
      sentBytes += chunk.length;
    }
    return sentBytes;
  }

  end(): void {
    this.#stream.end();
  }

  #gone(cause: Error | undefined): DevshellError {
    return new DevshellError(
      "PROTOCOL_DISCONNECTED",
      `${this.#name} takes no more: the connection has ended`,
      {
        cause,
      },
    );
  }
}

/** Chunks of one's own, of those that are only valid until the next: a stream within this process keeps them. */
export function* copies(chunks: Iterable<Uint8Array>): Generator<Buffer> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}
