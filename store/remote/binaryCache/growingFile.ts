import { closeSync, openSync, readSync } from "node:fs";
import { DevshellError, fsPath, type ByteString } from "../../../core/index.ts";

const BUFFER_BYTES = 256 << 10;
/** As much of what was written last is handed on as it is: reading it again takes longer than all else but hashing. */
const RECENT_BYTES = 4 << 20;

/** Bytes of the file that are still in memory. */
interface Recent {
  readonly start: number;
  readonly bytes: Buffer;
}

/** A file that is read while it is downloaded; at its end it is known whether it was the one that was announced. */
export class GrowingFile {
  /** Resolved once the server has answered that it has the file; rejected where it has not. */
  readonly begun: Promise<void>;
  readonly #beginning = Promise.withResolvers<void>();
  readonly #file: ByteString;
  #writtenBytes = 0;
  /** In their order. */
  #recent: Recent[] = [];
  #recentBytes = 0;
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

  /** So many bytes are there to be read, of which these are the last. */
  grow(writtenBytes: number, last: readonly Buffer[]): void {
    if (writtenBytes < this.#writtenBytes) this.#forget(this.#recent.length);
    this.#writtenBytes = writtenBytes;
    let start = writtenBytes - last.reduce((sum, { length }) => sum + length, 0);
    for (const bytes of last) {
      this.#recent.push({ start, bytes });
      this.#recentBytes += bytes.length;
      start += bytes.length;
    }
    let count = 0;
    for (let excess = this.#recentBytes - RECENT_BYTES; excess > 0; count++)
      excess -= this.#recent[count]!.bytes.length;
    this.#forget(count);
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
        const recent = this.#recentFrom(position);
        if (recent?.start === position) {
          position += recent.bytes.length;
          yield recent.bytes;
        } else if (position < this.#writtenBytes) {
          if (fd < 0) fd = openSync(fsPath(this.#file), "r");
          // What was just written is in memory: a thread's errand would take longer than reading it.
          const end = recent?.start ?? this.#writtenBytes;
          const buffer = Buffer.allocUnsafe(Math.min(BUFFER_BYTES, end - position));
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

  /** What is in memory of the bytes from here on; what is before is forgotten. */
  #recentFrom(position: number): Recent | undefined {
    const index = this.#recent.findIndex(({ start }) => start >= position);
    this.#forget(index < 0 ? this.#recent.length : index);
    return this.#recent[0];
  }

  #forget(count: number): void {
    for (const { bytes } of this.#recent.splice(0, count)) this.#recentBytes -= bytes.length;
  }

  #notify(): void {
    const change = this.#change;
    this.#change = Promise.withResolvers();
    change.resolve();
  }
}
