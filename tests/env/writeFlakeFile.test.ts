import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { sourceDirectoryOf, writeFlakeFile } from "../../env/flake/writeFlakeFile.ts";
import { flakeReference, parseFlakeReference, type FlakeReference } from "../../lang/index.ts";

let root: string;

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "devshell-test-write-")));
  vi.stubEnv("GIT_CONFIG_GLOBAL", join(root, "gitconfig"));
  vi.stubEnv("HOME", root);
  writeFileSync(
    join(root, "gitconfig"),
    "[user]\nname = x\nemail = x@example.org\n[commit]\ngpgSign = false\n",
  );
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true, force: true });
});

const reference = (text: string): FlakeReference => flakeReference(parseFlakeReference(text));
const git = (...args: string[]): string =>
  execFileSync("git", ["-C", join(root, "repo"), ...args], { encoding: "utf8", stdio: "pipe" });

describe("a flake's file", () => {
  it("is made known to Git, unless that ignores it, and committed where asked", () => {
    mkdirSync(join(root, "repo/sub"), { recursive: true });
    git("init", "--quiet", "--initial-branch=main");
    writeFileSync(join(root, "repo/.gitignore"), "ignored\n");
    git("add", ".gitignore");
    git("commit", "--quiet", "-m", "first");
    const flake = reference(`git+file://${root}/repo?dir=sub`);
    writeFlakeFile(flake, "sub/flake.lock", "{}\n");
    writeFlakeFile(flake, "ignored", "x");
    expect(git("status", "--porcelain")).toBe(" A sub/flake.lock\n");
    writeFlakeFile(flake, "sub/flake.lock", "{ }\n", { commitMessage: "lock\n\nmore\n" });
    expect(git("status", "--porcelain")).toBe("");
    expect(git("log", "-1", "--format=%B").trim()).toBe("lock\n\nmore");
  });

  it("lies where the reference says, or nowhere", () => {
    expect(sourceDirectoryOf(reference("path:/some/where"))).toBe("/some/where");
    expect(sourceDirectoryOf(reference("github:owner/repo"))).toBeUndefined();
    expect(sourceDirectoryOf(reference("git+https://example.org/repo"))).toBeUndefined();
    expect(() => writeFlakeFile(reference("github:owner/repo"), "flake.lock", "")).toThrow(
      "input 'github:owner/repo' does not support modifying file 'flake.lock'",
    );
  });

  it("is not written through a link that leads out of the flake", () => {
    mkdirSync(join(root, "flake"));
    writeFileSync(join(root, "mine"), "mine");
    symlinkSync("../mine", join(root, "flake/flake.lock"));
    expect(() => writeFlakeFile(reference(`path:${root}/flake`), "flake.lock", "theirs")).toThrow(
      /it is a link that leads out of the flake/,
    );
    expect(readFileSync(join(root, "mine"), "utf8")).toBe("mine");
  });
});
