import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { readWorkTree } from "../../env/fetch/gitWorkTree.ts";

const root = mkdtempSync(join(tmpdir(), "devshell-tree-"));
afterAll(() => rmSync(root, { recursive: true }));

it("tells which tracked files are gone: they may come back while the index stays as it is", async () => {
  const read = (): ReturnType<typeof readWorkTree> =>
    readWorkTree(root, { signal: new AbortController().signal, submodules: false, exportIgnore: false });
  const git = (...words: string[]): unknown => execFileSync("git", ["-C", root, ...words]);
  for (const name of ["kept", "gone", "untracked"]) writeFileSync(join(root, name), "");
  git("init", "-q");
  git("add", "kept", "gone");
  rmSync(join(root, "gone"));
  const tree = await read();
  expect([[...tree.files], tree.missing]).toEqual([["kept"], ["gone"]]);
});
