import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { fetchTree } from "../../env/fetch/index.ts";
import { TestStore } from "../store/realiseFixture.ts";

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

describe("the lock of an input", () => {
  it("lets one fetch, and gives what it fetched to those who waited for it", async () => {
    await using t = TestStore.create();
    vi.stubEnv("DEVSHELL_CACHE_DIR", join(t.dir, "cache"));
    mkdirSync(join(t.dir, "tree"));
    writeFileSync(join(t.dir, "tree/file"), "hi\n");
    const url = `file://${t.dir}/tree.tar`;
    const archive = (): void => {
      execFileSync("tar", ["-cf", join(t.dir, "tree.tar"), "-C", t.dir, "tree"]);
    };
    archive();
    const said: string[] = [];
    vi.spyOn(process.stderr, "write").mockImplementation((text) => {
      said.push(String(text));
      return true;
    });
    const given = new Map(Object.entries({ type: "tarball", url }));
    const context = {
      store: t.store,
      setting: (name: string) => (name === "verbosity" ? "4" : undefined),
      signal: new AbortController().signal,
      warn: (message: string) => said.push(message),
    };
    const fetchOnce = async (): Promise<string> =>
      (await fetchTree(given, `tarball+${url}`, context)).storePath;
    const [first, second] = await Promise.all([fetchOnce(), fetchOnce()]);
    expect(second).toBe(first);
    expect(said.sort()).toEqual([
      `downloading '${url}'...\n`,
      `waiting for another Nix process to finish fetching input 'tarball+${url}'...\n`,
    ]);
    expect(readdirSync(join(t.dir, "cache/fetcher-locks"))).toEqual([]);

    // Files are read anew when nobody fetches them meanwhile.
    writeFileSync(join(t.dir, "tree/file"), "ho\n");
    archive();
    expect(await fetchOnce()).not.toBe(first);
  });
});
