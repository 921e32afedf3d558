import { messageLine } from "../messageLine.ts";
import type { Activity, ProgressEvent, ProgressState } from "./progress.ts";
import { formatBytes, formatDuration } from "./rows.ts";
import { shortReason } from "./shortReason.ts";

/**
 * What is printed where there is no terminal (a pipe, CI, `TERM=dumb`): a line when something begins or ends that
 * someone would look for in a log, never one that changes.
 * @param before the state before the event, for the names of what ends
 */
export function plainLinesOf(event: ProgressEvent, before: ProgressState, isVerbose: boolean): string[] {
  switch (event.kind) {
    case "stage":
      return isVerbose ? [STAGE[event.stage]] : [];
    case "fetch":
      return before.fetched.has(event.what) ? [] : [`fetching ${event.what}`];
    case "message":
      return [messageLine(event.level, event.text)];
    case "plan":
      return planLines(event);
    case "start":
      return isVerbose || (event.activity === "build" && before.plannedBuilds <= 50)
        ? [`${VERB[event.activity]} ${event.path}`]
        : [];
    case "phase":
    case "progress":
    case "transfer":
      return [];
    case "log": {
      const activity = before.running.get(event.id);
      return isVerbose ? [`${activity?.name ?? "build"}> ${event.line}`] : [];
    }
    case "end": {
      const activity = before.running.get(event.id);
      if (activity === undefined || event.status !== "failed") return [];
      return [failureLine(activity, event.message)];
    }
  }
}

/** What failed and why, in one line: the error that ends the command brings the log. */
export function failureLine(activity: Activity, message: string | undefined): string {
  const why = shortReason(message);
  return `${activity.kind === "build" ? "build" : "download"} of ${activity.name} failed${why === undefined ? "" : `: ${why}`}`;
}

/** The line that remains after all went well; `undefined` when nothing was done that took time. */
export function summaryLine(state: ProgressState, nowMs: number): string | undefined {
  const parts: string[] = [];
  if (state.doneDownloads > 0)
    parts.push(
      `${state.doneDownloads} download${state.doneDownloads === 1 ? "" : "s"} (${formatBytes(state.endedBytes)})`,
    );
  if (state.doneBuilds > 0) parts.push(`${state.doneBuilds} build${state.doneBuilds === 1 ? "" : "s"}`);
  if (parts.length === 0) return undefined;
  return `${parts.join(", ")} in ${formatDuration(Math.round((nowMs - state.startedMs) / 1000))}`;
}

const STAGE = {
  discover: "looking for a spec",
  evaluate: "evaluating",
  realise: "realising",
  setup: "running the set-up",
  done: "done",
} as const;

const VERB = { build: "building", download: "downloading", substitute: "fetching", copy: "copying" } as const;

function planLines(event: Extract<ProgressEvent, { kind: "plan" }>): string[] {
  const lines: string[] = [];
  if (event.builds.length > 0)
    lines.push(
      event.builds.length === 1
        ? "1 derivation will be built"
        : `${event.builds.length} derivations will be built`,
    );
  if (event.downloads.length > 0)
    lines.push(
      `${event.downloads.length} path${event.downloads.length === 1 ? "" : "s"} will be fetched (${formatBytes(event.downloadBytes)})`,
    );
  return lines;
}
