import { randomBytes } from "node:crypto";
import { afterEach, describe, expect, it, vi } from "vitest";
import { compress, decompress } from "../../io/index.ts";
import { gather } from "../../io/gather.ts";
import { liblzma } from "../../io/liblzma.ts";

afterEach(() => vi.unstubAllEnvs());

async function* inPieces(bytes: Uint8Array, size = 100): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of source) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

const text = Buffer.from("a line of some length, over and over again\n".repeat(300));

describe.each(["xz", "zstd"] as const)("what is small, by %s", (compression) => {
  const squeeze = (bytes: Uint8Array): Promise<Buffer> =>
    collect(compress(compression, inPieces(bytes), { expectedBytes: bytes.length }));
  const expand = (bytes: Uint8Array, expectedBytes: number): Promise<Buffer> =>
    collect(decompress(compression, inPieces(bytes), { expectedBytes }));

  it("is what streams make of it", async () => {
    for (const bytes of [text, randomBytes(5000), Buffer.from("x")]) {
      const squeezed = await squeeze(bytes);
      expect(await expand(squeezed, bytes.length)).toEqual(bytes);
      expect(await collect(decompress(compression, inPieces(squeezed)))).toEqual(bytes);
      const streamed = await collect(compress(compression, inPieces(bytes)));
      expect(await expand(streamed, bytes.length)).toEqual(bytes);
    }
    expect((await squeeze(text)).length).toBeLessThan(text.length / 20);
  });

  it("is read whole where it is of several members, or larger than was said", async () => {
    const once = await squeeze(text);
    expect(await expand(once, 10)).toEqual(text);
    const twice = Buffer.concat([once, once]);
    const whole = Buffer.concat([text, text]);
    expect(await expand(twice, whole.length)).toEqual(whole);
    expect(await expand(twice, 10)).toEqual(whole);
    const large = randomBytes(1 << 20);
    const squeezed = await collect(compress(compression, inPieces(large, 1 << 16), { expectedBytes: 10 }));
    expect(await expand(squeezed, 10)).toEqual(large);
  });

  it("is refused where it is damaged, in the same words", async () => {
    const squeezed = await squeeze(text);
    const cut = squeezed.subarray(0, squeezed.length - 5);
    await expect(expand(cut, text.length)).rejects.toThrow(`Cannot decompress ${compression}`);
    const garbled = Buffer.from(squeezed);
    garbled.writeUInt8(garbled.readUInt8(20) ^ 0x55, 20);
    if (compression === "zstd") return;
    await expect(expand(garbled, text.length)).rejects.toThrow("Cannot decompress xz");
    const trailed = Buffer.concat([squeezed, Buffer.from("no archive")]);
    await expect(expand(trailed, text.length)).rejects.toThrow("Cannot decompress xz");
  });

  it("is told of its source's failure", async () => {
    async function* failing(): AsyncIterable<Uint8Array> {
      yield await Promise.resolve(text);
      throw new Error("the disk is gone");
    }
    const options = { expectedBytes: text.length };
    await expect(collect(compress(compression, failing(), options))).rejects.toThrow("the disk is gone");
    await expect(collect(decompress(compression, failing(), options))).rejects.toThrow("the disk is gone");
  });
});

describe("liblzma", () => {
  it("is left alone where another way is named", async () => {
    vi.stubEnv("DEVSHELL_XZ", "program");
    expect(liblzma()).toBeUndefined();
    const squeezed = await collect(compress("xz", inPieces(text), { expectedBytes: text.length }));
    expect(await collect(decompress("xz", inPieces(squeezed), { expectedBytes: text.length }))).toEqual(text);
  });

  it.skipIf(liblzma() === undefined)("encodes many buffers at once, by the level given", async () => {
    const lzma = liblzma();
    if (lzma === undefined) throw new Error("it was there");
    const all = Array.from({ length: 40 }, (_, index) => Buffer.from(`${index} `.repeat(2000)));
    const encoded = await Promise.all(all.map((bytes, index) => lzma.encode(bytes, index % 10)));
    for (const [index, bytes] of all.entries())
      expect(lzma.decode(encoded[index] ?? Buffer.alloc(0), bytes.length)).toEqual(bytes);
    expect(lzma.decode(encoded[0] ?? Buffer.alloc(0), 10)).toBeUndefined();
    expect(lzma.decode(Buffer.alloc(0), 10)).toBeUndefined();
  });
});

describe("gather", () => {
  it("returns what is short, and the stream of what is long, closing it when its reader stops", async () => {
    expect(await gather(inPieces(Buffer.from("short"), 2), 5)).toEqual(Buffer.from("short"));
    let isClosed = false;
    async function* long(): AsyncIterable<Uint8Array> {
      const buffer = Buffer.alloc(4);
      try {
        for (let index = 0; index < 10; index++) yield await Promise.resolve(buffer.fill(48 + index));
      } finally {
        isClosed = true;
      }
    }
    const rest = await gather(long(), 6);
    if (Buffer.isBuffer(rest)) throw new Error("it is long");
    const read: string[] = [];
    for await (const chunk of rest) if (read.push(chunk.toString()) === 4) break;
    expect(read).toEqual(["0000", "1111", "2222", "3333"]);
    expect(isClosed).toBe(true);
  });
});
