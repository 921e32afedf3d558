import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { formatHash, hashBytes, parseHash } from "../../core/index.ts";
import { prefetchFile } from "../../env/index.ts";
import { TestStore } from "../store/realiseFixture.ts";

describe("prefetchFile", () => {
  it("adds a file under the last part of its URL, once its hash is the expected one", async () => {
    await using t = TestStore.create();
    writeFileSync(join(t.dir, "a b.txt"), "hi\n");
    const url = `file://${t.dir}/a%20b.txt?x=y`;
    const request = { url, algorithm: "sha256" } as const;
    await expect(prefetchFile(t.store, request)).rejects.toThrow("a b.txt");
    const { storePath, hash } = await prefetchFile(t.store, { ...request, name: "ab" });
    expect(storePath).toMatch(/-ab$/);
    expect(hash.digest).toEqual(hashBytes("sha256", "hi\n").digest);
    // Known by its hash: not read again.
    const known = { url: "file:///gone/ab", algorithm: "md5", expected: hash } as const;
    expect((await prefetchFile(t.store, known)).storePath).toBe(storePath);
    const wrong = parseHash(formatHash(hashBytes("sha256", "other"), "sri"));
    await expect(prefetchFile(t.store, { ...request, name: "ab", expected: wrong })).rejects.toThrow(
      "its hash differs",
    );
    await expect(prefetchFile(t.store, { url: "nothing", algorithm: "sha256" })).rejects.toThrow(
      "cannot figure out file name for 'nothing'",
    );
  });

  it("unpacks archives, and makes files executable", async () => {
    await using t = TestStore.create();
    mkdirSync(join(t.dir, "tree/inner"), { recursive: true });
    writeFileSync(join(t.dir, "tree/inner/file"), "hi\n");
    execFileSync("tar", ["-cf", join(t.dir, "tree.tar"), "-C", t.dir, "tree"]);
    const url = `file://${t.dir}/tree.tar`;
    const tree = await prefetchFile(t.store, { url, algorithm: "sha256", isUnpacked: true });
    expect(tree.hash.digest).toEqual(t.store.pathInfo(tree.storePath).narHash.digest);
    const file = await prefetchFile(t.store, { url, algorithm: "sha256", isExecutable: true });
    const flat = await prefetchFile(t.store, { url, algorithm: "sha256" });
    expect(new Set([tree.storePath, file.storePath, flat.storePath]).size).toBe(3);
  });
});
