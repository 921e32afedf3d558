import { expect, it } from "vitest";
import { COMPRESSIONS, compress, decompress } from "../../io/index.ts";

/** Chunks of one buffer that is used again, as a NAR's are. */
async function* reused(count: number): AsyncIterable<Uint8Array> {
  const buffer = Buffer.alloc(1000);
  for (let index = 0; index < count; index++) yield buffer.fill(`${index},`);
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of source) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

it.each(COMPRESSIONS)("what %s compresses is what it was", async (compression) => {
  const whole = await collect(reused(400));
  for (const level of compression === "none" ? [undefined] : [undefined, 1]) {
    const compressed = await collect(compress(compression, reused(400), { level }));
    if (compression !== "none") expect(compressed.length).toBeLessThan(whole.length / 4);
    const source = (async function* () {
      yield compressed;
    })();
    expect((await collect(decompress(compression, source))).equals(whole)).toBe(true);
  }
});

it.each(COMPRESSIONS)("a source that fails is told, not what %s makes of it", async (compression) => {
  const source = (async function* () {
    yield Buffer.from("begun");
    throw new Error("the disk is gone");
  })();
  await expect(collect(compress(compression, source))).rejects.toThrow("the disk is gone");
});

it("a reader that stops leaves nothing behind", async () => {
  let isClosed = false;
  const source = (async function* () {
    try {
      for (;;) yield Buffer.from(`${Math.random()}`.repeat(100));
    } finally {
      isClosed = true;
    }
  })();
  for await (const _ of compress("xz", source, { level: 0 })) break;
  await expect.poll(() => isClosed).toBe(true);
});

it("refuses levels that there are not", () => {
  expect(() => compress("xz", reused(1), { level: 10 })).toThrow("at level 10: its levels are 0 to 9");
});
