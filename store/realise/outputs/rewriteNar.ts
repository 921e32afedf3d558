import { hashStream, type ByteString, type Hash } from "../../../core/index.ts";
import { narChunks } from "../../format/nar.ts";

/** Replacements of equal length, e.g. a scratch path's digest by the final one's. */
export type Rewrites = ReadonlyMap<ByteString, ByteString>;

/** A path's NAR with every occurrence replaced, wherever chunks are cut. */
export function* rewrittenNar(path: ByteString, rewrites: Rewrites): Generator<Buffer> {
  const pairs = [...rewrites].map(([from, to]) => {
    if (from.length !== to.length) throw new Error(`Cannot rewrite "${from}" to "${to}": lengths differ`);
    return [Buffer.from(from, "latin1"), Buffer.from(to, "latin1")] as const;
  });
  const overlap = Math.max(0, ...pairs.map(([from]) => from.length - 1));
  let held: Buffer = Buffer.alloc(0);
  for (const chunk of narChunks(path)) {
    // A copy: chunks may be views of a buffer that is used again.
    const bytes = Buffer.concat([held, chunk]);
    for (const [from, to] of pairs)
      for (let at = bytes.indexOf(from); at >= 0; at = bytes.indexOf(from, at + to.length))
        to.copy(bytes, at);
    const ready = Math.max(0, bytes.length - overlap);
    yield bytes.subarray(0, ready);
    held = bytes.subarray(ready);
  }
  yield held;
}

/** The SHA-256 of {@link rewrittenNar}. */
export function hashRewrittenNar(path: ByteString, rewrites: Rewrites): Hash {
  const hash = hashStream("sha256");
  for (const chunk of rewrittenNar(path, rewrites)) hash.update(chunk);
  return hash.digest();
}
