import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  createStoreContext,
  lockFlake,
  openEvaluation,
  parseReference,
  type LockOptions,
} from "../../env/index.ts";
import { LOCK_CASES, type LockStep } from "./flakeLock/cases.ts";
import { layOut, lockText, runSteps } from "./flakeLock/runCase.ts";

let home: string;
let root: string;

beforeEach(() => {
  home = realpathSync(mkdtempSync(join(tmpdir(), "devshell-test-lock-")));
  root = join(home, "flakes");
  mkdirSync(root);
  vi.stubEnv("HOME", home);
  vi.stubEnv("XDG_CONFIG_HOME", undefined);
  vi.stubEnv("DEVSHELL_CACHE_DIR", join(home, "cache"));
  vi.stubEnv("NIX_STORE_DIR", join(home, "store"));
  vi.stubEnv("NIX_STATE_DIR", join(home, "var"));
  vi.stubEnv("NIX_LOG_DIR", join(home, "log"));
  vi.stubEnv("NIX_CONF_DIR", join(home, "conf"));
  vi.stubEnv(
    "NIX_CONFIG",
    `experimental-features = nix-command flakes\nflake-registry = ${root}/registry.json`,
  );
});

afterEach(() => {
  vi.unstubAllEnvs();
  execFileSync("chmod", ["-R", "u+w", home]);
  rmSync(home, { recursive: true, force: true });
});

function golden(name: string): string {
  return readFileSync(join(import.meta.dirname, `flakeLock/${name}.lock`), "utf8");
}

function lock({
  flake,
  overrides = {},
  updates = [],
  isRecreated,
}: Extract<LockStep, { kind: "lock" }>): void {
  using context = createStoreContext({ mode: "pure" });
  const { evaluator } = openEvaluation(context, { directory: root, includes: [] });
  const reference = (text: string): ReturnType<typeof parseReference> =>
    parseReference(text, { directory: root });
  const options: LockOptions = {
    isRecreated,
    updates: new Set(updates),
    overrides: new Map(Object.entries(overrides).map(([path, text]) => [path, reference(text)])),
  };
  lockFlake({ context, evaluator }, reference(`path:${root}/${flake}`), options);
}

describe("flake.lock", { timeout: 60_000 }, () => {
  it.each(LOCK_CASES)("is Nix's to the byte: $name", (each) => {
    layOut(root, each);
    runSteps(root, each.steps, lock);
    expect(lockText(root)).toBe(golden(each.name));
  });
});

const PEER = process.env["PEER_NIX"];

describe.skipIf(PEER === undefined)("Nix itself", { timeout: 60_000 }, () => {
  it.each(LOCK_CASES)("writes the golden: $name", (each) => {
    layOut(root, each);
    runSteps(root, each.steps, ({ flake, overrides = {}, updates = [], isRecreated }) => {
      const isUpdate = isRecreated === true || updates.length > 0;
      const args = isUpdate
        ? ["update", ...updates, "--flake", `path:${root}/${flake}`]
        : ["lock", `path:${root}/${flake}`];
      for (const [path, text] of Object.entries(overrides)) args.push("--override-input", path, text);
      execFileSync(join(PEER ?? "", "nix"), ["flake", ...args], { stdio: "pipe" });
    });
    expect(lockText(root)).toBe(golden(each.name));
  });
});
