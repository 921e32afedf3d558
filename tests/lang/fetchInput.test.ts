import { describe, expect, it } from "vitest";
import { DevshellError } from "../../core/index.ts";
import { createEvaluator, type FetchRequest, type FetchResult } from "../../lang/index.ts";
import { TestHost } from "./support/testHost.ts";

const REV = "b7d54341d9d337d671e64f79855af42836ccb4a1";
const FEATURES: ReadonlySet<string> = new Set(["flakes", "fetch-tree", "verified-fetches"]);
const HASH = `sha256-${"A".repeat(43)}=`;

class FetchHost extends TestHost {
  readonly requests: FetchRequest[] = [];
  counted = 0;

  override fetch(request?: FetchRequest): FetchResult {
    if (request !== undefined) this.requests.push(request);
    return {
      storePath: "/nix/store/00000000000000000000000000000000-source",
      attributes: new Map<string, string | bigint | boolean>([
        ["narHash", HASH],
        ["lastModified", 1704164645n],
        ["submodules", false],
      ]),
      revCount: () => BigInt(++this.counted),
    };
  }
}

function evaluate(
  expression: string,
  isPure = false,
  host = new FetchHost(),
): { host: FetchHost; json: unknown } {
  const evaluator = createEvaluator(host, { isPure, features: FEATURES });
  const text = `builtins.toJSON (${expression})`;
  const value = evaluator.evalText(text, "/", { kind: "file", path: "/x.nix" });
  return { host, json: typeof value === "string" ? (JSON.parse(value) as unknown) : undefined };
}

function messageOf(expression: string, isPure = false): string {
  try {
    evaluate(expression, isPure);
  } catch (error) {
    if (error instanceof DevshellError) return error.message;
    throw error;
  }
  throw new Error(`${expression} did not fail`);
}

describe("what fetchers are asked for", () => {
  it.each([
    ['fetchGit "/a b"', "git+file:///a%20b?exportIgnore=1"],
    ['fetchGit "git@example.org:x/y"', "git+ssh://git@example.org/x/y?exportIgnore=1"],
    [
      'fetchGit { url = "https://example.org/x"; ref = "main"; submodules = true; }',
      "git+https://example.org/x?ref=main&submodules=1",
    ],
    ['fetchTree { type = "git"; url = "https://example.org/x"; }', "git+https://example.org/x?shallow=1"],
    ['fetchTree "github:o/r/main"', "github:o/r/main"],
    ['fetchTree "path:/a/b?lastModified=5"', "path:/a/b?lastModified=5"],
    ['fetchTree "https://example.org/x?a=1"', "https://example.org/x?a=1"],
  ])("%s is %s", (expression, reference) => {
    const { host } = evaluate(`(${expression}).narHash`);
    expect(host.requests.map((request) => request.reference)).toEqual([reference]);
  });

  it.each([
    [
      'fetchTree { type = "git"; url = "/x"; foo = 1; }',
      "input attribute 'foo' not supported by scheme 'git'",
    ],
    [
      'fetchTree { type = "nope"; url = "/x"; }',
      `cannot show unsupported input '{"type":"nope","url":"/x"}'`,
    ],
    ['fetchTree { type = "git"; }', "input attribute 'url' is missing"],
    ['fetchGit { url = "/x"; rev = "abc"; }', "hash 'abc' has wrong length for hash algorithm 'sha1'"],
    ['fetchGit "-x"', "'-x' is not a valid URL"],
    ['fetchGit "https://example.org/a b"', "'https://example.org/a b' is not a valid URL: leftover"],
    ['fetchTree "github:a"', "URL 'github:a' is invalid"],
    ['fetchTree "foo:bar"', "input 'foo:bar' is unsupported"],
    [
      `fetchTree { type = "github"; owner = "a"; repo = "b"; ref = "c"; rev = "${REV}"; }`,
      "contains both a commit hash",
    ],
    [
      'fetchTree { type = "github"; owner = "a"; repo = "b"; host = "x/y"; }',
      "contains an invalid instance host",
    ],
    ['fetchGit { url = "/x"; publicKey = 1; }', "input attribute 'publicKey' is not a string"],
    ['fetchGit { url = "/x"; verifyCommit = "k"; }', "input attribute 'verifyCommit' is not a Boolean"],
    [
      'fetchTree { type = "tarball"; url = "https://e.org/x"; narHash = "sha256-x"; }',
      "invalid hash 'sha256-x'",
    ],
  ])("%s is refused", (expression, message) => {
    expect(messageOf(expression)).toContain(message);
  });

  it.each([
    "-x",
    "@",
    "a..b",
    ".a",
    "a/.b",
    "a.lock/b",
    "a//b",
    "/a",
    "a/",
    "a b",
    "a:b",
    "a@{b",
    "a\\\\b",
    "*",
    "a.",
    "",
  ])("the ref '%s' is refused", (ref) => {
    expect(messageOf(`fetchGit { url = "/x"; ref = "${ref}"; }`)).toContain("invalid Git branch/tag name");
  });

  it.each(["A/b", "foo./bar", "heads/foo@bar", "branch#", "$1", "foo.locke", "refs/tags/v1", "HEAD"])(
    "the ref '%s' is taken",
    (ref) => {
      expect(evaluate(`(fetchGit { url = "/x"; ref = "${ref}"; }).narHash`).json).toBe(HASH);
    },
  );

  it("names the keys that may have signed it as JSON", () => {
    const keys = '[ { type = "ssh-rsa"; key = "k"; } ]';
    const { host } = evaluate(`(fetchGit { url = "/x"; publicKeys = ${keys}; }).narHash`);
    expect(host.requests[0]?.attributes.get("publicKeys")).toBe('[{"key":"k","type":"ssh-rsa"}]');
  });

  it("must be locked where evaluation is pure", () => {
    expect(messageOf('fetchGit "/x"', true)).toBe(
      "in pure evaluation mode, 'fetchGit' doesn't fetch unlocked input 'git+file:///x?exportIgnore=1'",
    );
    expect(messageOf('fetchTree "github:a/b"', true)).toContain("doesn't fetch unlocked input 'github:a/b'");
    expect(messageOf('fetchTree "path:/x"', true)).toContain("doesn't fetch unlocked input 'path:/x'");
    evaluate(`(fetchGit { url = "/x"; rev = "${REV}"; }).narHash`, true);
    evaluate(`(fetchTree "path:/x?narHash=${HASH}").narHash`, true);
    const { host } = evaluate(`(fetchGit { url = "/x"; ref = "v1"; narHash = "${HASH}"; }).narHash`, true);
    expect(host.messages.join()).toMatch(/warning: Input 'git\+file:.*' is unlocked/);
  });

  it("give attributes that stand where the fetcher was called", () => {
    const line = (name: string): unknown =>
      evaluate(`(builtins.unsafeGetAttrPos "${name}" (\n  fetchGit "/x")).line`).json;
    expect(["outPath", "narHash", "lastModified", "revCount"].map(line)).toEqual([2, 2, 2, 2]);
  });

  it("counts revisions only when that is asked", () => {
    const host = new FetchHost();
    expect(evaluate('builtins.attrNames (fetchGit "/x")', false, host).json).toContain("revCount");
    expect(host.counted).toBe(0);
    expect(evaluate('let x = fetchGit "/x"; in x.revCount + x.revCount', false, host).json).toBe(2);
    expect(host.counted).toBe(1);
  });
});

describe("flake references", () => {
  // what Nix 2.34 says
  it.each([
    ["https://e.org/x", { type: "tarball", url: "https://e.org/x" }],
    ["file+https://e.org/x", { type: "file", url: "https://e.org/x" }],
    ["file:///x/y", { type: "tarball", url: "file:///x/y" }],
    ["gitlab:g%2Fs/r/main", { owner: "g/s", ref: "main", repo: "r", type: "gitlab" }],
    [
      "git+https://e.org/x?foo=1&shallow=1&dir=q",
      { dir: "q", shallow: true, type: "git", url: "https://e.org/x?foo=1" },
    ],
    ["path:///a/b", { path: "/a/b", type: "path" }],
    [`nixpkgs/a/${REV}`, { id: "nixpkgs", ref: "a", rev: REV, type: "indirect" }],
  ])("%s is taken apart", (reference, attributes) => {
    expect(evaluate(`builtins.parseFlakeRef "${reference}"`).json).toEqual(attributes);
  });

  it.each([
    [
      '{ type = "git"; url = "https://e.org/a"; shallow = true; submodules = false; allRefs = true; lastModified = 3; dir = "x"; }',
      "git+https://e.org/a?dir=x&shallow=1",
    ],
    ['{ type = "git"; url = "git@h:x/y"; ref = "a"; }', "git+ssh://git@h/x/y?ref=a"],
    ['{ type = "github"; owner = "a"; repo = "b"; ref = "x/y"; dir = "q"; }', "github:a/b/x%2Fy?dir=q"],
    ['{ type = "gitlab"; owner = "g/s"; repo = "b"; }', "gitlab:g%2Fs/b"],
    [
      `{ type = "tarball"; url = "https://e.org/x?a=b"; narHash = "${HASH}"; rev = "${REV}"; }`,
      `https://e.org/x?a=b&narHash=sha256-${"A".repeat(43)}%3D`,
    ],
    ['{ type = "path"; path = "/a b"; lastModified = 3; }', "path:/a%20b?lastModified=3"],
  ])("%s is put together", (attributes, reference) => {
    expect(evaluate(`builtins.flakeRefToString ${attributes}`).json).toBe(reference);
  });
});
