import { hashStream, type ByteString, type HashAlgorithm } from "../../core/index.ts";
import { readAhead } from "../../io/index.ts";
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

async function* contentAhead(
  { path, fd, sizeBytes }: LargeContent,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  let left = sizeBytes;
  try {
    for await (const chunk of readAhead(fd, sizeBytes)) {
      left -= chunk.length;
      signal?.throwIfAborted();
      yield chunk;
    }
  } catch (error) {
    throw signal?.aborted === true ? error : readFailure(path, error);
  }
  if (left > 0) throw changedWhileRead(path);
}
