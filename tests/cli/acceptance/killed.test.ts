// Realising an environment, killed at random moments: 3 of a small one, or 50 of templates/c where
// DEVSHELL_TEST_FULL=1. The packages come from the machine's Debian mirror once and from this machine then.
import { spawn, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { packageRoot } from "../../../core/index.ts";
import { findMirrors } from "../../../packages/debian/index/mirrors.ts";
import { startRecordingMirror, type RecordingMirror } from "./recordingMirror.ts";

const DEVSHELL = join(packageRoot, "cli/devshell");
const isFull = process.env["DEVSHELL_TEST_FULL"] === "1";
const MOMENTS = isFull ? 50 : 3;
const COMMAND = isFull ? ["make", "clean", "check"] : ["make", "--version"];
const SMALL_SPEC = "collection: debian\nsuite: bookworm\npackages: [make, zlib1g-dev]\n";
const mirrors = findMirrors({ env: process.env });
const [main, security] = [mirrors.main[0], mirrors.security[0]];
const isReachable =
  main !== undefined &&
  security !== undefined &&
  (await fetch(`${main}/dists/bookworm/InRelease`, {
    method: "HEAD",
    signal: AbortSignal.timeout(10_000),
  }).then(
    ({ ok }) => ok,
    () => false,
  ));

describe.skipIf(!isReachable)("a devshell that is killed (skipped without a Debian mirror)", () => {
  let root: string;
  let mirror: RecordingMirror;
  /** How long it takes when nobody kills it. */
  let wholeMs: number;

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), "devshell-killed-"));
    mirror = await startRecordingMirror(join(root, "mirror"), { main: main ?? "", security: security ?? "" });
    fresh("first");
    expect(await devshell("first", "run", "--", "true")).toMatchObject({ status: 0 });
    fresh("second");
    const startedMs = Date.now();
    expect(await devshell("second", "run", "--", "true")).toMatchObject({ status: 0 });
    wholeMs = Date.now() - startedMs;
  }, 600_000);
  afterAll(async () => {
    await mirror[Symbol.asyncDispose]();
    removeTree(root);
  });

  function removeTree(path: string): void {
    spawnSync("sh", ["-c", 'chmod -R u+w "$0" 2>/dev/null; rm -rf "$0"', path]);
  }

  function fresh(name: string): void {
    const at = join(root, name);
    for (const part of ["home", "tmp"]) mkdirSync(join(at, part), { recursive: true });
    cpSync(join(packageRoot, "templates/c"), join(at, "project"), { recursive: true });
    if (!isFull) writeFileSync(join(at, "project/devshell.yaml"), SMALL_SPEC);
    for (const made of ["hello", "devshell.lock"]) rmSync(join(at, "project", made), { force: true });
  }

  /** In a process group of its own. */
  function start(name: string, args: readonly string[]) {
    const at = join(root, name);
    return spawn(DEVSHELL, args, {
      cwd: join(at, "project"),
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: "/usr/bin:/bin",
        HOME: join(at, "home"),
        TMPDIR: join(at, "tmp"),
        NIX_STORE_DIR: join(at, "store"),
        NIX_STATE_DIR: join(at, "state"),
        NIX_LOG_DIR: join(at, "log"),
        DEVSHELL_DEBIAN_MIRROR: mirror.urls,
      },
    });
  }

  async function devshell(name: string, ...args: string[]): Promise<{ status: number | null; text: string }> {
    const child = start(name, args);
    let text = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
    const status = await new Promise<number | null>((resolve) => child.on("close", resolve));
    return { status, text };
  }

  /** All of the group, or only the program: then what it started must end by itself. */
  async function killAfter(name: string, delayMs: number, isWholeGroup: boolean): Promise<void> {
    const child = start(name, ["run", "--", ...COMMAND]);
    child.stdout.resume();
    child.stderr.resume();
    const ended = new Promise<void>((resolve) => child.on("exit", () => resolve()));
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, delayMs))]);
    const group = child.pid;
    if (child.exitCode === null && group !== undefined) {
      if (isWholeGroup) process.kill(-group, "SIGKILL");
      else for (const pid of nodesOf(group)) process.kill(pid, "SIGKILL");
    }
    await ended;
  }

  function nodesOf(group: number): number[] {
    const pids = spawnSync("pgrep", ["-g", String(group)], { encoding: "utf8" }).stdout.split("\n");
    return pids.filter((pid) => pid !== "" && isNode(pid)).map(Number);
  }
  function isNode(pid: string): boolean {
    try {
      return basename(readlinkSync(`/proc/${pid}/exe`)) === "node";
    } catch {
      return false;
    }
  }

  /** Files that nobody knows: in the store, the state directory, the temporary directory, the cache and the project. */
  function leftovers(name: string): string[] {
    const at = join(root, name);
    using db = closing(new DatabaseSync(join(at, "state/db/db.sqlite"), { readOnly: true }));
    const valid = new Set(
      db.value
        .prepare("select path from ValidPaths")
        .all()
        .map(({ path }) => basename(String(path))),
    );
    const inStore = readdirSync(join(at, "store")).filter((entry) => entry !== ".links" && !valid.has(entry));
    const directories = ["state/temproots", "state/builds", "state/devshell/downloads", "tmp"];
    const inState = directories.flatMap((directory) =>
      existsSync(join(at, directory)) ? readdirSync(join(at, directory)) : [],
    );
    const temporary = ["home/.cache/devshell/records", "home/.cache/devshell/debian", "project"].flatMap(
      (directory) =>
        readdirSync(join(at, directory), { recursive: true, encoding: "utf8" }).filter((entry) =>
          basename(entry).includes("tmp-"),
        ),
    );
    return [...inStore, ...inState, ...temporary];
  }
  function closing(value: DatabaseSync): { readonly value: DatabaseSync } & Disposable {
    return { value, [Symbol.dispose]: () => value.close() };
  }

  it.each(Array.from({ length: MOMENTS }, (_, n) => n))(
    "moment %i: the next run completes, the store is whole, nothing is left",
    async (n) => {
      const name = `moment-${n}`;
      fresh(name);
      const delayMs = 200 + Math.random() * wholeMs;
      await killAfter(name, delayMs, n % 2 === 0);
      const told = `killed after ${Math.round(delayMs)} ms`;
      expect(await devshell(name, "run", "--", ...COMMAND), told).toMatchObject({ status: 0 });
      expect(await devshell(name, "store", "verify", "--check-contents"), told).toMatchObject({ status: 0 });
      expect(await devshell(name, "gc"), told).toMatchObject({ status: 0 });
      expect(leftovers(name), told).toEqual([]);
      // What the environment needs is still there.
      expect(await devshell(name, "run", "--", ...COMMAND), told).toMatchObject({ status: 0 });
      removeTree(join(root, name));
    },
    300_000,
  );
});
