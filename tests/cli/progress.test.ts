import { describe, expect, it } from "vitest";
import type { StorePath } from "../../store/index.ts";
import { plainLinesOf, summaryLine } from "../../cli/tui/plainLines.ts";
import {
  cleanLine,
  initialProgress,
  reduceProgress,
  remainingSeconds,
  transferRate,
} from "../../cli/tui/progress.ts";
import type { ProgressEvent, ProgressState } from "../../cli/tui/progress.ts";
import { shortReason } from "../../cli/tui/shortReason.ts";
import { formatBytes, formatDuration, rowsOf, textColumns } from "../../cli/tui/rows.ts";
import type { Row } from "../../cli/tui/rows.ts";

const path = (name: string) => `/nix/store/00000000000000000000000000000000-${name}` as StorePath;

/** Reduces events that come a number of milliseconds after the start. */
function after(...events: readonly (readonly [atMs: number, event: ProgressEvent])[]): ProgressState {
  return events.reduce(
    (state, [atMs, event]) => reduceProgress(state, event, atMs),
    initialProgress(0, "shell.nix"),
  );
}

const textOf = (rows: readonly Row[]): string[] =>
  rows.map((row) => row.parts.map((part) => part.text).join(""));

const PLAN: ProgressEvent = {
  kind: "plan",
  builds: [path("a.drv")],
  downloads: [path("b"), path("c")],
  downloadBytes: 10_000_000,
  unpackedBytes: 40_000_000,
};

describe("progress", () => {
  it("adds up transfers and tells rate and time left", () => {
    const state = after(
      [0, PLAN],
      [0, { kind: "start", id: 1, activity: "download", name: "b", path: path("b"), totalBytes: 6_000_000 }],
      [1000, { kind: "progress", id: 1, doneBytes: 1_000_000 }],
      [3000, { kind: "progress", id: 1, doneBytes: 5_000_000 }],
    );
    expect(transferRate(state)).toBe(2_000_000);
    expect(remainingSeconds(state)).toBe(3);
    const done = reduceProgress(state, { kind: "end", id: 1, status: "done" }, 3500);
    expect(done.endedBytes).toBe(6_000_000);
    expect(done.doneDownloads).toBe(1);
  });

  it("never counts backwards, and ignores ids it does not know", () => {
    const state = after(
      [0, { kind: "start", id: 1, activity: "copy", name: "b", path: path("b") }],
      [10, { kind: "progress", id: 1, doneBytes: 100 }],
      [20, { kind: "progress", id: 1, doneBytes: 50 }],
      [30, { kind: "log", id: 9, line: "x" }],
      [30, { kind: "end", id: 9, status: "failed" }],
    );
    expect(state.running.get(1)?.doneBytes).toBe(100);
    expect(state.failed).toEqual([]);
  });

  it("keeps the log's end of what failed", () => {
    const lines = Array.from({ length: 40 }, (_, index): [number, ProgressEvent] => [
      index,
      { kind: "log", id: 1, line: `line ${index}` },
    ]);
    const state = after(
      [0, { kind: "start", id: 1, activity: "build", name: "a", path: path("a.drv") }],
      ...lines,
      [50, { kind: "end", id: 1, status: "failed", message: "exit code 2" }],
    );
    expect(state.failed[0]?.log.at(-1)).toBe("line 39");
    expect(state.failed[0]?.log.length).toBe(12);
    expect(textOf(rowsOf(state, 100, { columns: 80, rows: 24 })).join("\n")).toContain("✗ a exit code 2");
  });

  it("takes out of a log what a terminal would obey", () => {
    expect(cleanLine("\x1b[31mred\x1b[0m\ttab\x07")).toBe("red  tab");
    expect(cleanLine("10%\r50%\r100%\r\n")).toBe("100%");
    expect(cleanLine("\x1b]0;title\x07rest\x1b[2J")).toBe("rest");
    expect(cleanLine("a\u202Eb")).toBe("ab");
  });
});

describe("rows", () => {
  const busy = after(
    [0, { kind: "stage", stage: "evaluate" }],
    [500, { kind: "stage", stage: "realise" }],
    [500, PLAN],
    ...Array.from({ length: 50 }, (_, index): [number, ProgressEvent] => [
      600,
      {
        kind: "start",
        id: index,
        activity: "download",
        name: `package-${index}-with-a-long-name`,
        path: path(`p${index}`),
        totalBytes: 1000,
      },
    ]),
    [700, { kind: "start", id: 99, activity: "build", name: "slow", path: path("slow.drv") }],
    [800, { kind: "phase", id: 99, phase: "buildPhase" }],
    [900, { kind: "log", id: 99, line: "compiling 世界 ".repeat(20) }],
  );

  it.each([
    [80, 24],
    [20, 5],
    [200, 60],
    [1, 1],
    [40, 2],
  ])("fit a terminal of %i columns and %i rows", (columns, rows) => {
    const lines = textOf(rowsOf(busy, 10_000, { columns, rows }));
    expect(lines.length).toBeLessThanOrEqual(Math.max(1, rows - 1));
    for (const line of lines) expect(textColumns(line)).toBeLessThanOrEqual(Math.max(19, columns - 1));
  });

  it("show evaluation, totals, builds with phase and the slow one's log, and count what does not fit", () => {
    const text = textOf(rowsOf(busy, 10_000, { columns: 80, rows: 12 })).join("\n");
    expect(text).toContain("✓ evaluated shell.nix  0.5 s");
    expect(text).toContain("0 of 3 steps");
    expect(text).toContain("0 downloads");
    expect(text).toMatch(/slow {2}buildPhase {2}9 s/);
    expect(text).toContain("│ compiling 世界");
    expect(text).toMatch(/… \d+ more lines/);
  });

  it("count columns as a terminal does", () => {
    expect(textColumns("aé世🎉e\u0301")).toBe(1 + 1 + 2 + 2 + 1);
  });

  it("print sizes and times", () => {
    expect([0, 812, 1500, 99_950, 1e6, 259e6, 1.2e12].map(formatBytes)).toEqual([
      "0 B",
      "812 B",
      "1.5 kB",
      "100 kB",
      "1.0 MB",
      "259 MB",
      "1.2 TB",
    ]);
    expect([5, 65, 3700].map(formatDuration)).toEqual(["5 s", "1 min 5 s", "1 h 1 min"]);
  });
});

describe("plain lines", () => {
  it("take the reason out of a whole report", () => {
    expect(
      shortReason("Cannot build 'x'.\nReason: builder failed with exit code 3.\nLast 3 log lines:\n> a"),
    ).toBe("builder failed with exit code 3");
    expect(shortReason("no space\nmore")).toBe("no space");
    expect(shortReason(undefined)).toBeUndefined();
  });

  it("say what will be done, what failed and what was done", () => {
    const state = after(
      [0, PLAN],
      [0, { kind: "start", id: 1, activity: "build", name: "a", path: path("a.drv") }],
      [0, { kind: "log", id: 1, line: "cc: no such file" }],
    );
    expect(plainLinesOf(PLAN, initialProgress(0, ""), false)).toEqual([
      "1 derivation will be built",
      "2 paths will be fetched (10.0 MB)",
    ]);
    expect(
      plainLinesOf({ kind: "end", id: 1, status: "failed", message: "exit code 1" }, state, false),
    ).toEqual(["build of a failed: exit code 1"]);
    const done = reduceProgress(state, { kind: "end", id: 1, status: "done" }, 61_000);
    expect(summaryLine(done, 61_000)).toBe("1 build in 1 min 1 s");
    expect(summaryLine(initialProgress(0, ""), 5)).toBeUndefined();
  });
});
