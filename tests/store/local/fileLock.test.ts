import { closeSync, existsSync, openSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { FileLock, PathLocks, markDiscarded } from "../../../store/local/fileLock.ts";
import { TestDirectory } from "../testStore.ts";

describe("a path's lock", () => {
  it("is never one whose file is gone, though its owner was killed before marking it", async () => {
    using dir = new TestDirectory();
    const [path, file] = [`${dir.path}/x`, `${dir.path}/x.lock`];
    using owner = FileLock.tryAcquire(file, "exclusive");
    if (owner === undefined) throw new Error("The lock is not free");
    const waiting = PathLocks.acquire([path]);
    unlinkSync(file);
    owner[Symbol.dispose]();
    using locks = await waiting;
    expect(existsSync(file)).toBe(true);
    expect(FileLock.tryAcquire(file, "exclusive")).toBeUndefined();
    locks.discard();
    expect(existsSync(file)).toBe(false);
  });

  it("is had where a power cut brought a deleted file back, mark and all", () => {
    using dir = new TestDirectory();
    const file = `${dir.path}/x.lock`;
    writeFileSync(file, "d");
    using _locks = PathLocks.acquireSync([`${dir.path}/x`]);
    expect(statSync(file).size).toBe(0);
    expect(FileLock.tryAcquire(file, "exclusive")).toBeUndefined();
  });
});

it("a lock's file that cannot be marked is named", () => {
  using dir = new TestDirectory();
  const path = `${dir.path}/x.lock`;
  writeFileSync(path, "");
  const fd = openSync(path, "r");
  try {
    expect(() => markDiscarded(fd, path)).toThrow(
      expect.objectContaining({ code: "STORE_WRITE_FAILED", message: expect.stringContaining(path) }),
    );
  } finally {
    closeSync(fd);
  }
});
