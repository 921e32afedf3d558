import { read } from "node:fs";

const BUFFER_BYTES = 1 << 20;

/**
 * A file's bytes from where its descriptor stands, the next chunk being read by another thread while one is worked on;
 * a chunk is only valid until the next is asked for. For files alone: a process cannot end while a thread waits for a
 * pipe.
 * @param sizeBytes as much is wanted; less comes where the file ends before
 * @throws what the system says
 */
export async function* readAhead(fd: number, sizeBytes = Number.POSITIVE_INFINITY): AsyncGenerator<Buffer> {
  let filling = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  let spare = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  let left = sizeBytes;
  let next = readChunk(fd, filling, left);
  try {
    for (;;) {
      const count = await next;
      if (count === 0) return;
      const chunk = filling.subarray(0, count);
      left -= count;
      [filling, spare] = [spare, filling];
      next = readChunk(fd, filling, left);
      yield chunk;
    }
  } finally {
    // Whoever gave us the descriptor closes it: no read may be under way then.
    await next.catch(() => 0);
  }
}

/** @returns how many bytes there are now in the buffer: none at the end */
function readChunk(fd: number, buffer: Buffer, left: number): Promise<number> {
  if (left === 0) return Promise.resolve(0);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  read(fd, buffer, 0, Math.min(left, buffer.length), null, (error, count) =>
    error === null ? resolve(count) : reject(error),
  );
  // It may fail before anyone waits for it.
  promise.catch(() => 0);
  return promise;
}
