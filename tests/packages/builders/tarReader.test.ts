import { describe, expect, it } from "vitest";
import { TarReader, type TarEntry } from "../../../packages/debian/builders/archive/tarReader.ts";
import { makeTar, type TarItem } from "./debFixture.ts";

const LIMITS = { maxEntries: 100, maxBytes: 1 << 20 };

/** Reads an archive in pieces of `step` bytes into entries with their data. */
function read(tar: Buffer, step = tar.length, limits = LIMITS): (TarEntry & { text: string })[] {
  const entries: (TarEntry & { text: string })[] = [];
  let text = "";
  const reader = new TarReader(
    {
      entry: (entry) => {
        text = "";
        entries.push({ ...entry, text: "" });
      },
      data: (chunk) => void (text += chunk.toString("latin1")),
      end: () => {
        const last = entries.pop();
        if (last !== undefined) entries.push({ ...last, text });
      },
    },
    limits,
  );
  for (let at = 0; at < tar.length; at += step) reader.push(tar.subarray(at, at + step));
  reader.finish();
  return entries;
}

const longName = `./usr/share/${"long/".repeat(40)}name`;
const items: TarItem[] = [
  { name: "./", type: "5", mode: 0o755 },
  { name: "./usr/bin/tool", data: "#!/bin/sh\n", mode: 0o4755 },
  { name: "./link", type: "2", link: "usr/bin/tool" },
  { name: "././@LongLink", type: "L", data: `${longName}\0` },
  { name: "cut", data: "x".repeat(700) },
  { name: "./PaxHeaders/x", type: "x", data: "21 path=./in/the/pax\n" },
  { name: "cut2", data: "pax" },
  { name: "./hard", type: "1", link: "./usr/bin/tool" },
  { name: "./empty" },
];

describe("TarReader", () => {
  it.each([1, 7, 512, 10_000])("reads every kind of entry from pieces of %d bytes", (step) => {
    const entries = read(makeTar(items), step);
    expect(entries.map(({ name, kind, text }) => [name, kind, text.length])).toEqual([
      ["./", "directory", 0],
      ["./usr/bin/tool", "file", 10],
      ["./link", "symlink", 0],
      [longName, "file", 700],
      ["./in/the/pax", "file", 3],
      ["./hard", "hardLink", 0],
      ["./empty", "file", 0],
    ]);
    expect(entries[1]?.mode).toBe(0o4755);
    expect(entries[2]?.linkName).toBe("usr/bin/tool");
  });

  it("reads sizes in base 256 and joins a ustar prefix", () => {
    const tar = makeTar([{ name: "name", data: "abc" }]);
    tar.write("prefix/dir", 345, "latin1");
    tar.fill(0, 124, 136);
    tar[124] = 0x80;
    tar[135] = 3;
    tar.write("        ", 148, "latin1");
    const sum = tar.subarray(0, 512).reduce((total, byte) => total + byte, 0);
    tar.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
    expect(read(tar)).toMatchObject([{ name: "prefix/dir/name", sizeBytes: 3, text: "abc" }]);
  });

  it.each<[string, () => Buffer, RegExp]>([
    [
      "an archive that is cut short",
      () => makeTar([{ name: "a", data: "abc" }]).subarray(0, 514),
      /cut short/,
    ],
    ["a missing end mark", () => makeTar([{ name: "a" }], { hasEnd: false }), /no end mark/],
    ["a wrong checksum", () => Buffer.concat([makeTar([{ name: "a" }]).fill("b", 0, 1)]), /checksum/],
    ["an unknown type", () => makeTar([{ name: "a", type: "Z" }]), /unknown type/],
    [
      "a pax record longer than it is",
      () => makeTar([{ name: "p", type: "x", data: "99 path=a\n" }]),
      /pax record/,
    ],
    [
      "a pax size that is no number",
      () => makeTar([{ name: "p", type: "x", data: "12 size=-1\n" }, { name: "a" }]),
      /pax/,
    ],
    ["a name record of megabytes", () => makeTar([{ name: "p", type: "L", size: 2 << 20 }]), /name record/],
  ])("refuses %s", (_, tar, message) => {
    expect(() => read(tar())).toThrow(message);
  });

  it("refuses more entries or bytes than allowed", () => {
    const many = makeTar(Array.from({ length: 5 }, (_, i) => ({ name: `f${i}` })));
    expect(() => read(many, 512, { maxEntries: 4, maxBytes: 1 << 20 })).toThrow(/more than 4 entries/);
    expect(() => read(many, 512, { maxEntries: 9, maxBytes: 2048 })).toThrow(/grows beyond 2048 bytes/);
  });
});
