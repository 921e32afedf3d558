import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { afterEach, describe, expect, it, vi } from "vitest";
import { COMPRESSIONS, decompress, type Compression } from "../../io/decompress.ts";
import * as programs from "../../io/findProgram.ts";

const FIXTURES = join(import.meta.dirname, "../store/fixtures");
vi.mock("../../io/findProgram.ts", { spy: true });
afterEach(() => void vi.resetAllMocks());

/** The compressed NARs of a golden cache, as `nix copy` wrote them. */
function narsOf(compression: Compression): readonly Buffer[] {
  const dir = join(FIXTURES, `cache-${compression}`, "nar");
  return readdirSync(dir).map((name) => readFileSync(join(dir, name)));
}

async function* inPieces(bytes: Buffer, size: number): AsyncIterable<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
}

async function collect(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of source) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

const plain = new Set(narsOf("none").map((nar) => nar.toString("latin1")));

describe("decompress", () => {
  it.each(["xz", "gzip", "zstd"] as const)(
    "blames %s for what is damaged, not the pipe to its decoder",
    async (compression) => {
      // More than a pipe holds, so that the decoder is gone while there is still something to write.
      const damaged = Buffer.concat([Buffer.from("no archive at all"), Buffer.alloc(1 << 20, 7)]);
      await expect(collect(decompress(compression, inPieces(damaged, 4096)))).rejects.toMatchObject({
        code: "DECOMPRESS_FAILED",
      });
    },
  );

  for (const compression of COMPRESSIONS)
    it(`reads ${compression} in pieces of any size and refuses it when cut`, async () => {
      const nars = narsOf(compression);
      expect(nars).toHaveLength(3);
      for (const nar of nars)
        for (const size of [1, 7, 1 << 20])
          expect(plain).toContain(
            (await collect(decompress(compression, inPieces(nar, size)))).toString("latin1"),
          );
      if (compression === "none") return;
      const [first = Buffer.alloc(0)] = nars;
      const cut = decompress(compression, inPieces(first.subarray(0, first.length - 20), 16));
      await expect(collect(cut)).rejects.toThrow(`Cannot decompress ${compression}`);
    });

  it("reads xz where the program is not installed", async () => {
    vi.spyOn(programs, "findProgram").mockReturnValue(undefined);
    for (const nar of narsOf("xz"))
      expect(plain).toContain((await collect(decompress("xz", inPieces(nar, 64)))).toString("latin1"));
    const [first = Buffer.alloc(0)] = narsOf("xz");
    const cut = decompress("xz", inPieces(first.subarray(0, first.length - 20), 16));
    await expect(collect(cut)).rejects.toThrow("Cannot decompress xz");
    expect(() => decompress("bzip2", inPieces(Buffer.alloc(0), 1))).toThrow(
      'the program "bzip2" is not installed',
    );
  });

  it("does not give an xz file all the memory that it asks for", async () => {
    const [nar = Buffer.alloc(0)] = narsOf("xz");
    const greedy = Buffer.from(nar);
    // In the header of the first block: a dictionary of 4 GiB.
    const start = 12;
    const end = start + ((greedy[start] ?? 0) + 1) * 4 - 4;
    const filter = greedy.indexOf(Buffer.from([0x21, 0x01]), start);
    greedy[filter + 2] = 40;
    greedy.writeUInt32LE(crc32(greedy.subarray(start, end)), end);
    await expect(collect(decompress("xz", inPieces(greedy, 64)))).rejects.toThrow(/Cannot decompress xz/);
  });

  it("passes the source's own failure on", async () => {
    async function* failing(): AsyncIterable<Buffer> {
      yield await Promise.resolve(Buffer.from("x"));
      throw new Error("the disk is gone");
    }
    for (const compression of COMPRESSIONS)
      await expect(collect(decompress(compression, failing()))).rejects.toThrow("the disk is gone");
  });
});
