import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  dropOldRecords,
  lastUsedMs,
  listRecords,
  loadCachedEnvironment,
  writeRecord,
} from "../../env/cache/cacheRecord.ts";
import {
  formatIndex,
  indexPath,
  prepareCache,
  readIndex,
  selectionKey,
} from "../../env/cache/recordPaths.ts";
import { InputTracker } from "../../env/inputTracker.ts";
import type { BuildEnvironment } from "../../env/types.ts";
import type { StorePath } from "../../store/index.ts";

const ENVIRONMENT: BuildEnvironment = {
  version: 1,
  name: "x",
  drvPath: "/nix/store/x.drv" as StorePath,
  storeDir: "/nix/store",
  spec: { kind: "file", path: "/p/shell.nix", root: "/p" },
  isPure: false,
  keep: [],
  variables: new Map([
    ["PATH", { kind: "exported", value: "" }],
    ["GREETING", { kind: "exported", value: "it's \xc3\xa4" }],
  ]),
  functions: new Map(),
  appended: ["PATH"],
  unset: [],
  shellHook: "",
  exitHook: "",
  scripts: new Map([["hi", 'echo "$GREETING" "$1"']]),
  shell: "/bin/bash",
  origins: new Map(),
  roots: [],
};

describe("the cache record", () => {
  let root: string;
  let project: string;
  let saved: string | undefined;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "devshell-cache-"));
    project = join(root, "it's a project");
    mkdirSync(join(project, "dir"), { recursive: true });
    writeFileSync(join(project, "a.nix"), "1");
    writeFileSync(join(project, "dir", "entry"), "");
    saved = process.env["DEVSHELL_CACHE_DIR"];
    process.env["DEVSHELL_CACHE_DIR"] = join(root, "cache");
  });
  afterEach(() => {
    if (saved === undefined) delete process.env["DEVSHELL_CACHE_DIR"];
    else process.env["DEVSHELL_CACHE_DIR"] = saved;
    rmSync(root, { recursive: true, force: true });
  });

  /** Files as young as the record itself are not trusted by their times. */
  function age(): void {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 40);
  }

  function write(selection: string[] = [], isOneOff = false): string {
    age();
    const tracker = new InputTracker("/nix/store");
    tracker.readFile(join(project, "a.nix"));
    tracker.directory(join(project, "dir"));
    tracker.type(join(project, "absent.nix"), undefined);
    tracker.variable("DEVSHELL_TEST", process.env["DEVSHELL_TEST"]);
    return writeRecord({
      request: { directory: project, selection },
      environment: ENVIRONMENT,
      inputs: tracker.inputs,
      startedMs: Date.now(),
      rung: "prefix",
      isOneOff,
      addRoot: () => {},
    });
  }

  /** The launcher's way: index, check, enter. */
  function enter(
    selection: string[],
    command: string[],
    env: NodeJS.ProcessEnv = {},
  ): { status: number; out: string } {
    const index = indexPath(join(root, "cache"), project);
    const result = spawnSync(
      "/bin/sh",
      [
        "-c",
        'index=$1; devshell_key=$2; shift 2; devshell_record=; . "$index"; [ -n "$devshell_record" ] || exit 90; . "$devshell_record/check.sh"; devshell_check || exit 91; . "$devshell_record/enter.sh"',
        "sh",
        index,
        selectionKey(selection),
        ...command,
      ],
      { env: { PATH: "/usr/bin:/bin", ...env }, encoding: "utf8" },
    );
    return { status: result.status ?? -1, out: result.stdout };
  }

  it("is found, checked and entered by sh alone", () => {
    write();
    write(["-A", "it's"]);
    expect(enter([], ["sh", "-c", 'echo "$GREETING"; exit 3'])).toEqual({
      status: 3,
      out: "it's \xe4\n",
    });
    expect(enter(["-A", "it's"], ["hi", "you"]).out).toMatch(/you\n$/);
    expect(enter(["-A", "other"], ["true"]).status).toBe(90);
  });

  it("is refused by sh and by Node for every kind of change", () => {
    const check = (): [number, number] => [
      enter([], ["true"]).status,
      loadCachedEnvironment(project, [])?.changed.length ?? -1,
    ];
    write();
    expect(check()).toEqual([0, 0]);
    writeFileSync(join(project, "a.nix"), "2");
    expect(check()).toEqual([91, 1]);
    write();
    writeFileSync(join(project, "dir", "more"), "");
    expect(check()).toEqual([91, 1]);
    write();
    writeFileSync(join(project, "absent.nix"), "");
    expect(check()).toEqual([91, 1]);
    rmSync(join(project, "absent.nix"));
    write();
    expect(check()).toEqual([0, 0]);
    expect(enter([], ["true"], { DEVSHELL_TEST: "x" }).status).toBe(91);
    rmSync(join(project, "a.nix"));
    expect(check()).toEqual([91, 1]);
  });

  it("sees a file replaced by an older one", () => {
    write();
    writeFileSync(join(project, "old"), "3");
    utimesSync(join(project, "old"), 1, 1);
    renameSync(join(project, "old"), join(project, "a.nix"));
    expect(enter([], ["true"]).status).toBe(91);
  });

  it("becomes fresh again where content did not change", () => {
    write();
    const now = Date.now() / 1000;
    utimesSync(join(project, "a.nix"), now, now);
    expect(enter([], ["true"]).status).toBe(91);
    age();
    expect(loadCachedEnvironment(project, [])?.changed).toEqual([]);
    expect(enter([], ["true"]).status).toBe(0);
  });

  it("survives a damaged record as a miss", () => {
    const record = write();
    writeFileSync(join(record, "env.json"), readFileSync(join(record, "env.json"), "utf8").slice(0, 20));
    expect(loadCachedEnvironment(project, [])).toBeUndefined();
  });

  it("says where it cannot be", () => {
    writeFileSync(join(root, "file"), "");
    let error: unknown;
    try {
      prepareCache({ DEVSHELL_CACHE_DIR: join(root, "file", "cache") });
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({
      code: "CACHE_NOT_WRITABLE",
      hint: expect.stringContaining("DEVSHELL_CACHE_DIR") as unknown,
    });
    expect(prepareCache({ XDG_CACHE_HOME: join(root, "x") })).toBe(join(root, "x/devshell"));
  });

  it("keeps an index's entries apart, whatever they hold", () => {
    const entries = [
      { key: "", record: "/a b" },
      { key: "it's\x1f-A\x1f", record: "/it's" },
    ];
    const path = join(root, "index.sh");
    writeFileSync(path, formatIndex(entries));
    expect(readIndex(path)).toEqual(entries);
  });

  describe("grown old", () => {
    const DAY_MS = 24 * 3600 * 1000;
    function lastUsed(record: string, daysAgo: number): void {
      const at = (Date.now() - daysAgo * DAY_MS) / 1000;
      for (const name of ["entered", "stat", "."]) utimesSync(join(record, name), at, at);
    }

    it("stays as long as its project does", () => {
      const record = write();
      lastUsed(record, 400);
      expect(dropOldRecords()).toBe(0);
      renameSync(project, join(root, "elsewhere"));
      expect(dropOldRecords()).toBe(1);
      expect(existsSync(record)).toBe(false);
    });

    it("of a one-off goes a week after it was last entered", () => {
      const [old, recent] = [write(["-p", "a"], true), write(["-p", "b"], true)];
      lastUsed(old, 8);
      lastUsed(recent, 8);
      enter(["-p", "b"], ["true"]);
      loadCachedEnvironment(project, ["-p", "b"]);
      expect(Date.now() - lastUsedMs(recent)).toBeLessThan(DAY_MS);
      expect(dropOldRecords()).toBe(1);
      expect(listRecords()).toEqual([recent]);
    });

    it("goes when another took its place, a week later", () => {
      const [first, second] = [write(), write()];
      expect(dropOldRecords()).toBe(0);
      lastUsed(first, 8);
      lastUsed(second, 8);
      expect(dropOldRecords()).toBe(1);
      expect(listRecords()).toEqual([second]);
    });

    it("goes at once where its writer was killed", () => {
      mkdirSync(join(root, "cache/records/x.tmp-999999999"), { recursive: true });
      mkdirSync(join(root, `cache/records/y.tmp-${process.pid}`));
      expect(dropOldRecords()).toBe(1);
      expect(existsSync(join(root, `cache/records/y.tmp-${process.pid}`))).toBe(true);
    });
  });
});
