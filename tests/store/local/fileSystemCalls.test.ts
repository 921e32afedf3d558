import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { exchange } from "../../../store/local/fileSystemCalls.ts";
import { TestDirectory } from "../testStore.ts";

describe("exchange", () => {
  it("swaps a directory and a file", () => {
    using dir = new TestDirectory();
    const [tree, file] = [`${dir.path}/tree`, `${dir.path}/\u00e9`];
    mkdirSync(tree);
    writeFileSync(`${tree}/x`, "in the tree");
    writeFileSync(Buffer.from(file, "latin1"), "alone");
    expect(exchange(tree, file)).toBe(true);
    expect(readFileSync(tree, "utf8")).toBe("alone");
    expect(readFileSync(Buffer.from(`${file}/x`, "latin1"), "utf8")).toBe("in the tree");
  });

  it("says so where it cannot", () => {
    using dir = new TestDirectory();
    expect(exchange(dir.path, `${dir.path}-absent`)).toBe(false);
  });
});
