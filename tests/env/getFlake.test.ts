import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createStoreContext } from "../../env/index.ts";
import { bytesOfText } from "../../core/index.ts";
import { createEvaluator } from "../../lang/index.ts";

let root: string;
/** Of a directory with a file `file` that holds "data\n", as Nix 2.34 locks it. */
const PLAIN_HASH = "sha256-Z45QmyeIACtiB1vh97OELVJHmHrj6CXRNiRsOlMb8WE=";

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "devshell-test-flake-"));
  vi.stubEnv("HOME", root);
  vi.stubEnv("DEVSHELL_CACHE_DIR", join(root, "cache"));
  vi.stubEnv("NIX_STORE_DIR", join(root, "store"));
  vi.stubEnv("NIX_STATE_DIR", join(root, "var"));
  vi.stubEnv("NIX_LOG_DIR", join(root, "log"));
  vi.stubEnv("NIX_CONF_DIR", join(root, "conf"));
  vi.stubEnv("NIX_CONFIG", "");
  write("plain/file", "data\n");
  write("main/sub/flake.nix", `{ inputs.dep = { }; outputs = { self, dep }: { w = dep.v + "!"; }; }`);
  write("dep/flake.nix", `{ outputs = { self }: { v = "dep"; }; }`);
  write(
    "main/flake.nix",
    `{
      inputs.dep.url = "path:${root}/dep";
      inputs.plain = { url = "path:${root}/plain"; flake = false; };
      inputs.sub = { url = "path:./sub"; inputs.dep.follows = "dep"; };
      outputs = { self, dep, plain, sub }: {
        a = dep.v;
        b = builtins.readFile (plain + "/file");
        c = sub.w;
        d = self.a;
        names = builtins.attrNames plain;
      };
    }`,
  );
});

afterEach(() => {
  vi.unstubAllEnvs();
  execFileSync("chmod", ["-R", "u+w", root]);
  rmSync(root, { recursive: true, force: true });
});

function write(name: string, text: string): void {
  mkdirSync(join(root, name, ".."), { recursive: true });
  writeFileSync(join(root, name), text);
}

function writeLock(plainHash = PLAIN_HASH): void {
  const depHash = String(evaluate(`(builtins.fetchTree "path:${root}/dep").narHash`));
  const path = (of: string): object => ({ path: join(root, of), type: "path" });
  const nodes = {
    root: { inputs: { dep: "dep", plain: "plain", sub: "sub" } },
    dep: { locked: { ...path("dep"), lastModified: 1, narHash: depHash }, original: path("dep") },
    plain: {
      flake: false,
      locked: { ...path("plain"), lastModified: 2, narHash: plainHash },
      original: path("plain"),
    },
    sub: {
      inputs: { dep: ["dep"] },
      locked: { path: "./sub", type: "path" },
      original: { path: "./sub", type: "path" },
      parent: [],
    },
  };
  write("main/flake.lock", JSON.stringify({ nodes, root: "root", version: 7 }));
}

function evaluate(expression: string, mode: "impure" | "pure" = "impure"): unknown {
  using context = createStoreContext({ mode });
  const { host } = context.evaluationHost({ directory: root, includes: [], lockDirectory: undefined });
  const evaluator = createEvaluator(host, {
    isPure: mode === "pure",
    features: new Set(["flakes", "fetch-tree"]),
  });
  const text = `builtins.unsafeDiscardStringContext (builtins.toJSON (${expression}))`;
  const value = evaluator.evalText(text, root, { kind: "string", text });
  if (typeof value !== "string") throw new Error("no JSON");
  return JSON.parse(value);
}

describe("getFlake", { timeout: 60_000 }, () => {
  it("gives the outputs with inputs as flake.lock pins them", () => {
    writeLock();
    const flake = `builtins.getFlake "path:${root}/main"`;
    expect(
      evaluate(`let f = ${flake}; in { inherit (f) a b c d names; sub = f.inputs.sub.outPath; }`),
    ).toEqual({
      a: "dep",
      b: "data\n",
      c: "dep!",
      d: "dep",
      names: ["lastModified", "lastModifiedDate", "narHash", "outPath", "sourceInfo"],
      sub: expect.stringMatching(/-source\/\.\/sub$/) as unknown,
    });
  });

  it("takes a pinned tree from the store when its source has changed, and refuses another", () => {
    writeLock();
    const b = `(builtins.getFlake "path:${root}/main").b`;
    expect(evaluate(b)).toBe("data\n");
    write("plain/file", "other\n");
    expect(evaluate(b)).toBe("data\n");
    writeLock(`sha256-${"A".repeat(43)}=`);
    expect(() => evaluate(b)).toThrow(/NAR hash mismatch in input 'path:/);
  });

  it("is pure: only what is locked", () => {
    writeLock();
    expect(() => evaluate(`builtins.getFlake "path:${root}/main"`, "pure")).toThrow(
      bytesOfText(
        `cannot call 'getFlake' on unlocked flake reference 'path:${root}/main', at «none»:0 (use --impure to override)`,
      ),
    );
    const narHash = String(evaluate(`(builtins.fetchTree "path:${root}/main").narHash`));
    expect(evaluate(`(builtins.getFlake "path:${root}/main?narHash=${narHash}").c`, "pure")).toBe("dep!");
  });

  it("locks what nothing pins, but not where evaluation is pure", () => {
    expect(evaluate(`(builtins.getFlake "path:${root}/main").c`)).toBe("dep!");
    const narHash = String(evaluate(`(builtins.fetchTree "path:${root}/main").narHash`));
    expect(() => evaluate(`builtins.getFlake "path:${root}/main?narHash=${narHash}"`, "pure")).toThrow(
      /cannot update unlocked flake input 'dep' in pure mode/,
    );
  });

  it("refuses lock files that are none, and trees that are no flakes", () => {
    const flake = `builtins.getFlake "path:${root}/main"`;
    write("main/flake.lock", `{ "version": 9 }`);
    expect(() => evaluate(flake)).toThrow(/unsupported version 9/);
    expect(() => evaluate(`builtins.getFlake "path:${root}/plain"`)).toThrow(
      /path '.*-source\/flake\.nix' does not exist/,
    );
  });
});
