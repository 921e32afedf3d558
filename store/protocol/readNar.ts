import type { ByteSource } from "./byteSource.ts";
import { NarBoundary } from "./narBoundary.ts";

const PART_BYTES = 1 << 20;

/**
 * One NAR off a connection, which stands behind it afterwards: the format says where it ends, whoever sent it. Who stops
 * before the end leaves the connection useless.
 * @throws {DevshellError} `NAR_…`
 */
export async function* readNar(source: Pick<ByteSource, "takeSome" | "unread">): AsyncGenerator<Buffer> {
  const boundary = new NarBoundary();
  while (!boundary.isPassed) {
    const [nar, rest] = boundary.split(await source.takeSome(PART_BYTES));
    source.unread(rest);
    yield nar;
  }
}

/** So many bytes off a connection. */
export async function* takeBytes(source: ByteSource, sizeBytes: number): AsyncGenerator<Buffer> {
  for (let left = sizeBytes; left > 0;) {
    const part = await source.takeSome(Math.min(left, PART_BYTES));
    left -= part.length;
    yield part;
  }
}
