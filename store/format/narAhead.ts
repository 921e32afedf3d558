import { read } from "node:fs";
import { hashStream, type ByteString, type HashAlgorithm } from "../../core/index.ts";
import {
  NarWriter,
  changedWhileRead,
  readFailure,
  type DumpOptions,
  type LargeContent,
  type NarDigest,
} from "./nar.ts";

/** From this size on a file's content is read by another thread: that takes a turn of the event loop for each chunk. */
const LARGE_BYTES = 4 << 20;
const CHUNK_BYTES = 1 << 20;

/** As `hashNar`, where the caller can wait: a large file is read while what came before it is hashed. */
export async function hashNarAhead(
  path: ByteString,
  options: DumpOptions & { readonly algorithm?: HashAlgorithm } = {},
): Promise<NarDigest> {
  const running = hashStream(options.algorithm ?? "sha256");
  let sizeBytes = 0;
  for await (const chunk of narChunksAhead(path, options)) {
    sizeBytes += chunk.length;
    running.update(chunk);
  }
  return { hash: running.digest(), sizeBytes };
}

/**
 * As `narChunks`, where the caller can wait: of a large file the next chunk is read while one is worked on.
 * @throws what `dumpNar` throws; the signal's reason
 */
export async function* narChunksAhead(path: ByteString, options: DumpOptions = {}): AsyncGenerator<Buffer> {
  const writer = new NarWriter(options);
  try {
    for (const part of writer.parts(path))
      if (Buffer.isBuffer(part)) yield part;
      else if (part.sizeBytes < LARGE_BYTES) yield* writer.contentOf(part);
      else yield* contentAhead(part, options.signal);
  } finally {
    writer.release();
  }
}

async function* contentAhead(content: LargeContent, signal: AbortSignal | undefined): AsyncGenerator<Buffer> {
  let spare = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  let filling = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  let left = content.sizeBytes;
  let next = readChunk(content, filling, left);
  try {
    while (left > 0) {
      const count = await next;
      const chunk = filling.subarray(0, count);
      left -= count;
      [filling, spare] = [spare, filling];
      if (left > 0) next = readChunk(content, filling, left);
      signal?.throwIfAborted();
      yield chunk;
    }
  } finally {
    // Whoever gave us the descriptor closes it: no read may be under way then.
    await next.catch(() => {});
  }
}

/** @returns how many bytes there are now in the buffer, one at least */
function readChunk({ path, fd }: LargeContent, buffer: Buffer, left: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  read(fd, buffer, 0, Math.min(left, buffer.length), null, (error, count) => {
    if (error !== null) reject(readFailure(path, error));
    else if (count === 0) reject(changedWhileRead(path));
    else resolve(count);
  });
  // It may fail before anyone waits for it.
  promise.catch(() => {});
  return promise;
}
