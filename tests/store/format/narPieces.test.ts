import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { dumpNar } from "../../../store/index.ts";
import { NAR_CHUNK_BYTES, narBytes, type NarBytesOptions } from "../../../store/format/narPieces.ts";
import { TestDirectory } from "../testStore.ts";

async function gather(path: string, options: NarBytesOptions = {}): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of narBytes(path, options)) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

function whole(path: string): Buffer {
  const chunks: Buffer[] = [];
  dumpNar(path, (chunk) => void chunks.push(Buffer.from(chunk)));
  return Buffer.concat(chunks);
}

function makeTree(root: string): string {
  const tree = join(root, "tree");
  mkdirSync(join(tree, "sub/empty"), { recursive: true });
  for (const size of [0, 1, 7, 8, 9, 40_000, NAR_CHUNK_BYTES, NAR_CHUNK_BYTES * 2 + 3])
    writeFileSync(join(tree, `file-${size}`), Buffer.alloc(size, `${size} `));
  writeFileSync(join(tree, "sub/run"), "#!/bin/sh\n");
  chmodSync(join(tree, "sub/run"), 0o755);
  symlinkSync("../run", join(tree, "sub/link"));
  writeFileSync(join(tree, "sub/ä"), "not ASCII");
  return tree;
}

describe("narBytes", () => {
  it("is what dumping writes", async () => {
    using directory = new TestDirectory();
    const tree = makeTree(directory.path);
    for (const path of [tree, join(tree, "file-9"), join(tree, "sub/link"), join(tree, "sub/run")])
      expect((await gather(path)).equals(whole(path)), path).toBe(true);
  });

  it("gives any range of it", async () => {
    using directory = new TestDirectory();
    const tree = makeTree(directory.path);
    const all = whole(tree);
    const places = [0, 1, 23, 24, 500, 40_777, NAR_CHUNK_BYTES, all.length - 9, all.length - 1, all.length];
    for (const start of places)
      for (const end of places.filter((place) => place >= start))
        expect((await gather(tree, { start, end })).equals(all.subarray(start, end)), `${start}-${end}`).toBe(
          true,
        );
    expect((await gather(tree, { start: all.length + 1 })).length).toBe(0);
  });

  it("has no file open between two chunks, and passes reads of large files through the gate", async () => {
    using directory = new TestDirectory();
    const tree = makeTree(directory.path);
    let open = 0;
    let reads = 0;
    const gate = async <T>(work: () => Promise<T>): Promise<T> => {
      open++;
      reads++;
      try {
        return await work();
      } finally {
        open--;
      }
    };
    for await (const _ of narBytes(tree, { gate })) expect(open).toBe(0);
    expect(reads).toBeGreaterThan(4);
  });

  it("ends where it is told to, and says what it cannot read", async () => {
    using directory = new TestDirectory();
    const tree = makeTree(directory.path);
    const stop = new AbortController();
    const reading = async (): Promise<void> => {
      for await (const _ of narBytes(tree, { signal: stop.signal })) stop.abort(new Error("enough"));
    };
    await expect(reading()).rejects.toThrow("enough");
    await expect(gather(join(tree, "absent"))).rejects.toMatchObject({
      code: "NAR_READ_FAILED",
      message: expect.stringContaining("it does not exist") as string,
    });
    await expect(gather("/dev/null")).rejects.toMatchObject({
      code: "NAR_UNSUPPORTED_TYPE",
      message: "file '/dev/null' has an unsupported type",
    });
  });
});
