import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestCommands, type CommandResult } from "./testCommands.ts";

let commands: TestCommands;
let profiles: string;

beforeAll(() => {
  commands = new TestCommands();
  profiles = join(
    commands.root,
    process.geteuid?.() === 0 ? "var/profiles/per-user/root" : ".local/state/nix/profiles",
  );
});
afterAll(() => commands[Symbol.dispose]());

const channel = (...args: string[]): CommandResult => commands.run("nix-channel", args);
const succeed = (...args: string[]): string => {
  const { status, out, err } = channel(...args);
  expect(err).not.toContain("error:");
  expect(status).toBe(0);
  return out;
};

/** A channel's directory, as a server has it. @returns its URL */
function publish(name: string, text: string): string {
  const tree = join(commands.root, "trees", name, "nixexprs");
  const server = join(commands.root, "server", name);
  mkdirSync(tree, { recursive: true });
  mkdirSync(server, { recursive: true });
  writeFileSync(
    join(tree, "default.nix"),
    `{ }: { package = derivation { name = "${text}-1.0"; system = builtins.currentSystem; builder = "/bin/sh"; }; }`,
  );
  const { status } = spawnSync("tar", [
    "-cJf",
    join(server, "nixexprs.tar.xz"),
    "-C",
    join(tree, ".."),
    "nixexprs",
  ]);
  expect(status).toBe(0);
  return `file://${server}`;
}
const contentOf = (name: string): string =>
  readFileSync(join(commands.root, ".nix-defexpr/channels", name, "default.nix"), "utf8");

describe("nix-channel", { timeout: 120_000 }, () => {
  it("keeps a list of names and addresses", () => {
    succeed("--add", "https://example.org/tools-unstable");
    succeed("--add", "https://example.org/x", "other");
    expect(succeed("--list")).toBe("other https://example.org/x\ntools https://example.org/tools-unstable\n");
    expect(readFileSync(join(commands.root, ".nix-channels"), "utf8")).toBe(
      "https://example.org/x other\nhttps://example.org/tools-unstable tools\n",
    );
    for (const name of ["other", "tools"]) succeed("--remove", name);
    expect(succeed("--list")).toBe("");
    expect(channel("--add", "gopher://x/y").err).toContain("invalid channel URL 'gopher://x/y'");
    expect(channel("--add", "https://x/y", "a/b").err).toContain("invalid channel identifier 'a/b'");
    expect(channel().err).toContain("no command specified");
    commands.write(".nix-channels", 'https://x/y a"b\n');
    expect(channel("--list").err).toMatch(/line 1: invalid channel identifier/);
    commands.write(".nix-channels", "");
  });

  it("updates all channels or one, goes back, and is found by <…> and nix-env", () => {
    const [one, two] = [publish("one-24.05", "first"), publish("two", "second")];
    succeed("--add", one, "one");
    succeed("--add", two);
    expect(channel("--update").err).toContain("unpacking 2 channels...\n");
    expect(readlinkSync(join(commands.root, ".nix-defexpr/channels"))).toBe(join(profiles, "channels"));
    expect(contentOf("one")).toContain("first-1.0");
    expect(commands.run("nix-env", ["-q", "-p", join(profiles, "channels")]).out).toBe("one-24.05\ntwo\n");
    expect(commands.run("nix-env", ["-qa"]).out).toBe("first-1.0\nsecond-1.0\n");
    expect(commands.run("nix-instantiate", ["--eval", "-E", "(import <two> { }).package.name"]).out).toBe(
      '"second-1.0"\n',
    );
    publish("one-24.05", "first-new");
    publish("two", "second-new");
    succeed("--update", "two");
    expect([contentOf("one"), contentOf("two")].map((text) => text.includes("-new-"))).toEqual([false, true]);
    succeed("--rollback");
    expect(contentOf("two")).not.toContain("-new-");
    expect(succeed("--list-generations")).toMatch(/\(current\)/);
    succeed("--remove", "two");
    expect(existsSync(join(commands.root, ".nix-defexpr/channels/two"))).toBe(false);
    succeed("--add", "file:///nowhere/at/all", "gone");
    expect(channel("--update")).toMatchObject({ status: 1 });
    expect(contentOf("one")).toContain("first-1.0");
  });
});
