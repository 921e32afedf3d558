import type { Transform } from "node:stream";
import { createBrotliCompress, createGzip, createZstdCompress } from "node:zlib";

/** How NARs may be compressed while they are served, and the ending of their addresses. */
export const SERVED_COMPRESSIONS = {
  none: { ending: "", make: undefined },
  zstd: { ending: ".zst", make: (): Transform => createZstdCompress() },
  gzip: { ending: ".gz", make: (): Transform => createGzip() },
  br: { ending: ".br", make: (): Transform => createBrotliCompress() },
} as const;
export type ServedCompression = keyof typeof SERVED_COMPRESSIONS;

export function isServedCompression(name: string): name is ServedCompression {
  return Object.hasOwn(SERVED_COMPRESSIONS, name);
}

/** What comes out of a transform; each chunk goes in once the one before has been taken in, so that it may be reused. */
export async function* throughTransform(
  chunks: AsyncIterable<Uint8Array>,
  transform: Transform,
): AsyncGenerator<Uint8Array> {
  const pump = async (): Promise<void> => {
    for await (const chunk of chunks)
      await new Promise<void>((resolve, reject) =>
        transform.write(chunk, (error) => (error == null ? resolve() : reject(error))),
      );
    transform.end();
  };
  const pumped = pump();
  pumped.catch((error: unknown) => transform.destroy(error as Error));
  for await (const chunk of transform) yield chunk as Uint8Array;
  await pumped;
}
