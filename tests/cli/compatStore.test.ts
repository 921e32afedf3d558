import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const DEVSHELL = resolve(import.meta.dirname, "../../cli/devshell");

let root: string;
let input: string;
let user: string;
let userDrv: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "devshell-compat-"));
  spawnSync(DEVSHELL, ["compat", join(root, "bin")], { env: environment() });
  writeFileSync(
    join(root, "default.nix"),
    `let make = name: script: derivation {
      inherit name;
      system = builtins.currentSystem;
      builder = "/bin/sh";
      PATH = "/usr/bin:/bin";
      GREETING = "it's";
      args = [ "-c" script ];
    };
    in rec {
      input = make "input" "echo in > $out; echo a line";
      user = make "user" "mkdir $out; ln -s \${input} $out/input";
    }`,
  );
  input = output("nix-build", "-A", "input", "-o", join(root, "input"));
  userDrv = output("nix-instantiate", "-A", "user");
  user = output("nix-store", "-r", userDrv, "--add-root", join(root, "user"));
  expect(user).toBe(join(root, "user"));
  user = output("nix-store", "-q", userDrv);
});

afterAll(() => {
  spawnSync("chmod", ["-R", "u+w", root]);
  rmSync(root, { recursive: true, force: true });
});

function environment(store = "store"): Record<string, string> {
  return {
    PATH: "/usr/bin:/bin",
    HOME: root,
    DEVSHELL_CACHE_DIR: join(root, "cache"),
    NIX_STORE_DIR: join(root, "store"),
    NIX_STATE_DIR: join(root, store === "store" ? "var" : `var-${store}`),
    NIX_LOG_DIR: join(root, "log"),
    NIX_CONF_DIR: join(root, "etc"),
    NIX_CONFIG: "sandbox = false\nsubstituters =\n",
  };
}

function run(command: string, args: readonly string[], stdin: string | Buffer = "", store?: string) {
  const result = spawnSync(join(root, "bin", command), args, {
    cwd: root,
    env: environment(store),
    input: stdin,
  });
  return { status: result.status, bytes: result.stdout, err: result.stderr.toString("latin1") };
}

function output(command: string, ...args: string[]): string {
  const { status, bytes, err } = run(command, args);
  expect(err + String(status)).toMatch(/0$/);
  return bytes.toString("latin1").replace(/\n$/, "");
}

describe("nix-store --query", () => {
  it("says what refers to what, users last", () => {
    expect(output("nix-store", "-q", "--references", user)).toBe(input);
    expect(output("nix-store", "-q", "--referrers", input)).toBe(user);
    expect(output("nix-store", "-qR", user)).toBe(`${input}\n${user}`);
    expect(output("nix-store", "-q", "--referrers-closure", input)).toBe(`${input}\n${user}`);
    expect(output("nix-store", "-quR", userDrv).split("\n")).toEqual([input, user]);
    expect(output("nix-store", "-qR", "--include-outputs", userDrv).split("\n")).toContain(user);
  });

  it("knows derivers, bindings, hashes, sizes and roots", () => {
    expect(output("nix-store", "-q", "--deriver", user)).toBe(userDrv);
    expect(output("nix-store", "-q", "--valid-derivers", user)).toBe(userDrv);
    expect(output("nix-store", "-qb", "GREETING", user)).toBe("it's");
    expect(output("nix-store", "-q", "--hash", input)).toMatch(/^sha256:[0-9a-z]{52}$/);
    expect(output("nix-store", "-q", "--size", input)).toBe("120");
    expect(output("nix-store", "-q", "--resolve", join(root, "user", "input"))).toBe(user);
    expect(output("nix-store", "-q", "--roots", input).split("\n").toSorted()).toEqual([
      `${join(root, "input")} -> ${input}`,
      `${join(root, "user")} -> ${user}`,
    ]);
    expect(run("nix-store", ["-q", "--hash", `${root}/store/${"a".repeat(32)}-x`]).err).toContain(
      "is not valid",
    );
    expect(run("nix-store", ["-q", "--hash", "--size", input]).err).toContain("conflicts with earlier flag");
  });

  it("draws trees and graphs", () => {
    expect(output("nix-store", "-q", "--tree", user)).toBe(
      Buffer.from(`${user}\n└───${input}`).toString("latin1"),
    );
    expect(output("nix-store", "-q", "--graph", user)).toMatch(/^digraph G \{\n[^]*" -> "[^]*\n\}$/);
    expect(output("nix-store", "-q", "--graphml", user)).toContain('<edge source="');
  });
});

describe("nix-store's other operations", () => {
  it("adds, dumps and restores", () => {
    const tree = join(root, "tree");
    mkdirSync(tree);
    writeFileSync(join(tree, "file"), "text");
    const path = output("nix-store", "--add", tree);
    expect(readFileSync(join(path, "file"), "utf8")).toBe("text");
    expect(output("nix-store", "--add-fixed", "--recursive", "sha256", tree)).toBe(path);
    const hash = output("nix-hash", "--type", "sha256", tree);
    expect(output("nix-store", "--print-fixed-path", "--recursive", "sha256", hash, "tree")).toBe(path);
    const { bytes } = run("nix-store", ["--dump", tree]);
    expect(run("nix-store", ["--restore", join(root, "restored")], bytes).status).toBe(0);
    expect(readFileSync(join(root, "restored/file"), "utf8")).toBe("text");
    const nar = join(root, "tree.nar");
    writeFileSync(nar, bytes);
    const restored = join(root, "restored from a file");
    const script = 'exec "$0" --restore "$1" <"$2"';
    spawnSync("sh", ["-c", script, join(root, "bin/nix-store"), restored, nar], { env: environment() });
    expect(readFileSync(join(restored, "file"), "utf8")).toBe("text");
    writeFileSync(join(tree, "large"), Buffer.alloc(3_000_000, "0123456789abcde"));
    const piped = 'exec "$0" --dump "$1" | { sleep 0.2; exec sha256sum; }';
    const { stdout } = spawnSync("sh", ["-c", piped, join(root, "bin/nix-store"), tree], {
      env: environment(),
    });
    const whole = output("nix-hash", "--type", "sha256", tree);
    expect(stdout.toString().split(" ")[0]).toBe(whole);
    const refused = (place: string): string => run("nix-store", ["--restore", place], bytes).err;
    expect(refused(join(root, "restored"))).toMatch(/creating directory ".*\/restored": File exists/);
    expect(refused(`${root}/gone/..`)).toMatch(/ends in '\.\.', which is not a valid filename/);
    expect(refused("")).toMatch(/destination path is empty/);
  });

  it("exports and imports a closure", () => {
    const exported = run("nix-store", ["--export", input, user]);
    expect(exported.status).toBe(0);
    const garbled = Buffer.from(exported.bytes);
    garbled.writeUInt8(9, 0);
    expect(run("nix-store", ["--import"], garbled, "other").status).toBe(1);
    const cut = exported.bytes.subarray(0, exported.bytes.length - 40);
    expect(run("nix-store", ["--import"], cut, "cut").err).toContain("unexpected end-of-file");
    const nothing = run("nix-store", ["--import"], "what is this?", "cut");
    expect(nothing.err).toContain("input doesn't look like something created by 'nix-store --export'");
    const imported = run("nix-store", ["--import"], exported.bytes, "other");
    expect(imported.err).toBe("");
    expect(imported.bytes.toString()).toBe(`${input}\n${user}\n`);
    const known = run("nix-store", ["-q", "--references", user], "", "other");
    expect(known.bytes.toString()).toBe(`${input}\n`);
  });

  it("dumps and loads its database", () => {
    const dumped = run("nix-store", ["--dump-db", input, user]).bytes;
    const endless = `${input}\n${"0".repeat(64)}\n1\n\n999999999999999\n`;
    const refused = run("nix-store", ["--load-db"], endless, "loaded");
    expect(refused.status).toBe(1);
    expect(refused.err).not.toContain("Invalid array length");
    expect(run("nix-store", ["--load-db"], dumped, "loaded").status).toBe(0);
    expect(run("nix-store", ["--dump-db"], "", "loaded").bytes.toString().split("\n")).toEqual(
      expect.arrayContaining(dumped.toString().split("\n")),
    );
    expect(run("nix-store", ["--check-validity", user], "", "loaded").status).toBe(0);
    expect(run("nix-store", ["--check-validity", user], "", "empty").status).toBe(1);
  });

  it("prints logs and variables", () => {
    expect(output("nix-store", "--read-log", input)).toBe("a line");
    expect(output("nix-store", "--print-env", userDrv)).toContain(`export GREETING; GREETING='it'\\''s'`);
    expect(run("nix-store", ["-l", `${root}/store/${"a".repeat(32)}-x.drv`]).err).toContain(
      "is not available",
    );
  });

  it("verifies", () => {
    expect(run("nix-store", ["--verify", "--check-contents"]).status).toBe(0);
    expect(run("nix-store", ["--verify-path", input]).status).toBe(0);
  });

  it("refuses what it does not know", () => {
    expect(run("nix-store", []).err).toContain("no operation specified");
    expect(run("nix-store", ["--gc", "--add"]).err).toContain("only one operation");
    expect(run("nix-store", ["--gc", "--bogus"]).err).toContain("unrecognised flag '--bogus'");
    expect(run("nix-store", ["--gc", "--max-freed", "1M", "--print-dead"]).err).toContain(
      "cannot be combined",
    );
  });

  it("keeps what is rooted and deletes the rest", () => {
    const loose = join(root, "loose");
    symlinkSync("nowhere", loose);
    const path = output("nix-store", "--add", loose);
    expect(run("nix-store", ["--delete", input]).status).toBe(1);
    expect(output("nix-store", "--gc", "--print-dead").split("\n")).toContain(path);
    expect(output("nix-store", "--gc", "--print-live").split("\n")).toContain(user);
    expect(run("nix-collect-garbage", []).status).toBe(0);
    expect(existsSync(join(user, "input"))).toBe(true);
    expect(run("nix-store", ["--check-validity", path]).status).toBe(1);
  });
});
