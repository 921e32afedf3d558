/**
 * Reads a stream whole where it is short.
 * @returns its bytes, or where there are more than so many the stream again, from its beginning
 */
export async function gather(
  source: AsyncIterable<Uint8Array>,
  maxBytes: number,
): Promise<Buffer | AsyncIterable<Buffer>> {
  const iterator = source[Symbol.asyncIterator]();
  const parts: Buffer[] = [];
  let sizeBytes = 0;
  for (;;) {
    const { done, value } = await iterator.next();
    if (done === true) return Buffer.concat(parts, sizeBytes);
    // It may be a view of a buffer that is used again.
    parts.push(Buffer.from(value));
    sizeBytes += value.length;
    if (sizeBytes > maxBytes) return continued(parts, iterator);
  }
}

async function* continued(
  parts: readonly Buffer[],
  iterator: AsyncIterator<Uint8Array>,
): AsyncIterable<Buffer> {
  try {
    yield* parts;
    for (;;) {
      const { done, value } = await iterator.next();
      if (done === true) return;
      yield Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    }
  } finally {
    await iterator.return?.();
  }
}
