import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestDirectory } from "../store/testStore.ts";

// User environments by the drop-in nix-env, through the launcher and the bundle (`npm test` makes it first).
const DEVSHELL = resolve(import.meta.dirname, "../../cli/devshell");

const PACKAGES = `let
  make = name: meta: derivation {
    inherit name; system = builtins.currentSystem; builder = "/bin/sh"; PATH = "/bin:/usr/bin";
    args = [ "-c" "mkdir -p $out/bin; echo \${name} > $out/bin/tool" ];
  } // { inherit meta; };
in [
  (make "tool-1.0" { })
  (make "tool-2.0" { description = "a \\"tool\\""; })
  (make "other-3" { priority = 9; })
]
`;

let directory: TestDirectory;
let profile: string;

beforeAll(() => {
  directory = new TestDirectory();
  profile = join(directory.path, "profile");
  mkdirSync(join(directory.path, "home"));
  writeFileSync(join(directory.path, "packages.nix"), PACKAGES);
  spawnSync(DEVSHELL, ["compat", join(directory.path, "bin")], { env: environment() });
});
afterAll(() => directory[Symbol.dispose]());

function environment(): Record<string, string> {
  const { path } = directory;
  return {
    PATH: "/usr/bin:/bin",
    HOME: join(path, "home"),
    TMPDIR: path,
    DEVSHELL_CACHE_DIR: join(path, "cache"),
    NIX_STORE_DIR: join(path, "store"),
    NIX_STATE_DIR: join(path, "state"),
    NIX_LOG_DIR: join(path, "log"),
    NIX_CONF_DIR: join(path, "conf"),
    NIX_CONFIG: "substituters =\nsandbox = false\n",
  };
}

function nixEnv(...args: string[]): { status: number | null; out: string; said: string } {
  const program = join(directory.path, "bin/nix-env");
  const { status, stdout, stderr } = spawnSync(
    program,
    ["-p", profile, "-f", join(directory.path, "packages.nix"), ...args],
    { env: environment(), encoding: "utf8" },
  );
  return { status, out: stdout, said: stderr };
}
const succeed = (...args: string[]): string => {
  const { status, out, said } = nixEnv(...args);
  expect(said).not.toContain("error:");
  expect(status).toBe(0);
  return out;
};
const tool = (): string => readFileSync(join(profile, "bin/tool"), "utf8").trim();
const installed = (): string[] => succeed("-q").trim().split("\n").filter(Boolean);

describe("nix-env", () => {
  it("installs, upgrades, removes and rolls back user environments", () => {
    expect(nixEnv("-i", "tool-1.0").said).toContain("installing 'tool-1.0'\n");
    expect([tool(), installed()]).toEqual(["tool-1.0", ["tool-1.0"]]);
    expect(nixEnv("-u", "--dry-run").said).toContain("upgrading 'tool-1.0' to 'tool-2.0'");
    expect(tool()).toBe("tool-1.0");
    succeed("-u");
    expect(tool()).toBe("tool-2.0");
    succeed("-i", "other");
    expect([tool(), installed()]).toEqual(["tool-2.0", ["other-3", "tool-2.0"]]);
    succeed("--set-flag", "priority", "10", "tool");
    expect(tool()).toBe("other-3");
    succeed("-e", "other");
    expect([tool(), installed()]).toEqual(["tool-2.0", ["tool-2.0"]]);
    expect(succeed("-q", "--description", "tool")).toBe('tool-2.0  a "tool"\n');

    expect(nixEnv("--rollback").said).toContain("switching profile from version 5 to 4\n");
    expect([readlinkSync(profile), tool()]).toEqual(["profile-4-link", "other-3"]);
    succeed("--switch-generation", "1");
    expect(tool()).toBe("tool-1.0");
    expect(succeed("--list-generations")).toMatch(/^ {3}1 .*\(current\)\n {3}2 .*\n.*\n.*\n {3}5 .*\n$/);
    expect(nixEnv("--delete-generations", "1").said).toContain("cannot delete current version of profile");
    succeed("--delete-generations", "2", "3");
    expect(
      succeed("--list-generations")
        .match(/^ *\d+/gm)
        ?.map(Number),
    ).toEqual([1, 4, 5]);
  });

  it("refuses two packages with one file, and keeps what was there", () => {
    const before = readlinkSync(profile);
    const { status, said } = nixEnv("-i", "-P", "tool-1.0", "tool-2.0");
    expect(status).not.toBe(0);
    expect(said).toMatch(/conflict for the following files/);
    expect(readlinkSync(profile)).toBe(before);
    expect(nixEnv("-i", "nowhere").said).toContain("selector 'nowhere' matches no derivations");
    expect(nixEnv("-i", "tool", "--frob").status).not.toBe(0);
  });
});
