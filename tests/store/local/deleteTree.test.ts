import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, it } from "vitest";
import { deleteLargeTree, deleteTree } from "../../../store/local/files.ts";
import { TestDirectory } from "../testStore.ts";

/** More than are deleted in two turns. */
const COUNT = 1100;

function fill(directory: string): void {
  mkdirSync(directory, { recursive: true });
  for (let index = 0; index < COUNT; index++) writeFileSync(join(directory, `file-${index}`), "");
}

it.runIf(process.geteuid?.() === 0)("root follows no link that is put in a directory's place", async () => {
  using directory = new TestDirectory();
  const [tree, victim] = ["tree", "victim"].map((name) => join(directory.path, name)) as [string, string];
  mkdirSync(victim);
  writeFileSync(join(victim, "file"), "");
  fill(join(tree, "open"));
  const deleting = deleteLargeTree(tree);
  deleting.catch(() => undefined); // awaited below
  await nextTurn();
  const left = readdirSync(join(tree, "open"));
  expect(left.length).toBeLessThan(COUNT);
  renameSync(join(tree, "open"), join(directory.path, "elsewhere"));
  symlinkSync(victim, join(tree, "open"));
  for (const name of left) writeFileSync(join(victim, name), "");
  await expect(deleting).rejects.toThrow("tree");
  expect(readdirSync(victim)).toHaveLength(left.length + 1);
});

it("deletes what is nested deeper than names and open files go, closed directories too", () => {
  using directory = new TestDirectory();
  const tree = join(directory.path, "tree");
  mkdirSync(tree);
  mkdirSync(join(tree, "d/".repeat(200)), { recursive: true });
  mkdirSync(join(tree, `${"directory".repeat(20)}/`.repeat(5)), { recursive: true });
  mkdirSync(join(tree, "closed/inner"), { recursive: true });
  chmodSync(join(tree, "closed"), 0);
  const before = readdirSync("/proc/self/fd").length;
  deleteTree(tree);
  expect(existsSync(tree)).toBe(false);
  expect(readdirSync("/proc/self/fd").length).toBeLessThanOrEqual(before);
});
