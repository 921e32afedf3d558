import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { fetchTree, type InputAttributes } from "../../env/fetch/index.ts";
import { writeFlakeFile } from "../../env/flake/writeFlakeFile.ts";
import { findProgram } from "../../io/index.ts";
import { TestStore } from "../store/realiseFixture.ts";

const hasMercurial = findProgram("hg") !== undefined;
let t: TestStore;
let repo: string;
let ttl: string | undefined;

beforeEach(() => {
  t = TestStore.create();
  repo = join(t.dir, "repo");
  ttl = undefined;
  vi.stubEnv("DEVSHELL_CACHE_DIR", join(t.dir, "cache"));
  vi.stubEnv("HGRCPATH", "");
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await t[Symbol.asyncDispose]();
});

interface Fetched {
  readonly path: string;
  readonly attributes: InputAttributes;
  readonly inputs: readonly string[];
}

async function fetch(given: Record<string, string> = {}): Promise<Fetched> {
  const attributes: InputAttributes = new Map(
    Object.entries({ type: "hg", url: `file://${repo}`, ...given }),
  );
  const { storePath, ...tree } = await fetchTree(attributes, "the input", {
    store: t.store,
    setting: (name) => (name === "tarball-ttl" ? ttl : undefined),
    signal: new AbortController().signal,
    warn: () => undefined,
  });
  return { path: t.store.realPath(storePath), attributes: tree.attributes, inputs: tree.inputs };
}

function hg(...args: string[]): string {
  return execFileSync("hg", ["--cwd", repo, "--config", "ui.username=tester", ...args], {
    encoding: "utf8",
  }).trim();
}

function read({ path }: Fetched): string {
  return readFileSync(join(path, "hello"), "utf8");
}

describe("Mercurial inputs", () => {
  it.skipIf(hasMercurial)("say so where there is no Mercurial", async () => {
    await expect(fetch()).rejects.toThrow("there is no program 'hg'");
  });

  it("refuse names that Mercurial could take for options or expressions", async () => {
    for (const ref of ["--config=hooks.pre-log=true", "-r", "all() or", "1::2"])
      await expect(fetch({ ref })).rejects.toThrow(`invalid Mercurial branch/tag name '${ref}'`);
  });

  describe.skipIf(!hasMercurial)("with Mercurial", { timeout: 60_000 }, () => {
    beforeEach(() => {
      mkdirSync(repo);
      hg("init");
      const mark = join(t.dir, "started");
      writeFileSync(join(repo, ".hg/hgrc"), `[hooks]\npre-status = touch ${mark}\npre-log = touch ${mark}\n`);
      writeFileSync(join(repo, "hello"), "one\n");
      hg("--config", "hooks.pre-add=", "add", "hello");
      hg("commit", "-m", "one", "-d", "0 0");
      writeFileSync(join(repo, "hello"), "two\n");
      hg("commit", "-m", "two", "-d", "1 0");
      execFileSync("rm", ["-f", mark]);
    });

    it("are the working tree with its changes, or a revision", async () => {
      const clean = await fetch();
      expect([read(clean), clean.attributes.get("revCount"), clean.attributes.get("ref")]).toEqual([
        "two\n",
        1n,
        "default",
      ]);
      expect(clean.inputs).toContain(join(repo, "hello"));
      const first = await fetch({ ref: "0" });
      expect([read(first), first.attributes.get("revCount")]).toEqual(["one\n", 0n]);
      const rev = String(first.attributes.get("rev"));
      expect((await fetch({ rev })).path).toBe(first.path);
      writeFileSync(join(repo, "hello"), "changed\n");
      writeFileSync(join(repo, "unknown"), "");
      const dirty = await fetch();
      expect([read(dirty), dirty.attributes.has("rev"), existsSync(join(dirty.path, "unknown"))]).toEqual([
        "changed\n",
        false,
        false,
      ]);
      expect((await fetch({ ref: "default", name: "named" })).path).toMatch(/-named$/);
      // Whatever the repository configures is not started.
      expect(existsSync(join(t.dir, "started"))).toBe(false);
    });

    it("track what is written into them, and commit it where that is asked for", () => {
      const attributes = new Map([
        ["type", "hg"],
        ["url", `file://${repo}`],
      ]);
      const write = (text: string, commitMessage?: string): void =>
        writeFlakeFile({ attributes, dir: "" }, "flake.lock", text, { commitMessage });
      write("{}");
      expect(hg("status")).toBe("A flake.lock");
      write("{ }", "locked");
      expect([hg("status"), hg("log", "-r", ".", "--template", "{desc} {files}")]).toEqual([
        "",
        "locked flake.lock",
      ]);
    });

    it("serve from what was fetched when the repository is gone", async () => {
      const clean = await fetch();
      renameSync(repo, `${repo}-gone`);
      expect((await fetch()).path).toBe(clean.path);
      const rev = String(clean.attributes.get("rev"));
      ttl = "0";
      await expect(fetch()).rejects.toThrow("program 'hg' failed");
      expect((await fetch({ rev })).path).toBe(clean.path);
    });
  });
});
