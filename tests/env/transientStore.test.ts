// Evaluation in a store that goes with its process (`--eval-store "dummy://?read-only=false"`).
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createStoreContext } from "../../env/index.ts";
import { createEvaluator } from "../../lang/index.ts";

const WRITABLE = "dummy://?read-only=false";
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "devshell-test-transient-"));
  vi.stubEnv("HOME", root);
  vi.stubEnv("TMPDIR", root);
  vi.stubEnv("DEVSHELL_CACHE_DIR", join(root, "cache"));
  vi.stubEnv("NIX_STORE_DIR", join(root, "store"));
  vi.stubEnv("NIX_STATE_DIR", join(root, "var"));
  vi.stubEnv("NIX_LOG_DIR", join(root, "log"));
  vi.stubEnv("NIX_CONF_DIR", join(root, "conf"));
  vi.stubEnv("NIX_CONFIG", "");
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true, force: true });
});

function evaluate(expression: string, stores: { store?: string; evalStore?: string }): unknown {
  using context = createStoreContext(stores);
  const { host } = context.evaluationHost({ directory: root, includes: [], lockDirectory: undefined });
  const evaluator = createEvaluator(host, { features: new Set(["flakes", "fetch-tree"]) });
  const text = `builtins.unsafeDiscardStringContext (builtins.toJSON (${expression}))`;
  const value = evaluator.evalText(text, root, { kind: "string", text });
  host.flush();
  if (typeof value !== "string") throw new Error("no JSON");
  return JSON.parse(value);
}

describe("a store that goes with its process", { timeout: 60_000 }, () => {
  it.each([{ evalStore: WRITABLE }, { store: WRITABLE }])(
    "is written and read by evaluation: %o",
    (stores) => {
      mkdirSync(join(root, "tree"));
      writeFileSync(join(root, "tree/file"), "data\n");
      writeFileSync(join(root, "tree/default.nix"), "{ a = 1; }");
      const expression = `
      let
        tree = builtins.path { path = ${root}/tree; name = "tree"; };
        fetched = builtins.fetchTree { type = "path"; path = "${root}/tree"; };
        downloaded = builtins.fetchurl "file://${root}/tree/file";
        drv = derivation { name = "d"; system = "x"; builder = "b"; src = tree; };
      in {
        text = builtins.readFile (builtins.toFile "text" "hello");
        import = import tree;
        names = builtins.attrNames (builtins.readDir "\${tree}");
        fetched = builtins.readFile "\${fetched}/file";
        downloaded = builtins.readFile downloaded;
        drv = builtins.substring 0 6 (builtins.readFile drv.drvPath);
      }`;
      expect(evaluate(expression, stores)).toEqual({
        text: "hello",
        import: { a: 1 },
        names: ["default.nix", "file"],
        fetched: "data\n",
        downloaded: "data\n",
        drv: "Derive",
      });
      expect(existsSync(join(root, "store"))).toBe(false);
      expect(readdirSync(root).filter((name) => name.startsWith("devshell-store-"))).toEqual([]);
    },
  );

  it("refuses to build what evaluation reads, where it is the store of builds", () => {
    const built = `builtins.readFile (derivation { name = "d"; system = "x86_64-linux"; builder = "/bin/sh"; })`;
    expect(() => evaluate(built, { store: WRITABLE })).toThrow(
      /Unable to build with a primary store that isn't a local store/,
    );
  });
});
