import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { runCompat } from "../../cli/compat/index.ts";

let root: string;
let written: { out: string; err: string };

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "devshell-test-nix-flake-")));
  vi.stubEnv("HOME", root);
  vi.stubEnv("XDG_CONFIG_HOME", undefined);
  vi.stubEnv("DEVSHELL_CACHE_DIR", join(root, "cache"));
  vi.stubEnv("NIX_STORE_DIR", join(root, "store"));
  vi.stubEnv("NIX_STATE_DIR", join(root, "var"));
  vi.stubEnv("NIX_LOG_DIR", join(root, "log"));
  vi.stubEnv("NIX_CONF_DIR", join(root, "conf"));
  vi.stubEnv("NIX_CONFIG", "flake-registry =\nsystem = x86_64-linux");
  mkdirSync(join(root, "flake"));
  cpSync(join(import.meta.dirname, "flake/flake.nix"), join(root, "flake/flake.nix"));
  written = { out: "", err: "" };
  for (const [key, stream] of [
    ["out", process.stdout],
    ["err", process.stderr],
  ] as const)
    vi.spyOn(stream, "write").mockImplementation((chunk: string | Uint8Array, encoding?: unknown) => {
      const bytes =
        typeof chunk === "string" ? Buffer.from(chunk, encoding === "latin1" ? "latin1" : "utf8") : chunk;
      written[key] += Buffer.from(bytes).toString("utf8");
      return true;
    });
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  execFileSync("chmod", ["-R", "u+w", root]);
  rmSync(root, { recursive: true, force: true });
});

async function nix(...argv: string[]): Promise<{ out: string; err: string }> {
  written = { out: "", err: "" };
  expect(await runCompat("nix", argv)).toBe(0);
  return written;
}

const golden = (name: string): string => readFileSync(join(import.meta.dirname, `flake/${name}.out`), "utf8");

describe("nix flake show", { timeout: 60_000 }, () => {
  it.each([
    ["show", []],
    ["show-legacy", ["--legacy"]],
    ["show-json", ["--json"]],
    ["show-json-legacy", ["--json", "--legacy"]],
  ])("prints what Nix prints: %s", async (name, flags) => {
    const { out } = await nix("flake", "show", ...flags, `path:${root}/flake`);
    // eslint-disable-next-line no-control-regex -- the first line's colours
    expect(out.replace(/path:[^\u001B]*\u001B/, "path:@\u001B")).toBe(golden(name));
  });

  it("names what it leaves out", async () => {
    const { err } = await nix("flake", "show", "--json", `path:${root}/flake`);
    expect(err.split("\n").filter((line) => line.startsWith("warning:"))).toEqual([
      "warning: legacyPackages.x86_64-linux omitted (use '--legacy' to show)",
      "warning: packages.aarch64-linux.default omitted (use '--all-systems' to show)",
    ]);
  });
});

describe("nix registry", { timeout: 60_000 }, () => {
  it("adds, lists, resolves, pins and removes", async () => {
    await nix("registry", "add", "mine", `path:${root}/flake`);
    await nix("registry", "add", "alias", "mine");
    expect((await nix("registry", "list")).out).toBe(
      `user   flake:mine path:${root}/flake\nuser   flake:alias flake:mine\n`,
    );
    expect((await nix("registry", "resolve", "alias")).out).toBe(`path:${root}/flake\n`);
    await nix("registry", "pin", "mine");
    expect((await nix("registry", "resolve", "alias")).out).toMatch(
      /^path:.*\/flake\?lastModified=\d+&narHash=sha256-\S+\n$/,
    );
    await nix("registry", "remove", "mine");
    expect((await nix("registry", "list")).out).toBe("user   flake:alias flake:mine\n");
    await expect(nix("registry", "resolve", "alias")).rejects.toThrow(
      "cannot find flake 'flake:mine' in the flake registries",
    );
  });

  it("is overridden on the command line", async () => {
    const flags = ["--override-flake", "a", `path:${root}/flake`];
    expect((await nix("registry", "list", ...flags)).out).toBe(`flags  flake:a path:${root}/flake\n`);
    expect((await nix("flake", "metadata", "--json", "a", ...flags)).out).toContain(
      '"description":"All that nix flake show tells apart"',
    );
  });
});
