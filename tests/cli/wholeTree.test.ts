import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

// A whole package tree, by the drop-in commands and by a real Nix. PEER_NIX: the directory of its programs; NIXPKGS: the
// tree; SEED: of the attributes drawn at random. It takes minutes.
const DEVSHELL = resolve(import.meta.dirname, "../../cli/devshell");
const { PEER_NIX: peer = "", NIXPKGS: tree = "", SEED: seed = "1" } = process.env;
const isPossible =
  existsSync(join(peer, "nix-instantiate")) && existsSync(join(tree, "pkgs/top-level/all-packages.nix"));

const NAMED = [
  "hello",
  "pan",
  "firefox",
  "git",
  "gcc",
  "python3",
  "nodejs",
  "emacs",
  "libreoffice",
  "chromium",
  "qemu",
  "blender",
  "texlive.combined.scheme-full",
];
const DRAWN = 60;
const RUN_MS = 600_000;
const TEST_MS = 3_600_000;

/** What the issue of the language asks for: a machine that boots and can be reached. */
const SYSTEM = `{ ... }: {
  boot.loader.grub.device = "/dev/sda";
  fileSystems."/" = { device = "/dev/sda1"; fsType = "ext4"; };
  services.sshd.enable = true;
}
`;

let root: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "devshell-whole-tree-"));
  mkdirSync(join(root, "etc"));
  writeFileSync(join(root, "system.nix"), SYSTEM);
  spawnSync(DEVSHELL, ["compat", join(root, "bin")], { env: environment() });
});

afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

function environment(): Record<string, string> {
  return {
    PATH: "/usr/bin:/bin",
    HOME: root,
    TMPDIR: root,
    DEVSHELL_CACHE_DIR: join(root, "cache"),
    DEVSHELL_EVAL_CACHE: "off",
    NIX_STORE_DIR: "/nix/store",
    NIX_STATE_DIR: join(root, "var"),
    NIX_LOG_DIR: join(root, "log"),
    NIX_CONF_DIR: join(root, "etc"),
    // A whole TeX Live is deeper than what Nix allows by itself.
    NIX_CONFIG: "substituters =\nmax-call-depth = 100000\n",
  };
}

interface Outcome {
  readonly status: number | null;
  readonly out: string;
  /** The last error of the report. */
  readonly error: string | undefined;
}

function run(directory: string, program: string, words: readonly string[]): Outcome {
  const { status, stdout, stderr } = spawnSync(join(directory, program), ["--store", "dummy://", ...words], {
    cwd: root,
    env: environment(),
    encoding: "utf8",
    maxBuffer: 2 ** 30,
    timeout: RUN_MS,
  });
  return { status, out: stdout, error: stderr.match(/error: .*/g)?.at(-1) };
}

/** Runs both and expects the same. @returns whether they succeed */
function compare(program: string, ...words: readonly string[]): boolean {
  const ours = run(join(root, "bin"), program, words);
  const theirs = run(peer, program, words);
  expect([words.at(-1), ours]).toEqual([words.at(-1), theirs]);
  return theirs.status === 0;
}

function compareDrvPath(expression: string): boolean {
  return compare("nix-instantiate", "--eval", "-E", `(${expression}).drvPath`);
}

/** The same numbers for the same seed, from 0 up to 1 (mulberry32). */
function randomNumbers(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe.skipIf(!isPossible)("a whole package tree evaluates as in Nix", () => {
  it.each(NAMED)(
    "%s",
    (name) => {
      expect(compareDrvPath(`(import ${tree} { }).${name}`)).toBe(true);
    },
    TEST_MS,
  );

  it.each(["system", "vm"])(
    "NixOS: %s",
    (name) => {
      expect(compareDrvPath(`(import ${tree}/nixos { configuration = ${root}/system.nix; }).${name}`)).toBe(
        true,
      );
    },
    TEST_MS,
  );

  it(
    `${DRAWN} attributes drawn at random`,
    () => {
      const names = run(peer, "nix-instantiate", [
        "--eval",
        "--json",
        "-E",
        `builtins.attrNames (import ${tree} { })`,
      ]);
      const left = JSON.parse(names.out) as string[];
      const random = randomNumbers(Number(seed));
      // Functions and sets of packages have no derivation path: then both must fail alike, and another is drawn.
      for (let found = 0; found < DRAWN && left.length > 0;) {
        const [name = ""] = left.splice(Math.floor(random() * left.length), 1);
        if (compareDrvPath(`(import ${tree} { })."${name}"`)) found++;
      }
    },
    TEST_MS,
  );

  // Where the tree is not whole the real one fails too: then at the same place.
  it.each([
    ["-qaP"],
    ["-qa", "--description", "--system"],
    ["-qaP", "--drv-path", "--out-path"],
    ["-qaP", "--json", "--meta"],
    ["-qaP", "--xml", "--description"],
  ])(
    "nix-env %s %s %s",
    (...words) => {
      compare("nix-env", "-f", tree, ...words.filter((word) => word !== undefined));
    },
    TEST_MS,
  );
});
