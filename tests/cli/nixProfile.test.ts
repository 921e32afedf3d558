import { existsSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { TestCommands, type CommandResult } from "./testCommands.ts";

const FLAKE = `{
  outputs = { self }: let
    text = builtins.readFile;
  in {
    packages.x86_64-linux.default = derivation {
      name = "tool-\${text ./version}"; system = "x86_64-linux"; builder = "/bin/sh"; PATH = "/bin:/usr/bin";
      outputs = [ "out" "man" "dev" ];
      args = [ "-c" "mkdir -p $out/bin $man/share/man $dev/include; echo \${text ./who} > $out/bin/tool" ];
    } // { meta.outputsToInstall = [ "out" "man" ]; };
  };
}
`;

let commands: TestCommands;
let profile: string;
let count = 0;

beforeAll(() => {
  commands = new TestCommands({
    NIX_CONFIG: "flake-registry =\nsystem = x86_64-linux\nexperimental-features = nix-command flakes\n",
  });
  for (const [name, who] of [
    ["one", "first"],
    ["two", "second"],
  ] as const)
    makeFlake(name, who, "1.0");
});
afterAll(() => commands[Symbol.dispose]());
beforeEach(() => {
  profile = join(commands.root, `profiles-${count++}`, "p");
  mkdirSync(join(profile, ".."));
});

function makeFlake(name: string, who: string, version: string): string {
  commands.write(`${name}/flake.nix`, FLAKE);
  writeFileSync(join(commands.root, name, "who"), who);
  writeFileSync(join(commands.root, name, "version"), version);
  return join(commands.root, name);
}
const run = (...args: string[]): CommandResult => {
  const [action = "", ...others] = args;
  return commands.run("nix", ["profile", action, "--profile", profile, ...others]);
};
const succeed = (...args: string[]): CommandResult => {
  const result = run(...args);
  expect(result.err).not.toContain("error:");
  expect(result.status).toBe(0);
  return result;
};
const tool = (): string => readFileSync(join(profile, "bin/tool"), "utf8").trim();
const names = (): string[] =>
  Object.keys((JSON.parse(succeed("list", "--json").out) as { elements: object }).elements);
// eslint-disable-next-line no-control-regex -- the colours are what is taken out
const plain = (text: string): string => text.replace(/\u001B\[[0-9;]*m/g, "");

describe("nix profile", { timeout: 120_000 }, () => {
  it("adds packages of flakes, upgrades and removes them, and goes back", () => {
    const one = makeFlake("one", "first", "1.0");
    succeed("add", one);
    expect(tool()).toBe("first");
    expect(existsSync(join(profile, "share/man"))).toBe(true);
    expect(existsSync(join(profile, "include"))).toBe(false);
    expect(succeed("add", one).err).toContain("warning: 'one' is already added\n");
    makeFlake("one", "changed", "2.0");
    expect(succeed("upgrade", "--all").err).toMatch(
      /^upgrading 'packages\.x86_64-linux\.default' from flake 'path:.*narHash=.*' to 'path:/m,
    );
    expect(tool()).toBe("changed");
    expect(plain(succeed("history").out)).toMatch(
      /^Version 1 \(\d{4}-\d\d-\d\d\):\n {2}path:.*one#packages\.x86_64-linux\.default: ∅ -> 1\.0, 1\.0-man\n\nVersion 2 \(.*\) <- 1:\n {2}path:.*: 1\.0, 1\.0-man -> 2\.0, 2\.0-man\n$/,
    );
    expect(plain(succeed("diff-closures").out)).toBe("Version 1 -> 2:\n  tool: 1.0 → 2.0\n");
    expect(run("rollback").err).toBe("switching profile from version 2 to 1\n");
    expect(tool()).toBe("first");
    succeed("rollback", "--to", "2");
    expect(succeed("remove", "one").err).toMatch(
      /^removing 'path:.*'\nremoved 1 packages, kept 0 packages\n$/,
    );
    expect(existsSync(join(profile, "bin"))).toBe(false);
    succeed("wipe-history");
    expect(plain(succeed("history").out)).toMatch(/^Version 3 \(.*\):\n {2}No changes\.\n$/);
    expect(readlinkSync(profile)).toBe("p-3-link");
  });

  it("writes a manifest, and the very same profile, as Nix does", () => {
    const one = makeFlake("one", "first", "1.0");
    const built = commands.run("nix", ["build", "--no-link", "--print-out-paths", `${one}^man`]).out.trim();
    succeed("add", built, "--priority", "3");
    expect(readFileSync(join(profile, "manifest.json"), "utf8")).toBe(
      `{"elements":{"tool":{"active":true,"priority":3,"storePaths":["${built}"]}},"version":3}`,
    );
    succeed("add", `${one}^*`);
    const { elements } = JSON.parse(readFileSync(join(profile, "manifest.json"), "utf8")) as {
      elements: Record<string, { outputs: unknown; originalUrl: string; url: string; storePaths: unknown[] }>;
    };
    expect(elements["one"]).toMatchObject({
      outputs: ["*"],
      originalUrl: `path:${one}`,
      attrPath: "packages.x86_64-linux.default",
    });
    expect(elements["one"]?.url).toMatch(/^path:.*\?lastModified=\d+&narHash=sha256-/);
    expect(elements["one"]?.storePaths).toHaveLength(3);
    expect(plain(succeed("list").out)).toMatch(
      /^Name: {15}one\nFlake attribute: {4}packages\.x86_64-linux\.default\^\*\nOriginal flake URL: path:.*\nLocked flake URL: {3}path:.*\nStore paths: {8}\S+ \S+ \S+\n\nName: {15}tool\nStore paths: {8}\S+\n$/,
    );
  });

  it("refuses two packages with one file, says what to do, and keeps what was there", () => {
    const [one, two] = [makeFlake("one", "first", "1.0"), makeFlake("two", "second", "1.0")];
    succeed("add", one);
    const { status, err } = run("add", two);
    expect(status).toBe(1);
    expect(err).toMatch(
      /error: An existing package already provides the following file:\n\n {9}".*-tool-1\.0\/bin\/tool"/,
    );
    expect(err).toContain("         nix profile remove one\n");
    expect(err).toContain(
      `         nix profile add path:${two}#packages.x86_64-linux.default --priority 4\n`,
    );
    expect(tool()).toBe("first");
    succeed("add", two, "--priority", "6");
    expect([tool(), names()]).toEqual(["first", ["one", "two"]]);
    succeed("remove", "two");
    succeed("add", two, "--priority", "4");
    expect(tool()).toBe("second");
  });

  it("takes over what nix-env has installed", () => {
    commands.write(
      "old.nix",
      `[ (derivation { name = "old-3"; system = builtins.currentSystem; builder = "/bin/sh"; PATH = "/bin:/usr/bin"; args = [ "-c" "mkdir -p $out/bin; echo old > $out/bin/old" ]; }) ]`,
    );
    expect(commands.run("nix-env", ["-p", profile, "-f", "old.nix", "-i", "old"]).status).toBe(0);
    expect(names()).toEqual(["old"]);
    succeed("add", makeFlake("one", "first", "1.0"));
    expect([names(), readFileSync(join(profile, "bin/old"), "utf8")]).toEqual([["old", "one"], "old\n"]);
    expect(commands.run("nix-env", ["-p", profile, "-q"]).err).toContain("please use 'nix profile' instead");
    expect(succeed("upgrade", "old").err).toContain("it was not added from a flake");
  });

  it("says what matches nothing", () => {
    succeed("add", makeFlake("one", "first", "1.0"));
    expect(run("upgrade", "--all", "x")).toMatchObject({
      status: 1,
      err: "error: --all cannot be used with package names or regular expressions.\nTry 'nix --help' for more information.\n",
    });
    expect(succeed("remove", "--regex", ".*nowhere.*").err).toBe(
      "warning: Regex '.*nowhere.*' does not match any packages in the profile.\nwarning: No packages to remove. Use 'nix profile list' to see the current profile.\n",
    );
    expect(run("remove", "1").err).toContain("no longer supports indices ('1')");
    expect(run("remove").err).toContain("No packages specified.");
    expect(run("frob").status).toBe(1);
  });

  it("is devshell's, too", () => {
    const one = makeFlake("one", "first", "1.0");
    const devshell = (...args: string[]): CommandResult =>
      commands.run(join(import.meta.dirname, "../../cli/devshell"), [
        "profile",
        ...args,
        "--profile",
        profile,
      ]);
    expect(devshell("add", one)).toMatchObject({ status: 0 });
    expect(devshell("add", makeFlake("two", "second", "1.0")).err).toContain("devshell profile remove one");
    expect(devshell("add", join(commands.root, "two"), "--priority", "9")).toMatchObject({ status: 0 });
    expect(names()).toEqual(["one", "two"]);
    expect(devshell("rollback").err).toBe("switching profile from version 2 to 1\n");
    expect(JSON.parse(devshell("list", "--json").out)).toMatchObject({ version: 3, elements: { one: {} } });
  });
});
