import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { expect, it, vi } from "vitest";
import { narOfBytes } from "../../../../store/index.ts";
import {
  openNarTree,
  openObjectTree,
  type ObjectTree,
} from "../../../../store/remote/binaryCache/objectTree.ts";
import { openRemoteStore } from "../../../../store/remote/openRemoteStore.ts";
import { copyPaths } from "../../../../store/remote/copyPaths.ts";
import { TestPlace } from "./cacheFixture.ts";

async function textIn(tree: ObjectTree): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of tree.read("")) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

it.each(["small", "large ".repeat(100_000)])(
  "an object that is fetched to be looked at leaves no file, whenever its reader ends",
  async (text) => {
    await using t = new TestPlace();
    const temporary = `${t.dir}/temporary`;
    mkdirSync(temporary);
    const path = t.store.addText("text", text, []);
    await using cache = await openRemoteStore(t.settings, `file://${t.dir}/cache?compression=none`, {
      isTarget: true,
    });
    await copyPaths({ source: t.endpoint, target: cache, paths: [path], isRecursive: true });
    const pipe = `${t.dir}/pipe`;
    execFileSync("mkfifo", [pipe]);
    vi.stubEnv("TMPDIR", temporary);
    try {
      const tree = await openObjectTree(cache, path);
      expect(readdirSync(temporary)).toEqual([]);
      expect(await textIn(tree)).toBe(text);
      await tree[Symbol.asyncDispose]();
      const [piped] = await Promise.all([openNarTree(pipe), writeFile(pipe, narOfBytes(Buffer.from(text)))]);
      expect(readdirSync(temporary)).toEqual([]);
      expect(await textIn(piped)).toBe(text);
      await piped[Symbol.asyncDispose]();
    } finally {
      vi.unstubAllEnvs();
    }
  },
);
