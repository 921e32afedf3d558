import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { evalCacheDirectory, evalKey } from "../../../env/evalCache/evalKey.ts";
import { recordsOf } from "../../../env/evalCache/evalIndex.ts";
import { findEvalRecord, writeEvalRecord } from "../../../env/evalCache/evalRecord.ts";
import { clearEvalCache, evalCacheUsage, pruneEvalRecords } from "../../../env/evalCache/pruneEvalRecords.ts";
import { InputTracker } from "../../../env/inputTracker.ts";
import { trackSurroundings } from "../../../env/trackSurroundings.ts";
import { resolveStoreSettings } from "../../../store/index.ts";

describe("the record of an evaluation", () => {
  let root: string;
  let savedCache: string | undefined;
  beforeEach(() => {
    root = realpathSync(mkdtempSync(join(tmpdir(), "devshell-record-")));
    savedCache = process.env["DEVSHELL_CACHE_DIR"];
    process.env["DEVSHELL_CACHE_DIR"] = join(root, "cache");
  });
  afterEach(() => {
    if (savedCache === undefined) delete process.env["DEVSHELL_CACHE_DIR"];
    else process.env["DEVSHELL_CACHE_DIR"] = savedCache;
    rmSync(root, { recursive: true, force: true });
  });

  const keyOf = (word: string): { directory: string; text: string } => ({
    directory: root,
    text: `${word}\x1f`,
  });

  function keep(word: string, file: string, output = word): boolean {
    const startedMs = Date.now();
    const tracker = new InputTracker("/nix/store");
    tracker.readFile(join(root, file));
    const record = { inputs: tracker.inputs, globals: [], required: [], links: [], output, messages: "" };
    return writeEvalRecord(keyOf(word), record, startedMs);
  }

  it("has no key for words that it could not tell apart, nor where it is off", () => {
    const off = { isTerminal: false, environment: { DEVSHELL_EVAL_CACHE: "off" } };
    const on = { isTerminal: false, environment: { HOME: root } };
    expect(evalKey("nix", ["a"], on)?.text).toBe("nix\x1f\x1fa\x1f");
    for (const word of ["a\x1fb", "a\nb", "\ufffd"]) expect(evalKey("nix", [word], on)).toBeUndefined();
    expect(evalKey("nix", ["a"], off)).toBeUndefined();
    expect(evalKey("nix", ["a"], { ...on, isTerminal: true })?.text).not.toBe(
      evalKey("nix", ["a"], on)?.text,
    );
  });

  it("is not kept where there may be a configuration that nobody here may look at", () => {
    symlinkSync("endless", join(root, "endless"));
    const settings = resolveStoreSettings({ ...process.env, NIX_STORE_DIR: join(root, "store") });
    const impurityWith = (file: string): string | undefined => {
      const tracker = new InputTracker("/nix/store");
      trackSurroundings(tracker, settings, [join(root, file)]);
      return tracker.impurity;
    };
    expect(impurityWith("nix.conf")).toBeUndefined();
    expect(impurityWith("endless/nix.conf")).toContain("which cannot be looked at");
  });

  it("is not written where an input changed after it was read", () => {
    writeFileSync(join(root, "a"), "1");
    const tracker = new InputTracker("/nix/store");
    tracker.readFile(join(root, "a"));
    writeFileSync(join(root, "a"), "2");
    const record = { inputs: tracker.inputs, globals: [], required: [], links: [], output: "", messages: "" };
    expect(writeEvalRecord(keyOf("a"), record, Date.now())).toBe(false);
  });

  it("knows what was read twice with different contents, and what is no file", () => {
    const tracker = new InputTracker("/nix/store");
    writeFileSync(join(root, "a"), "1");
    tracker.readFile(join(root, "a"));
    expect(tracker.impurity).toBeUndefined();
    writeFileSync(join(root, "a"), "2");
    tracker.readFile(join(root, "a"));
    expect(tracker.impurity).toContain("changed meanwhile");
    const other = new InputTracker("/nix/store");
    other.readFile("/dev/null");
    expect(other.impurity).toContain("no regular file");
  });

  it("is found by every link on the way to a file and to a directory's entries", () => {
    writeFileSync(join(root, "end"), "1");
    symlinkSync("second", join(root, "first"));
    symlinkSync(".", join(root, "here"));
    symlinkSync("here/end", join(root, "second"));
    const tracker = new InputTracker("/nix/store");
    tracker.readFile(join(root, "first"));
    tracker.directory(join(root, "here"));
    const names = tracker.inputs.map(
      (input) => `${input.kind} ${"path" in input ? input.path.slice(root.length) : ""}`,
    );
    expect(names).toEqual([
      "symlink /first",
      "symlink /second",
      "file /here/end",
      "symlink /here",
      "directory /.",
    ]);
  });

  it("is for Node alone until its inputs cannot change without their stats", () => {
    writeFileSync(join(root, "a"), "1");
    const changedMs = statSync(join(root, "a")).ctimeMs;
    const isForShell = (): boolean => {
      const [base] = recordsOf(evalCacheDirectory(), keyOf("word"));
      return readFileSync(`${base}.sh`, "utf8").includes("stat --printf");
    };
    const clock = vi.spyOn(Date, "now").mockReturnValue(changedMs + 5);
    try {
      expect(keep("word", "a")).toBe(true);
      expect(isForShell()).toBe(false);
      expect(findEvalRecord(keyOf("word"))?.output).toBe("word");
      expect(isForShell()).toBe(false);
      clock.mockReturnValue(changedMs + 5000);
      expect(findEvalRecord(keyOf("word"))?.output).toBe("word");
      expect(isForShell()).toBe(true);
    } finally {
      clock.mockRestore();
    }
  });

  it("is one of four of its command line, the last one first", () => {
    for (const version of ["1", "2", "3", "4", "5"]) {
      writeFileSync(join(root, "a"), version);
      expect(keep("word", "a", version)).toBe(true);
    }
    expect(recordsOf(evalCacheDirectory(), keyOf("word"))).toHaveLength(4);
    writeFileSync(join(root, "a"), "3");
    expect(findEvalRecord(keyOf("word"))?.output).toBe("3");
    writeFileSync(join(root, "a"), "1");
    expect(findEvalRecord(keyOf("word"))).toBeUndefined();
    expect(evalCacheUsage().count).toBe(4);
  });

  it("does not answer where a file stands in the place of a directory that was read", () => {
    mkdirSync(join(root, "d"));
    writeFileSync(join(root, "d/f"), "");
    expect(keep("word", "d/f")).toBe(true);
    expect(findEvalRecord(keyOf("word"))?.output).toBe("word");
    rmSync(join(root, "d"), { recursive: true });
    writeFileSync(join(root, "d"), "");
    expect(findEvalRecord(keyOf("word"))).toBeUndefined();
  });

  it("goes when there are too many, the one that answered longest ago first", () => {
    writeFileSync(join(root, "a"), "");
    const cache = evalCacheDirectory();
    for (let n = 0; n < 10; n++) {
      keep(`word${n}`, "a");
      const [base] = recordsOf(cache, keyOf(`word${n}`));
      for (const extension of ["sh", "json"]) utimesSync(`${base}.${extension}`, n, n);
    }
    writeFileSync(join(cache, "records", "x.sh.tmp-999999999"), "");
    pruneEvalRecords(cache, { maxRecords: 5 });
    expect(evalCacheUsage().count).toBe(4);
    expect(findEvalRecord(keyOf("word5"))).toBeUndefined();
    expect(findEvalRecord(keyOf("word6"))?.output).toBe("word6");
    expect(readdirSync(join(cache, "records")).some((name) => name.includes("tmp"))).toBe(false);
    pruneEvalRecords(cache, { maxBytes: 1 });
    expect(evalCacheUsage().count).toBe(0);
    expect(readdirSync(join(cache, "by-dir"))).toEqual([]);
    clearEvalCache();
    expect(existsSync(cache)).toBe(false);
  });

  it("goes soon where others are kept, though not each looks for it", () => {
    writeFileSync(join(root, "a"), "");
    const cache = evalCacheDirectory();
    keep("word", "a");
    for (let n = 0; n < 600; n++)
      writeFileSync(join(cache, "records", `${String(n).padStart(32, "0")}.used`), "");
    for (let n = 0; n < 300 && evalCacheUsage().count > 500; n++) keep("word", "a");
    expect(evalCacheUsage().count).toBeLessThanOrEqual(500);
    expect(findEvalRecord(keyOf("word"))?.output).toBe("word");
  });
});
