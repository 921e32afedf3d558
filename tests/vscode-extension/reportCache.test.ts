// The last good report, kept between windows; and what another process says, before it is believed.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createReportCache } from "../../vscode-extension/src/environment/reportCache.ts";
import { isReport, watchEventOf } from "../../vscode-extension/src/cli/reportShape.ts";
import { prepend, reportOf, set, unset } from "./reports.ts";

const REPORT = reportOf([set("A", "ä\n\u{1f388}"), prepend("PATH", "/store/bin"), unset("B")]);
const FOLDER = "file:///project";

function cacheIn() {
  const directory = join(mkdtempSync(join(tmpdir(), "devshell-cache-")), "storage");
  return { directory, cache: createReportCache(directory) };
}

describe("the report cache", () => {
  test("gives back what was written, by folder and selection; readable by nobody else", async () => {
    const { directory, cache } = cacheIn();
    expect(cache.read(FOLDER, [])).toBeUndefined();
    await cache.write(FOLDER, [], REPORT);
    await cache.write(FOLDER, ["-A", "pan"], { ...REPORT, id: "pan" });
    await cache.write(FOLDER, [], { ...REPORT, id: "newer" });
    expect(cache.read(FOLDER, [])).toEqual({ ...REPORT, id: "newer" });
    expect(cache.read(FOLDER, ["-A", "pan"])?.id).toBe("pan");
    expect(cache.read("file:///other", [])).toBeUndefined();
    const files = readdirSync(directory);
    expect(files).toHaveLength(2);
    for (const file of files) expect(statSync(join(directory, file)).mode & 0o777).toBe(0o600);
    await cache.remove(FOLDER, []);
    await cache.remove(FOLDER, []);
    expect(cache.read(FOLDER, [])).toBeUndefined();
  });

  test("what is removed is gone at once, and no write that was under way brings it back", async () => {
    const { directory, cache } = cacheIn();
    await cache.write(FOLDER, [], REPORT);
    const writing = cache.write(FOLDER, [], { ...REPORT, id: "late" });
    const removing = cache.remove(FOLDER, []);
    expect(cache.read(FOLDER, [])).toBeUndefined();
    await Promise.all([writing, removing]);
    expect(readdirSync(directory)).toEqual([]);
  });

  test("of two writes the later one counts, however long the first takes", async () => {
    const { directory, cache } = cacheIn();
    const large = { ...REPORT, id: "first", warnings: ["x".repeat(8 * 1024 * 1024)] };
    await Promise.all([cache.write(FOLDER, [], large), cache.write(FOLDER, [], { ...REPORT, id: "second" })]);
    expect(cache.read(FOLDER, [])?.id).toBe("second");
    expect(readdirSync(directory)).toHaveLength(1);
  });

  test("what nobody wrote for three months goes at a window's first write", async () => {
    const { directory, cache } = cacheIn();
    await cache.write(FOLDER, [], REPORT);
    await cache.write(FOLDER, ["-A", "new"], REPORT);
    const old = readdirSync(directory).map((name) => join(directory, name));
    utimesSync(old[0] ?? "", 1e9, 1e9);
    const next = createReportCache(directory);
    await next.write("file:///other", [], REPORT);
    expect(readdirSync(directory)).toHaveLength(2);
    expect(existsSync(old[0] ?? "")).toBe(false);
  });

  test.each([
    ["nothing", ""],
    ["half", '{"version":1,"folder":"file:///pro'],
    ["null", "null"],
    ["another version", JSON.stringify({ version: 2, folder: FOLDER, selection: [], report: REPORT })],
    ["another folder", JSON.stringify({ version: 1, folder: "file:///x", selection: [], report: REPORT })],
    ["another selection", JSON.stringify({ version: 1, folder: FOLDER, selection: ["-A"], report: REPORT })],
    [
      "a failure",
      JSON.stringify({ version: 1, folder: FOLDER, selection: [], report: { ...REPORT, state: "failed" } }),
    ],
    [
      "another protocol",
      JSON.stringify({ version: 1, folder: FOLDER, selection: [], report: { ...REPORT, protocol: 2 } }),
    ],
  ])("a file that holds %s is as if absent, and is replaced", async (_, text) => {
    const { directory, cache } = cacheIn();
    await cache.write(FOLDER, [], REPORT);
    const [file] = readdirSync(directory);
    writeFileSync(join(directory, file ?? ""), text);
    expect(cache.read(FOLDER, [])).toBeUndefined();
    await cache.write(FOLDER, [], REPORT);
    expect(cache.read(FOLDER, [])).toEqual(REPORT);
  });

  test("a file of 100 MB is not even read; a directory in its place is no file", async () => {
    const { directory, cache } = cacheIn();
    await cache.write(FOLDER, [], REPORT);
    const [file] = readdirSync(directory);
    truncateSync(join(directory, file ?? ""), 100_000_000);
    expect(cache.read(FOLDER, [])).toBeUndefined();
    const other = cacheIn();
    mkdirSync(join(other.directory, file ?? ""), { recursive: true });
    expect(other.cache.read(FOLDER, [])).toBeUndefined();
  });

  test("a failed write leaves no half file", async () => {
    const { directory, cache } = cacheIn();
    await cache.write(FOLDER, [], REPORT);
    const [file] = readdirSync(directory);
    const before = readFileSync(join(directory, file ?? ""), "utf8");
    const circular: Record<string, unknown> = {};
    circular["self"] = circular;
    await expect(cache.write(FOLDER, [], { ...REPORT, warnings: circular as never })).rejects.toThrow(
      "circular",
    );
    expect(readdirSync(directory)).toEqual([file]);
    expect(readFileSync(join(directory, file ?? ""), "utf8")).toBe(before);
    chmodSync(directory, 0o700);
  });
});

describe("isReport", () => {
  const failed = {
    protocol: 1,
    state: "failed",
    directory: "/p",
    selection: [],
    watch: [],
    error: { code: "X", message: "m", suggestions: [], trace: [{ message: "t" }], text: "m" },
  };

  test("believes what has the right shape, and fields of later versions", () => {
    expect(isReport(REPORT)).toBe(true);
    expect(isReport(JSON.parse(JSON.stringify({ ...REPORT, later: { field: 1 } })))).toBe(true);
    expect(isReport(failed)).toBe(true);
    expect(isReport({ protocol: 1, state: "none", directory: "/p", selection: [], watch: [] })).toBe(true);
  });

  test.each(Object.keys(REPORT))("of an environment, %s must be right", (field) => {
    expect(isReport({ ...REPORT, [field]: 7.5 })).toBe(field === "durationMs");
    expect(isReport({ ...REPORT, [field]: undefined })).toBe(false);
  });

  test.each([
    { action: "append", name: "A", value: "x" },
    { action: "set", name: "A" },
    { action: "set", name: 1, value: "x" },
    { action: "prepend", name: "A", value: "x" },
    { action: "set", name: "A", value: "x", base64: 1 },
    { action: "set", name: "A", value: "x", origin: { by: 1 } },
    { action: "set", name: "A", value: "x", origin: { by: "spec", position: { path: "/x", line: "1" } } },
  ])("a variable: %j", (variable) => {
    const facts = { isSecret: false, origin: { by: "spec" } };
    expect(isReport({ ...REPORT, variables: [{ ...facts, ...variable }] })).toBe(false);
  });

  test.each([
    { ...failed, error: "x" },
    { ...failed, error: { ...failed.error, trace: [1] } },
    [],
    null,
    "x",
    1,
  ])("a failure: %j", (value) => {
    expect(isReport(value)).toBe(false);
  });
});

describe("watchEventOf", () => {
  test("knows the protocol's events, and passes over others", () => {
    expect(watchEventOf({ event: "report", report: REPORT })).toEqual({ event: "report", report: REPORT });
    expect(watchEventOf({ event: "same", id: "x" })).toEqual({ event: "same", id: "x" });
    expect(watchEventOf({ event: "progress", stage: "setup", text: 1 })).toBeUndefined();
    expect(watchEventOf({ event: "report", report: {} })).toBeUndefined();
    expect(watchEventOf({ event: "later" })).toBeUndefined();
    expect(watchEventOf("hello")).toBeUndefined();
  });
});
