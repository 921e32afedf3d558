import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import { ByteSource, FramedSource } from "../../../store/protocol/byteSource.ts";
import {
  WireWriter,
  readBytes,
  readFlag,
  readId,
  readLarge,
  readList,
  readNumber,
  readString,
  readStrings,
  type Decoder,
} from "../../../store/protocol/wire.ts";

async function read<T>(bytes: Buffer, decoder: Decoder<T>): Promise<T> {
  const stream = new PassThrough();
  stream.end(bytes);
  return await new ByteSource(stream).decode(decoder);
}

describe("the wire's basic types", () => {
  it("writes numbers in 64 bits, little-endian, and strings with length and padding", () => {
    const writer = new WireWriter().number(0x0102).flag(true).string("abc").string("").strings(["x"]);
    expect(writer.take().toString("hex")).toBe(
      [
        "0201000000000000",
        "0100000000000000",
        "0300000000000000",
        "6162630000000000",
        "0000000000000000",
        "0100000000000000",
        "0100000000000000",
        "7800000000000000",
      ].join(""),
    );
  });

  it("grows with what is written, and starts anew once taken", () => {
    const long = "é".repeat(10_000);
    const writer = new WireWriter().string(long);
    expect(writer.take().length).toBe(8 + 10_000);
    expect(writer.take().length).toBe(0);
  });

  it("keeps no more than what was written for what waits to be sent", () => {
    const writer = new WireWriter();
    const numbers = Array.from({ length: 1000 }, (_, index) => index);
    const waiting = numbers.map((number) => writer.number(number).take());
    const held = new Set(waiting.map(({ buffer }) => buffer));
    expect([...held].reduce((sum, { byteLength }) => sum + byteLength, 0)).toBeLessThan(1 << 20);
    expect(waiting.map((bytes) => bytes.readUInt32LE(0))).toEqual(numbers);
  });

  it("reads back what it wrote", async () => {
    const writer = new WireWriter();
    writer
      .number(2 ** 53 - 1)
      .flag(false)
      .string("\xff\0x")
      .strings(["a", "", "bcdefghi"])
      .bytes(Buffer.from("12345678"));
    const all = function* (): Decoder<unknown[]> {
      return [
        yield* readNumber(),
        yield* readFlag(),
        yield* readString(),
        yield* readStrings(),
        yield* readBytes(),
      ];
    };
    expect(await read(writer.take(), all())).toEqual([
      2 ** 53 - 1,
      false,
      "\xff\0x",
      ["a", "", "bcdefghi"],
      Buffer.from("12345678"),
    ]);
  });

  it("takes the largest numbers for what they mean where they mean something", async () => {
    const most = new WireWriter().number((1n << 64n) - 1n).take();
    expect(await read(most, readLarge())).toBe(Number.MAX_SAFE_INTEGER);
    expect(await read(most, readId())).toBe((1n << 64n) - 1n);
    await expect(read(most, readNumber("a size"))).rejects.toThrow("a size is");
  });
});

describe("hostile bytes", () => {
  it("refuses lengths beyond what is possible before it waits for them", async () => {
    const huge = new WireWriter().number(2 ** 40).take();
    await expect(read(huge, readString("a name"))).rejects.toThrow("the length of a name");
    await expect(
      read(
        huge,
        readList("paths", () => readString()),
      ),
    ).rejects.toThrow("the number of paths");
  });

  it("refuses padding that is not zero", async () => {
    const bytes = new WireWriter().string("abc").take();
    bytes[15] = 1;
    await expect(read(bytes, readString("a name"))).rejects.toThrow("the padding of a name is not zero");
  });

  it("says that the other side has gone where the stream is cut, at every byte", async () => {
    const whole = new WireWriter().strings(["abc", "defghijkl"]).take();
    for (let size = 0; size < whole.length; size++)
      await expect(read(whole.subarray(0, size), readStrings())).rejects.toMatchObject({
        code: "PROTOCOL_DISCONNECTED",
      });
    expect(await read(whole, readStrings())).toEqual(["abc", "defghijkl"]);
  });

  it("bounds a message as a whole", async () => {
    const stream = new PassThrough();
    const source = new ByteSource(stream);
    stream.end(new WireWriter().strings(Array.from({ length: 100 }, () => "x".repeat(100))).take());
    await expect(source.decode(readStrings(), 1000)).rejects.toThrow("longer than 1000 bytes");
  });
});

describe("frames", () => {
  const framesOf = (parts: readonly string[]): Buffer => {
    const writer = new WireWriter();
    const buffers = parts.flatMap((part) => [writer.number(part.length).take(), Buffer.from(part)]);
    return Buffer.concat([...buffers, writer.number(0).take()]);
  };

  it("are put together again, and what follows is found", async () => {
    const stream = new PassThrough();
    stream.end(Buffer.concat([framesOf(["hello ", "w", "orld"]), new WireWriter().string("next").take()]));
    const source = new ByteSource(stream);
    const frames = new FramedSource(source);
    const parts: Buffer[] = [];
    for await (const part of frames) parts.push(part);
    expect(Buffer.concat(parts).toString()).toBe("hello world");
    expect(await source.decode(readString())).toBe("next");
  });

  it("hold values that lie across them", async () => {
    const value = new WireWriter().string("a value in pieces").take().toString("latin1");
    const stream = new PassThrough();
    stream.end(framesOf([value.slice(0, 3), value.slice(3, 11), value.slice(11), "rest"]));
    const frames = new FramedSource(new ByteSource(stream));
    expect(await frames.decode(readString())).toBe("a value in pieces");
    const rest: Buffer[] = [];
    for await (const part of frames.take(4)) rest.push(part);
    expect(Buffer.concat(rest).toString()).toBe("rest");
    await frames.drain();
    await expect(frames.decode(readNumber())).rejects.toThrow("the frames end within a value");
  });

  it("are passed over where nobody wants them", async () => {
    const stream = new PassThrough();
    stream.end(Buffer.concat([framesOf(["x".repeat(5000), "y"]), new WireWriter().number(7).take()]));
    const source = new ByteSource(stream);
    await new FramedSource(source).drain();
    expect(await source.decode(readNumber())).toBe(7);
  });

  it("of impossible size are refused", async () => {
    const stream = new PassThrough();
    stream.end(new WireWriter().number(2 ** 33).take());
    await expect(new FramedSource(new ByteSource(stream)).drain()).rejects.toThrow("the length of a frame");
  });
});
