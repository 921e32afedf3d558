import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  lstatSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatHash } from "../../../core/index.ts";
import { narString } from "../../../store/format/nar.ts";
import {
  deleteTree,
  dumpNar,
  hashNar,
  listNar,
  narChunks,
  narOfBytes,
  restoreNar,
} from "../../../store/index.ts";

let dir = "";
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "devshell-nar-"));
});
afterAll(() => void deleteTree(dir));

const dump = (path: string, filter?: (path: string) => boolean): Buffer => {
  const chunks: Buffer[] = [];
  dumpNar(path, (chunk) => void chunks.push(Buffer.from(chunk)), { filter });
  return Buffer.concat(chunks);
};

/** The tree whose hash Nix printed below. */
function makeTree(root: string): void {
  mkdirSync(join(root, "a/b"), { recursive: true });
  mkdirSync(join(root, "empty"));
  writeFileSync(join(root, "a/file"), "hello");
  writeFileSync(join(root, "zero"), "");
  writeFileSync(join(root, "run"), "#!/bin/sh\n");
  chmodSync(join(root, "run"), 0o755);
  symlinkSync("../x/y", join(root, "a/link"));
  writeFileSync(join(root, "a.b"), "x");
  writeFileSync(join(root, "a-b"), "y");
  writeFileSync(join(root, "ü"), "ü");
  writeFileSync(join(root, "big"), Buffer.alloc(100_000));
}

describe("dumping", () => {
  it("gives the hash that nix-hash prints", () => {
    const root = join(dir, "tree");
    makeTree(root);
    const { hash, sizeBytes } = hashNar(root);
    expect(formatHash(hash, "nix32")).toBe("1nwi599w6ycpjnqzq0mgw5k7svpqj1ahfxlnxy88w0ak6cg8xq2x");
    expect(sizeBytes).toBe(102_160);
  });

  it("streams files beyond its buffer in pieces", () => {
    const file = join(dir, "large");
    const bytes = Buffer.alloc(5_000_001, "abcdefg");
    writeFileSync(file, bytes);
    const sizes = [...narChunks(file)].map((chunk) => chunk.length);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(1 << 20);
    expect(dump(file).equals(narOfBytes(bytes))).toBe(true);
  });

  it("leaves out what the filter refuses, without looking inside", () => {
    const asked: string[] = [];
    const filtered = dump(join(dir, "tree"), (path) => {
      asked.push(path.slice(dir.length));
      return !path.endsWith("/a") && !path.endsWith("/big");
    });
    expect(asked).not.toContain("/tree/a/file");
    expect(filtered.includes("hello")).toBe(false);
    expect(filtered.includes("a-b")).toBe(true);
  });

  it("refuses pipes and what is absent", () => {
    const pipe = join(dir, "pipe");
    spawnSync("mkfifo", [pipe]);
    expect(() => hashNar(pipe)).toThrow(/only files, directories and symlinks/);
    expect(() => hashNar(join(dir, "absent"))).toThrow(/it does not exist/);
  });
});

describe("restoring", () => {
  it.each([1, 7, 8, 1000, 1 << 20])("rebuilds the tree from chunks of %i bytes", async (size) => {
    const nar = dump(join(dir, "tree"));
    const chunks = Array.from({ length: Math.ceil(nar.length / size) }, (_, i) =>
      nar.subarray(i * size, (i + 1) * size),
    );
    const target = join(dir, `restored-${size}`);
    await restoreNar(target, chunks, { isCanonical: true });
    expect(dump(target).equals(nar)).toBe(true);
    expect(statSync(join(target, "run")).mode & 0o7777).toBe(0o555);
    expect(statSync(join(target, "zero")).mode & 0o7777).toBe(0o444);
    expect(statSync(join(target, "a")).mode & 0o7777).toBe(0o555);
    expect(lstatSync(join(target, "a/link")).mtimeMs).toBe(1000);
    expect(statSync(target).mtimeMs).toBe(1000);
  });

  it("is not fooled by a umask", async () => {
    const old = process.umask(0o077);
    try {
      const target = join(dir, "umask");
      await restoreNar(target, [dump(join(dir, "tree"))], { isCanonical: true });
      expect(statSync(join(target, "run")).mode & 0o7777).toBe(0o555);
      expect(statSync(join(target, "zero")).mode & 0o7777).toBe(0o444);
    } finally {
      process.umask(old);
    }
  });

  it("lists what a NAR holds, with offsets into it", async () => {
    const nar = dump(join(dir, "tree"));
    const listing = await listNar([nar]);
    if (listing.type !== "directory") throw new Error("not a directory");
    const { a, run, empty } = listing.entries;
    expect(empty).toEqual({ type: "directory", entries: {} });
    if (a?.type !== "directory" || run?.type !== "regular") throw new Error("wrong types");
    expect(a.entries["link"]).toEqual({ type: "symlink", target: "../x/y" });
    expect(run.executable).toBe(true);
    expect(nar.subarray(run.narOffset, run.narOffset + run.size).toString()).toBe("#!/bin/sh\n");
  });

  it("round-trips any tree", async () => {
    type Tree =
      | string
      | { readonly link: string }
      | { readonly entries: readonly (readonly [string, Tree])[] };
    const name = fc
      .string({
        unit: fc.constantFrom("a", "b", "A", "B", ".", "-", "_", "é", "~", " "),
        minLength: 1,
        maxLength: 4,
      })
      .filter((text) => text !== "." && text !== "..");
    const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
      tree: fc.oneof(
        { depthSize: "small" },
        fc.string(),
        fc.record({ link: name }),
        fc.record({
          entries: fc.uniqueArray(fc.tuple(name, tie("tree")), { selector: ([key]) => key, maxLength: 4 }),
        }),
      ),
    }));
    const write = (path: string, value: Tree): void => {
      if (typeof value === "string") writeFileSync(path, value);
      else if ("link" in value) symlinkSync(value.link, path);
      else {
        mkdirSync(path);
        for (const [key, child] of value.entries) write(join(path, key), child);
      }
    };
    await fc.assert(
      fc.asyncProperty(tree, fc.integer({ min: 1, max: 64 }), async (value, size) => {
        const source = join(dir, "source");
        const target = join(dir, "target");
        write(source, value);
        const nar = dump(Buffer.from(source).toString("latin1"));
        const chunks = Array.from({ length: Math.ceil(nar.length / size) }, (_, i) =>
          nar.subarray(i * size, (i + 1) * size),
        );
        await restoreNar(target, chunks);
        expect(dump(target).equals(nar)).toBe(true);
        rmSync(source, { recursive: true, force: true });
        rmSync(target, { recursive: true, force: true });
      }),
      { numRuns: 50 },
    );
  });
});

describe("hostile archives", () => {
  const s = (...texts: string[]): Buffer => Buffer.concat(texts.map(narString));
  const file = (content: string): Buffer => s("(", "type", "regular", "contents", content, ")");
  const entry = (name: string, node: Buffer): Buffer =>
    Buffer.concat([s("entry", "(", "name", name, "node"), node, s(")")]);
  const directory = (...entries: Buffer[]): Buffer =>
    Buffer.concat([s("(", "type", "directory"), ...entries, s(")")]);
  const nar = (node: Buffer): Buffer => Buffer.concat([s("nix-archive-1"), node]);
  const size = (value: bigint): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(value);
    return bytes;
  };
  const deep = (depth: number): Buffer =>
    Buffer.concat([
      ...Array.from({ length: depth }, () => s("(", "type", "directory", "entry", "(", "name", "d", "node")),
      file(""),
    ]);
  const badPadding = narOfBytes(Buffer.from("abc"));
  badPadding[badPadding.length - 17] = 1;

  it.each<[string, Buffer, RegExp]>([
    ["not an archive", Buffer.from("PK\x03\x04 some zip file"), /byte 0: this is not a Nix archive/],
    ["empty", Buffer.alloc(0), /unexpected end/],
    ["..", nar(directory(entry("..", file("x")))), /entry name "\.\." is not possible/],
    [".", nar(directory(entry(".", file("x")))), /is not possible/],
    ["empty name", nar(directory(entry("", file("x")))), /is not possible/],
    ["slash", nar(directory(entry("a/b", file("x")))), /entry name "a\/b" is not possible/],
    ["NUL", nar(directory(entry("a\0b", file("x")))), /is not possible/],
    [
      "disorder",
      nar(directory(entry("b", file("")), entry("a", file("")))),
      /byte \d+: entry "a" must sort after "b"/,
    ],
    [
      "duplicate",
      nar(
        directory(
          entry("a", s("(", "type", "symlink", "target", "/etc", ")")),
          entry("a", directory(entry("passwd", file("x")))),
        ),
      ),
      /"a" occurs twice/,
    ],
    ["long name", nar(directory(entry("a".repeat(256), file("")))), /at most 255/],
    ["long target", nar(s("(", "type", "symlink", "target", "a".repeat(4096), ")")), /at most 4095/],
    ["empty target", nar(s("(", "type", "symlink", "target", "", ")")), /not possible/],
    ["device", nar(s("(", "type", "device", ")")), /unknown file type "device"/],
    ["deep", nar(deep(5000)), /nest deeper/],
    ["huge string", nar(Buffer.concat([s("(", "type"), size(1n << 62n)])), /byte \d+: a size beyond/],
    ["huge token", nar(Buffer.concat([s("(", "type"), size(1n << 40n)])), /at most 32/],
    [
      "huge file",
      nar(Buffer.concat([s("(", "type", "regular", "contents"), size(1n << 63n)])),
      /a size beyond/,
    ],
    [
      "truncated file",
      nar(Buffer.concat([s("(", "type", "regular", "contents"), size(1n << 40n), Buffer.from("abc")])),
      /unexpected end/,
    ],
    ["padding", badPadding, /padding is not zero/],
    [
      "trailing",
      Buffer.concat([narOfBytes(Buffer.from("abc")), Buffer.from("x")]),
      /unexpected bytes after the end/,
    ],
    [
      "executable marker",
      nar(s("(", "type", "regular", "executable", "x", "contents", "", ")")),
      /at most 0/,
    ],
  ])("%s is refused", async (_name, bytes, message) => {
    const target = join(dir, "hostile");
    try {
      await expect(restoreNar(target, [bytes])).rejects.toThrow(message);
      await expect(listNar([...bytes].map((byte) => Buffer.of(byte)))).rejects.toThrow(message);
    } finally {
      rmSync(target, { recursive: true, force: true });
    }
  });

  it("is never written through a symlink or over a file", async () => {
    const target = join(dir, "taken");
    writeFileSync(target, "mine");
    await expect(restoreNar(target, [nar(file("theirs"))])).rejects.toThrow(/exists already/);
    expect(readFileSync(target, "utf8")).toBe("mine");
  });

  it("any change of a byte is an error or another tree, never a crash", async () => {
    const bytes = nar(
      directory(entry("a", file("hello")), entry("b", s("(", "type", "symlink", "target", "a", ")"))),
    );
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 0x55;
      await listNar([changed]).then(
        () => undefined,
        (error: unknown) => expect(String((error as Error).message)).toMatch(/^Cannot read NAR at byte \d+/),
      );
    }
  });
});
