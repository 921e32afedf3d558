import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { progressOf, progressReporter } from "../../../cli/protocol/reportProgress.ts";
import type { ProgressReport } from "../../../cli/protocol/types.ts";
import { initialProgress, reduceProgress, type ProgressEvent } from "../../../cli/tui/progress.ts";
import type { StorePath } from "../../../store/index.ts";

const start = (id: number, name: string): ProgressEvent => ({
  kind: "start",
  id,
  activity: "download",
  name,
  path: `/s/${name}` as StorePath,
  totalBytes: 1000,
});

describe("progress for editors", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("comes at most ten times a second, and ends with the latest", () => {
    const told: { atMs: number; progress: ProgressReport }[] = [];
    const reporter = progressReporter((progress) => told.push({ atMs: Date.now(), progress }));
    for (const stage of ["discover", "evaluate", "realise"] as const)
      reporter.onEvent({ kind: "stage", stage });
    expect(told.map(({ progress }) => progress.stage)).toEqual(["discover", "evaluate", "realise"]);
    for (let n = 0; n < 3000; n++) {
      reporter.onEvent(start(n, `p${n}`));
      vi.advanceTimersByTime(1);
    }
    vi.advanceTimersByTime(1000);
    expect(told.at(-1)?.progress.text).toContain("p2999");
    for (const { atMs } of told)
      expect(
        told.filter((other) => other.atMs >= atMs && other.atMs < atMs + 1000).length,
      ).toBeLessThanOrEqual(10);
    expect(told.length).toBeGreaterThan(15);
    reporter.onHook();
    vi.advanceTimersByTime(1000);
    expect(told.at(-1)?.progress).toEqual({ stage: "hook" });
    const before = told.length;
    reporter.onEvent(start(9999, "late"));
    reporter.close();
    vi.advanceTimersByTime(1000);
    expect(told.length).toBe(before);
  });

  it("says what is fetched and how far it is, never what was logged", () => {
    let state = initialProgress(0, "x");
    const events: ProgressEvent[] = [
      {
        kind: "plan",
        builds: [],
        downloads: ["/s/a" as StorePath, "/s/gcc" as StorePath],
        downloadBytes: 2048,
        unpackedBytes: 4096,
      },
      start(1, "gcc-12"),
      { kind: "message", level: "warning", text: "TOKEN=hunter2" },
      { kind: "log", id: 1, line: "TOKEN=hunter2" },
      { kind: "progress", id: 1, doneBytes: 1024, totalBytes: 2048 },
    ];
    for (const event of events) state = reduceProgress(state, event, 0);
    const progress = progressOf(state, "realise");
    expect(progress).toEqual({ stage: "realise", text: "gcc-12 (1 of 2, 1.0 kB of 2.0 kB)", fraction: 0 });
    const fetch = {
      kind: "fetch",
      what: "http://me:hunter2@mirror/Packages",
      doneBytes: 1,
      totalBytes: 4,
    } as const;
    const fetching = progressOf(reduceProgress(state, fetch, 0), "evaluate");
    expect(fetching).toEqual({
      stage: "evaluate",
      text: "http://mirror/Packages (1 B of 4 B)",
      fraction: 0.25,
    });
  });
});
