import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestCommands, type CommandResult } from "./testCommands.ts";

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

let commands: TestCommands;
let profile: string;

beforeAll(() => {
  commands = new TestCommands();
  profile = join(commands.root, "profile");
  commands.write("packages.nix", PACKAGES);
});
afterAll(() => commands[Symbol.dispose]());

function nixEnv(...args: string[]): CommandResult {
  return commands.run("nix-env", ["-p", profile, "-f", "packages.nix", ...args]);
}
const succeed = (...args: string[]): string => {
  const { status, out, err } = nixEnv(...args);
  expect(err).not.toContain("error:");
  expect(status).toBe(0);
  return out;
};
const tool = (): string => readFileSync(join(profile, "bin/tool"), "utf8").trim();
const installed = (): string[] => succeed("-q").trim().split("\n").filter(Boolean);

describe("nix-env", () => {
  it("installs, upgrades, removes and rolls back user environments", () => {
    expect(nixEnv("-i", "tool-1.0").err).toContain("installing 'tool-1.0'\n");
    expect([tool(), installed()]).toEqual(["tool-1.0", ["tool-1.0"]]);
    expect(nixEnv("-u", "--dry-run").err).toContain("upgrading 'tool-1.0' to 'tool-2.0'");
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

    expect(nixEnv("--rollback").err).toContain("switching profile from version 5 to 4\n");
    expect([readlinkSync(profile), tool()]).toEqual(["profile-4-link", "other-3"]);
    succeed("--switch-generation", "1");
    expect(tool()).toBe("tool-1.0");
    expect(succeed("--list-generations")).toMatch(/^ {3}1 .*\(current\)\n {3}2 .*\n.*\n.*\n {3}5 .*\n$/);
    expect(nixEnv("--delete-generations", "1").err).toContain("cannot delete current version of profile");
    succeed("--delete-generations", "2", "3");
    expect(
      succeed("--list-generations")
        .match(/^ *\d+/gm)
        ?.map(Number),
    ).toEqual([1, 4, 5]);
  });

  it("refuses two packages with one file, and keeps what was there", () => {
    const before = readlinkSync(profile);
    const { status, err } = nixEnv("-i", "-P", "tool-1.0", "tool-2.0");
    expect(status).not.toBe(0);
    expect(err).toMatch(/conflict for the following files/);
    expect(readlinkSync(profile)).toBe(before);
    expect(nixEnv("-i", "nowhere").err).toContain("selector 'nowhere' matches no derivations");
    expect(nixEnv("-i", "tool", "--frob").status).not.toBe(0);
  });

  it("has a user's files below the state directory where that is asked for", () => {
    const state = join(commands.root, "state");
    const env = { XDG_STATE_HOME: state, NIX_CONFIG: "use-xdg-base-directories = true\nsubstituters =" };
    commands.write("state/nix/defexpr/tools.nix", PACKAGES);
    commands.write("state/nix/defexpr/channels/nixpkgs/default.nix", '{ found = "found"; }');
    const run = (command: string, ...args: string[]): CommandResult => commands.run(command, args, { env });
    expect(run("nix-env", "-i", "tool-2.0", "--option", "sandbox", "false").err).not.toContain("error:");
    expect(readFileSync(join(state, "nix/profile/bin/tool"), "utf8")).toBe("tool-2.0\n");
    expect(run("nix-env", "-q").out).toBe("tool-2.0\n");
    expect(run("nix-env", "-qa", "other").out).toBe("other-3\n");
    expect(run("nix-env", "--list-generations").out).toMatch(/^ +1 .*\(current\)\n$/);
    expect(run("nix-instantiate", "--eval", "<nixpkgs>", "-A", "found").out).toBe('"found"\n');
    expect([".nix-profile", ".nix-defexpr"].filter((name) => existsSync(join(commands.root, name)))).toEqual(
      [],
    );
  });
});
