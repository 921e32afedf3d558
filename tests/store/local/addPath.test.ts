import { closeSync, openSync, readdirSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { hashBytes } from "../../../core/index.ts";
import { hashFlat, hashNar } from "../../../store/index.ts";
import { TestDirectory } from "../testStore.ts";

/** More than is held in memory while it is hashed. */
function largeFile(dir: TestDirectory, name: string, seed = 1): string {
  const file = join(dir.path, name);
  const fd = openSync(file, "w");
  for (let index = 0; index < 33; index++) writeSync(fd, Buffer.alloc(1 << 20, `${seed} ${index},`));
  writeSync(fd, "end");
  closeSync(fd);
  return file;
}

/** What lies in the store beside registered paths. */
function leftovers(dir: TestDirectory): string[] {
  return readdirSync(join(dir.path, "store")).filter(
    (name) => name.startsWith("tmp-") || name.includes(".lock"),
  );
}

describe("large content", () => {
  it.each(["nar", "flat"] as const)("is added by %s, whether its name is new or not", async (method) => {
    using dir = new TestDirectory();
    {
      using store = dir.open();
      for (const seed of [1, 2]) {
        const file = largeFile(dir, "large", seed);
        const planned = store.addPath(file, { name: "large", method, isDryRun: true });
        expect(store.addPath(file, { name: "large", method })).toBe(planned);
        const { hash, sizeBytes } = hashNar(planned);
        expect(store.pathInfo(planned)).toMatchObject({ narHash: hash, narSizeBytes: sizeBytes });
        expect(hashFlat(planned, "sha256")).toEqual(hashFlat(file, "sha256"));
        expect(store.addPath(file, { name: "large", method })).toBe(planned);
      }
      expect(store.allValidPaths()).toHaveLength(2);
      expect((await store.verify({ checkContents: true })).problems).toEqual([]);
    }
    expect(leftovers(dir)).toEqual([]);
  });

  it("leaves nothing where it is refused, or something in it cannot be stored", () => {
    using dir = new TestDirectory();
    {
      using store = dir.open();
      const file = largeFile(dir, "large");
      const expectedHash = hashBytes("sha256", "other");
      expect(() => store.addPath(file, { name: "large", method: "nar", expectedHash })).toThrow(
        /its hash differs/,
      );
      const tree = join(dir.path, "tree");
      expect(() => store.addPath(tree, { name: "tree", method: "nar" })).toThrow(/does not exist/);
      expect(store.allValidPaths()).toEqual([]);
    }
    expect(leftovers(dir)).toEqual([]);
  });

  it("is scanned for references in passing", () => {
    using dir = new TestDirectory();
    using store = dir.open();
    const [a, b] = [store.addText("a", "a", []), store.addText("b", "b", [])];
    const file = largeFile(dir, "large");
    writeFileSync(file, ` uses ${b}`, { flag: "a" });
    const path = store.addPath(file, { name: "large", method: "nar", candidates: [a, b] });
    expect(store.pathInfo(path).references).toEqual([b]);
  });
});

it("another algorithm's address comes with the NAR's own hash", () => {
  using dir = new TestDirectory();
  using store = dir.open();
  writeFileSync(join(dir.path, "f"), "text");
  for (const method of ["nar", "flat"] as const) {
    const path = store.addPath(join(dir.path, "f"), { name: `f-${method}`, method, algorithm: "sha1" });
    const { hash, sizeBytes } = hashNar(path);
    expect(store.pathInfo(path)).toMatchObject({ narHash: hash, narSizeBytes: sizeBytes });
  }
});
