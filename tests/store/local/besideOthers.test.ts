import { existsSync, readdirSync, renameSync, statSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { FileLock, LocalStore } from "../../../store/index.ts";
import { addIndirectRoot, addPermanentRoot } from "../../../store/local/roots.ts";
import { TestDirectory } from "../testStore.ts";

describe("verifying a store that others use", () => {
  it("forgets no path that somebody is just replacing", async () => {
    using dir = new TestDirectory();
    using store = dir.open();
    const path = store.addText("x", "content", []);
    renameSync(path, join(dir.path, "aside"));
    {
      using _lock = FileLock.acquireSync(`${path}.lock`, "exclusive");
      expect(await store.verify()).toMatchObject({ problems: [], forgotten: [] });
      expect(store.isValidPath(path)).toBe(true);
    }
    expect(await store.verify()).toMatchObject({ problems: [], forgotten: [path] });
    expect(existsSync(`${path}.lock`)).toBe(false);
  });
});

describe("a root that is made while a collector looks", () => {
  it("is one in the end", () => {
    using dir = new TestDirectory();
    using store = dir.open();
    const path = store.addText("x", "content", []);
    const link = join(dir.path, "result");
    const auto = join(dir.path, "state/gcroots/auto");
    let calls = 0;
    addPermanentRoot(store, link, path, (absolute) => {
      addIndirectRoot(store, absolute);
      // It points to nothing yet: so a collector deletes it.
      if (calls++ === 0) for (const name of readdirSync(auto)) unlinkSync(join(auto, name));
    });
    expect([...store.findRoots().get(path)!]).toContain(link);
    expect(readdirSync(auto)).toHaveLength(1);
  });
});

describe("the space that is held back for a collector", () => {
  it("is there again when the store is opened after a collection", async () => {
    using dir = new TestDirectory();
    const reserved = join(dir.path, "state/db/reserved");
    {
      using store = dir.open();
      expect(statSync(reserved).size).toBe(8 << 20);
      await store.collectGarbage({ action: "deleteDead" });
      expect(existsSync(reserved)).toBe(false);
    }
    using _store = dir.open();
    expect(statSync(reserved).size).toBe(8 << 20);
  });

  it("is as much as gc-reserved-space says", () => {
    using dir = new TestDirectory();
    const reserved = join(dir.path, "state/db/reserved");
    const open = (bytes: string): void =>
      LocalStore.open(dir.settings({ "gc-reserved-space": bytes }))[Symbol.dispose]();
    for (const [setting, size] of [
      ["10M", 10 << 20],
      ["3145733", (3 << 20) + 5],
    ] as const) {
      open(setting);
      const { size: held, blocks } = statSync(reserved);
      expect(held).toBe(size);
      expect(blocks * 512).toBeGreaterThanOrEqual(size);
    }
    open("0");
    expect(statSync(reserved).size).toBe(0);
    expect(() => open("8 MB")).toThrow("setting 'gc-reserved-space' has invalid value '8 MB'");
  });
});
