import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  lstatSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Interrupted, formatHash, hashBytes, listenForInterrupts } from "../../../core/index.ts";
import { narString } from "../../../store/format/nar.ts";
import { NarLister } from "../../../store/format/narRestore.ts";
import {
  NarReader,
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

  it.each([
    // What just fits into the buffer, and what just does not.
    ["small", [0, 1, 7, 8, 4095]],
    ["of a buffer's size", [(1 << 20) - 12_288 - 200, 100, (1 << 20) - 12_288, 1 << 20, (1 << 20) + 1, 3]],
    ["large", [5_000_001, 17, 4 << 20, (4 << 20) - 1]],
  ])("is the same bytes, whatever fits into the buffer: %s files", (name, sizes) => {
    const root = join(dir, `sizes ${name}`);
    mkdirSync(root);
    const bytes = Buffer.alloc(Math.max(...sizes), "0123456789abcde\n");
    const expected: Buffer[] = [
      narString("nix-archive-1"),
      narString("("),
      narString("type"),
      narString("directory"),
    ];
    for (const [index, size] of sizes.entries()) {
      writeFileSync(join(root, `file${index}`), bytes.subarray(0, size));
      // Without the archive's own beginning.
      expected.push(narString("entry"), narString("("), narString("name"), narString(`file${index}`));
      expected.push(narString("node"), narOfBytes(bytes.subarray(0, size)).subarray(24), narString(")"));
    }
    expected.push(narString(")"));
    const nar = Buffer.concat(expected);
    expect(dump(root).equals(nar)).toBe(true);
    expect(hashNar(root)).toEqual({ hash: hashBytes("sha256", nar), sizeBytes: nar.length });
  });

  it("says so when a file shrinks while it is read", () => {
    const file = join(dir, "shrinking");
    writeFileSync(file, Buffer.alloc(9 << 20));
    const read = (): void => {
      for (const chunk of narChunks(file)) if (chunk.length > 0) truncateSync(file, 0);
    };
    expect(read).toThrow(/it changed while it was read/);
  });

  it("closes the file when its reader stops", () => {
    const file = join(dir, "unread");
    writeFileSync(file, Buffer.alloc(9 << 20));
    const open = (): string[] =>
      readdirSync("/proc/self/fd").filter((fd) => {
        try {
          return readlinkSync(`/proc/self/fd/${fd}`) === file;
        } catch {
          return false; // that of this very listing
        }
      });
    let chunks = 0;
    for (const _ of narChunks(file)) {
      expect(open()).toHaveLength(1);
      if (++chunks === 3) break;
    }
    expect(open()).toEqual([]);
    const controller = new AbortController();
    const read = (): void => {
      for (const _ of narChunks(file, { signal: controller.signal })) controller.abort();
    };
    expect(read).toThrow("This operation was aborted");
    expect(open()).toEqual([]);
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
    expect(() => hashNar(pipe)).toThrow(`file '${pipe}' has an unsupported type`);
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

  it("reads the same from two chunks, wherever the first one ends", async () => {
    const root = join(dir, "two chunks");
    makeTree(root);
    const nar = dump(root);
    const listing = JSON.stringify(await listNar([nar]));
    // All units but contents are in what comes before and after the large file, whose place is known.
    const large = nar.indexOf(narString("big")) + 200;
    const after = Buffer.alloc(40_000, 1);
    for (let end = 1; end < nar.length; end = end === large ? nar.length - 1000 : end + 1) {
      expect(JSON.stringify(await listNar([nar.subarray(0, end), nar.subarray(end)])), `${end}`).toBe(
        listing,
      );
      const reader = new NarReader(new NarLister());
      expect(reader.pushUntilEnd(nar.subarray(0, end))).toBe(end);
      expect(reader.pushUntilEnd(Buffer.concat([nar.subarray(end), after]))).toBe(nar.length - end);
      expect(reader.isDone).toBe(true);
      expect(reader.offset).toBe(nar.length);
    }
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
      /byte \d+: NAR directory is not sorted: entry "a" must sort after "b"/,
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
    await expect(restoreNar(target, [nar(file("theirs"))])).rejects.toThrow(/File exists/);
    expect(readFileSync(target, "utf8")).toBe("mine");
  });

  it("gives names that differ only by case others, and takes that back", async () => {
    const node = directory(
      entry("A", file("1")),
      entry("a", directory(entry("B", file("2")), entry("b", file("3")))),
      entry("b", file("4")),
    );
    const target = join(dir, "cases");
    await restoreNar(target, [nar(node)], { isCaseHacked: true });
    expect(readdirSync(target).sort()).toEqual(["A", "a~nix~case~hack~1", "b"]);
    expect(readdirSync(join(target, "a~nix~case~hack~1")).sort()).toEqual(["B", "b~nix~case~hack~1"]);
    const chunks: Buffer[] = [];
    dumpNar(target, (chunk) => chunks.push(Buffer.from(chunk)), { isCaseHacked: true });
    expect(Buffer.concat(chunks)).toEqual(nar(node));
    writeFileSync(join(target, "b~nix~case~hack~7"), "");
    expect(() => dumpNar(target, () => undefined, { isCaseHacked: true })).toThrow(
      /file name collision between '.*\/b' and '.*\/b~nix~case~hack~7'/,
    );
    rmSync(target, { recursive: true });
    const names = ["Test", "Test~nix~case~hack~1", "test"];
    const clash = nar(directory(...names.map((name) => entry(name, file("")))));
    await expect(restoreNar(target, [clash], { isCaseHacked: true })).rejects.toThrow(
      "file name 'test' that collides with case-hacked file name 'Test~nix~case~hack~1'",
    );
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

it("writing ends where the user interrupts it", () => {
  const tree = join(dir, "interrupted");
  mkdirSync(join(tree, "a"), { recursive: true });
  writeFileSync(join(tree, "a/file"), "x".repeat(1 << 21));
  let asked = 0;
  listenForInterrupts(() => ++asked > 2);
  try {
    expect(() => dumpNar(tree, () => undefined)).toThrow(Interrupted);
  } finally {
    listenForInterrupts(undefined);
  }
  expect(asked).toBe(3);
});
