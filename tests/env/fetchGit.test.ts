import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { fetchTree, type InputAttributes } from "../../env/fetch/index.ts";
import { gitEnvironment, runGit } from "../../env/fetch/runGit.ts";
import { resolveUrl } from "../../env/fetch/gitSubmodules.ts";
import { findProgram } from "../../io/index.ts";
import { LocalStore, resolveStoreSettings } from "../../store/index.ts";

let root: string;
let repo: string;
let store: LocalStore;
let warnings: string[];
let notes: string[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "devshell-test-git-"));
  vi.stubEnv("HOME", root);
  vi.stubEnv("DEVSHELL_CACHE_DIR", join(root, "cache"));
  vi.stubEnv("GIT_CONFIG_NOSYSTEM", "1");
  for (const who of ["AUTHOR", "COMMITTER"]) {
    vi.stubEnv(`GIT_${who}_NAME`, "Tester");
    vi.stubEnv(`GIT_${who}_EMAIL`, "tester@example.org");
    vi.stubEnv(`GIT_${who}_DATE`, "2024-01-02T03:04:05Z");
  }
  const environment = {
    NIX_STORE_DIR: join(root, "store"),
    NIX_STATE_DIR: join(root, "var"),
    NIX_LOG_DIR: join(root, "log"),
    HOME: root,
  };
  store = LocalStore.open(resolveStoreSettings(environment));
  warnings = [];
  notes = [];
  repo = join(root, "repo");
  mkdirSync(join(repo, "d"), { recursive: true });
  git("init", "-q", "-b", "master");
  write("a", "hi\n");
  writeFileSync(join(repo, "d/x"), "x\n", { mode: 0o755 });
  symlinkSync("a", join(repo, "l"));
  write("skip", "s\n");
  write("t.txt", "one\n$Id$\n");
  write(".gitattributes", "skip export-ignore\n*.txt text eol=crlf ident export-subst\n");
  git("add", "-A");
  git("commit", "-q", "-m", "one");
});

afterEach(() => {
  store[Symbol.dispose]();
  vi.unstubAllEnvs();
  execFileSync("chmod", ["-R", "u+w", root]);
  rmSync(root, { recursive: true, force: true });
});

function git(...args: string[]): string {
  return execFileSync("git", ["-C", repo, ...args], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  }).trim();
}

function write(name: string, text: string): void {
  writeFileSync(join(repo, name), text);
}

type Given = Record<string, string | boolean | bigint>;

async function fetch(
  given: Given,
): Promise<{ path: string; attributes: InputAttributes; inputs: readonly string[] }> {
  const attributes: InputAttributes = new Map(
    Object.entries({ type: "git", url: `file://${repo}`, ...given }),
  );
  const tree = await fetchTree(attributes, "the input", {
    store,
    setting: () => undefined,
    signal: new AbortController().signal,
    warn: (message) => warnings.push(message),
    note: (message) => notes.push(message),
  });
  return { path: tree.storePath, attributes: tree.attributes, inputs: tree.inputs };
}

/** Fetches what must be signed. @param features experimental features that are on */
async function fetchSigned(signed: InputAttributes, features: string): Promise<void> {
  const given = [...Object.entries({ type: "git", url: `file://${repo}` }), ...signed];
  await fetchTree(new Map<string, string | bigint | boolean>(given), "the input", {
    store,
    setting: (name) => (name === "experimental-features" ? features : undefined),
    signal: new AbortController().signal,
    warn: () => undefined,
  });
}

describe("Git inputs", { timeout: 60_000 }, () => {
  // the hashes are those of Nix 2.34 for the same repository
  it("are exported as Nix exports them: raw bytes, export-ignore by attribute", async () => {
    const plain = await fetch({ exportIgnore: false });
    const { attributes, path } = await fetch({ exportIgnore: true });
    expect(attributes.get("narHash")).toBe("sha256-uEDHBmbwsCawk/wnPD8TufYGLUZryJ1YBmmpkTYp9eQ=");
    expect(plain.attributes.get("narHash")).toBe("sha256-0KYCUTBUV2RI/6YNOi1uClQq2kpS2GegPDBKrbIra8U=");
    expect(path).not.toBe(plain.path);
    expect(attributes.get("rev")).toBe("02623628f686066f11ca20d3f2dee809222d800a");
    expect(attributes.get("lastModified")).toBe(1704164645n);
    expect(readdirSync(path).sort()).toEqual([".gitattributes", "a", "d", "l", "t.txt"]);
  });

  it("by revision, ref, clone and clean work tree are one store path", async () => {
    const rev = git("rev-parse", "HEAD");
    execFileSync("git", ["clone", "-q", "--bare", repo, join(root, "bare.git")]);
    const paths = await Promise.all([
      fetch({ exportIgnore: true }),
      fetch({ exportIgnore: true, rev }),
      fetch({ exportIgnore: true, ref: "master" }),
      fetch({ exportIgnore: true, url: `file://${root}/bare.git` }),
      fetch({ exportIgnore: true, url: `file://${root}/bare.git`, rev, shallow: true }),
    ]);
    expect(new Set(paths.map(({ path }) => path)).size).toBe(1);
    expect(readdirSync(join(root, "cache/gitv3")).length).toBe(2);
  });

  it("take what is tracked in a work tree, committed or not", async () => {
    const head = git("rev-parse", "HEAD");
    write("a", "changed\n");
    write("new", "new\n");
    write("untracked", "no\n");
    git("add", "new");
    rmSync(join(repo, "d"), { recursive: true });
    const { path, attributes, inputs } = await fetch({});
    expect(readdirSync(path).sort()).toEqual([".gitattributes", "a", "l", "new", "skip", "t.txt"]);
    expect(readFileSync(join(path, "a"), "utf8")).toBe("changed\n");
    expect(attributes.get("dirtyRev")).toBe(`${head}-dirty`);
    expect(attributes.get("dirtyShortRev")).toBe(`${head.slice(0, 7)}-dirty`);
    expect(attributes.has("rev")).toBe(false);
    expect(warnings).toEqual([`Git tree '${repo}' is dirty`]);
    expect(inputs).toEqual(
      expect.arrayContaining([`${repo}/a`, `${repo}/new`, `${repo}/.git/index`, `${repo}/.git/HEAD`]),
    );
    expect(inputs).not.toContain(`${repo}/untracked`);
  });

  it("without a commit have no revision", async () => {
    repo = join(root, "empty");
    mkdirSync(repo);
    git("init", "-q", "-b", "master");
    const { attributes } = await fetch({});
    expect(Object.fromEntries(attributes)).toMatchObject({
      rev: "0".repeat(40),
      revCount: 0n,
      lastModified: 0n,
      narHash: "sha256-pQpattmS9VmO3ZIQUFn66az8GSmB4IvYhTTCFn6SUmo=",
    });
  });

  it("that are not there are told in the words of Nix and of Git", async () => {
    await expect(fetch({ ref: "nope" })).rejects.toThrow(
      "resolving Git reference 'nope': revspec 'nope' not found (libgit2 error code = 4)",
    );
    const rev = "1".repeat(40);
    await expect(fetch({ rev })).rejects.toThrow(
      `getting Git object '${rev}': object not found - no match for id (${rev}) (libgit2 error code = 9)`,
    );
    const url = "http://user:secret@127.0.0.1:1/absent.git";
    await expect(fetch({ url })).rejects.toThrow(
      "Failed to fetch git repository 'http://127.0.0.1:1/absent.git'",
    );
    const refusal = "fatal: unable to access 'http://127.0.0.1:1/absent.git/': ";
    expect(notes).toEqual([expect.stringContaining(refusal), expect.stringContaining(refusal)]);
    expect(notes.join("")).not.toContain("secret");
  });

  it("are checked against their hash", async () => {
    const narHash = `sha256-${"A".repeat(43)}=`;
    await expect(fetch({ narHash })).rejects.toMatchObject({
      exitStatus: 102,
      message: expect.stringContaining(
        `NAR hash mismatch in input 'the input', expected '${narHash}'`,
      ) as unknown,
    });
  });

  it("bring their submodules, except from a server into this machine", async () => {
    const outer = repo;
    repo = join(root, "inner");
    mkdirSync(repo);
    git("init", "-q", "-b", "master");
    write("content", "inner\n");
    git("add", "-A");
    git("commit", "-q", "-m", "inner");
    repo = outer;
    git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../inner", "sub");
    git("commit", "-q", "-m", "two");
    const rev = git("rev-parse", "HEAD");
    const without = await fetch({ rev });
    expect(readdirSync(join(without.path, "sub"))).toEqual([]);
    const { path } = await fetch({ rev, submodules: true });
    expect(readFileSync(join(path, "sub/content"), "utf8")).toBe("inner\n");
    expect((await fetch({ submodules: true })).path).toBe(path);
    expect(resolveUrl("https://example.org/a/b.git", "../c.git")).toBe("https://example.org/a/c.git");
    expect(resolveUrl("git@example.org:b", "../x")).toBe("git@example.org:x");
    expect(() => resolveUrl("/a", "../../x")).toThrow(/Cannot find submodule/);
    await expect(fetch({ submodules: true, exportIgnore: true })).rejects.toThrow(/not supported together/);
  });

  it("serve from the clone when the repository is gone", async () => {
    const bare = join(root, "bare.git");
    execFileSync("git", ["clone", "-q", "--bare", repo, bare]);
    const first = await fetch({ url: `file://${bare}` });
    rmSync(bare, { recursive: true });
    vi.stubEnv("_NIX_FORCE_HTTP", "1");
    expect((await fetch({ url: `file://${bare}` })).path).toBe(first.path);
  });

  it("refuse what could reach further than a repository", async () => {
    await expect(fetch({ url: "ssh://-oProxyCommand=touch${IFS}pwned/x" })).rejects.toThrow(
      /dash|not a valid URL/,
    );
    await expect(fetch({ url: "ext::sh%20-c%20touch%20/tmp/x" })).rejects.toMatchObject({
      code: "FETCH_GIT",
    });
    await expect(fetch({ lfs: true })).rejects.toThrow(/LFS/);
    await expect(fetch({ url: `file://${root}/absent` })).rejects.toThrow(/does not exist/);
    mkdirSync(join(repo, "nested/.git"), { recursive: true });
    await expect(fetch({ url: `file://${repo}/nested` })).rejects.toMatchObject({ code: "FETCH_GIT" });
  });

  it("run nothing that the repository configures", async () => {
    const mark = join(root, "pwned");
    git("config", "core.fsmonitor", `touch ${mark}; false`);
    writeFileSync(join(repo, ".git/hooks/post-index-change"), `#!/bin/sh\ntouch ${mark}\n`, { mode: 0o755 });
    await fetch({ exportIgnore: true });
    expect(existsSync(mark)).toBe(false);
  });

  const canSign = findProgram("ssh-keygen") !== undefined;
  it.skipIf(!canSign)("are verified by the keys that may have signed them", async () => {
    const [first = "", second = ""] = ["ed25519", "rsa"].map((type) => {
      const file = join(root, `key-${type}`);
      execFileSync("ssh-keygen", ["-q", "-t", type, "-N", "", "-C", "tester", "-f", file]);
      return readFileSync(`${file}.pub`, "utf8").split(" ")[1];
    });
    git("config", "gpg.format", "ssh");
    // Whatever the repository says, it is asked how to check nothing.
    const mark = join(root, "started");
    git("config", "gpg.ssh.program", `touch ${mark}; false`);
    const sign = (key: string): void => {
      const signing = ["-c", "gpg.ssh.program=ssh-keygen", "-c", `user.signingkey=${join(root, key)}.pub`];
      git(...signing, "commit", "-q", "--allow-empty", "-S", "-m", "signed");
    };
    sign("key-ed25519");
    const features = "verified-fetches";
    const ofKeys = (...keys: { type?: string; key: string }[]): InputAttributes =>
      new Map([["publicKeys", JSON.stringify(keys)]]);
    await expect(fetchSigned(ofKeys({ key: first }), "")).rejects.toThrow("'verified-fetches' is disabled");
    await fetchSigned(ofKeys({ key: first }), features);
    await fetchSigned(new Map([["publicKey", first]]), features);
    await fetchSigned(ofKeys({ type: "ssh-rsa", key: second }, { key: first }), features);
    const wrong = [
      [ofKeys({ type: "ssh-rsa", key: second }), "No principal matched"],
      [new Map([["verifyCommit", true]]), "Commit signature verification on commit"],
      [ofKeys({ type: "ssh-odd", key: first }), "Invalid SSH key type 'ssh-odd'"],
      [ofKeys({ key: "a b" }), "it is not base64"],
      [new Map([["publicKeys", '{ "key": 1 }']]), "Cannot read 'publicKeys'"],
    ] as const;
    for (const [attributes, message] of wrong)
      await expect(fetchSigned(attributes, features)).rejects.toThrow(message);
    sign("key-rsa");
    await expect(fetchSigned(ofKeys({ key: first }), features)).rejects.toThrow("No principal matched");
    const rev = git("rev-parse", "HEAD~");
    await fetchSigned(ofKeys({ key: first }).set("rev", rev), features);
    write("a", "changed\n");
    await expect(fetchSigned(ofKeys({ key: first }), features)).rejects.toThrow("but it's dirty");
    expect(existsSync(mark)).toBe(false);
  });

  it("do not write outside their tree", async () => {
    const blob = execFileSync("git", ["-C", repo, "hash-object", "-w", "--stdin"], { input: "/tmp" })
      .toString()
      .trim();
    const inner = execFileSync("git", ["-C", repo, "mktree"], { input: `100644 blob ${blob}\tx\n` })
      .toString()
      .trim();
    const entry = (mode: string, name: string, object: string): Buffer =>
      Buffer.concat([Buffer.from(`${mode} ${name}\0`), Buffer.from(object, "hex")]);
    const commitOf = (...entries: Buffer[]): string => {
      const tree = execFileSync(
        "git",
        ["-C", repo, "hash-object", "-w", "-t", "tree", "--literally", "--stdin"],
        {
          input: Buffer.concat(entries),
        },
      );
      return git("commit-tree", "-m", "bad", tree.toString().trim());
    };
    const climbing = commitOf(entry("40000", "..", inner));
    await expect(fetch({ rev: climbing })).rejects.toThrow(/it has an entry '\.\.|Git/);
    const twice = commitOf(entry("120000", "d", blob), entry("40000", "d", inner));
    await expect(fetch({ rev: twice })).rejects.toThrow(/EEXIST|Git/);
  });
});

describe("a run of Git", () => {
  it("ends when its reader fails with output unread", async () => {
    write("large", "x".repeat(1 << 20));
    const object = git("hash-object", "-w", "large");
    const reading = runGit(["-C", repo, "cat-file", "--batch"], {
      signal: AbortSignal.timeout(30_000),
      input: `${object}\n`.repeat(8),
      onOutput: async (output) => {
        await output[Symbol.asyncIterator]().next();
        throw new Error("enough");
      },
    });
    await expect(reading).rejects.toThrow("enough");
  });
});

describe("Git's environment", () => {
  it("has no prompts, few protocols and no other repository", () => {
    const env = gitEnvironment({ GIT_DIR: "/x", GIT_ALLOW_PROTOCOL: "https:ext", HOME: "/h" });
    expect(env).toMatchObject({ GIT_TERMINAL_PROMPT: "0", GIT_ALLOW_PROTOCOL: "https", HOME: "/h" });
    expect(env["GIT_DIR"]).toBeUndefined();
  });
});
