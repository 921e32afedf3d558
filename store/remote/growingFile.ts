import { closeSync, openSync, readSync } from "node:fs";
import { DevshellError, fsPath, type ByteString } from "../../core/index.ts";

const BUFFER_BYTES = 256 << 10;

/** A file that is read while it is downloaded; at its end it is known whether it was the one that was announced. */
export class GrowingFile {
  /** Resolved once the server has answered that it has the file; rejected where it has not. */
  readonly begun: Promise<void>;
  readonly #beginning = Promise.withResolvers<void>();
  readonly #file: ByteString;
  #writtenBytes = 0;
  #isWhole = false;
  #failure: { readonly error: unknown } | undefined;
  #change = Promise.withResolvers<void>();

  constructor(file: ByteString) {
    this.#file = file;
    this.begun = this.#beginning.promise;
    // Whoever reads hears of it, too.
    this.begun.catch(() => undefined);
  }

  begin(): void {
    this.#beginning.resolve();
  }

  /** So many bytes are there to be read. */
  grow(writtenBytes: number): void {
    this.#writtenBytes = writtenBytes;
    this.#notify();
  }

  end(): void {
    this.#isWhole = true;
    this.#beginning.resolve();
    this.#notify();
  }

  fail(error: unknown): void {
    this.#failure = { error };
    this.#beginning.reject(error);
    this.#notify();
  }

  /**
   * The bytes as they come. A server that begins anew is taken to send the same again.
   * @throws what made the download fail
   */
  async *chunks(): AsyncGenerator<Buffer> {
    let fd = -1;
    let position = 0;
    try {
      for (;;) {
        if (this.#failure !== undefined) throw this.#failure.error;
        if (position < this.#writtenBytes) {
          if (fd < 0) fd = openSync(fsPath(this.#file), "r");
          // What was just written is in memory: a thread's errand would take longer than reading it.
          const buffer = Buffer.allocUnsafe(Math.min(BUFFER_BYTES, this.#writtenBytes - position));
          const count = readSync(fd, buffer, 0, buffer.length, position);
          if (count === 0)
            throw new DevshellError("CACHE_UNREADABLE", `"${this.#file}" was cut short while it was read`);
          position += count;
          yield buffer.subarray(0, count);
        } else if (this.#isWhole) return;
        else await this.#change.promise;
      }
    } finally {
      if (fd >= 0) closeSync(fd);
    }
  }

  #notify(): void {
    const change = this.#change;
    this.#change = Promise.withResolvers();
    change.resolve();
  }
}
