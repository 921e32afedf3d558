import { cleanLine, initialProgress, reduceProgress, transferredBytes } from "../tui/progress.ts";
import type { Activity, ProgressEvent, ProgressState } from "../tui/progress.ts";
import { formatBytes } from "../tui/rows.ts";
import type { ProgressReport } from "./types.ts";

export interface ProgressReporter {
  readonly onEvent: (event: ProgressEvent) => void;
  readonly onHook: () => void;
  /** Nothing is reported after it. */
  close(): void;
}

/** Between two reports of one stage. */
const PAUSE_MS = 150;
/** No more than so many reports in any such time. */
const MAX_REPORTS = 10;
const WINDOW_MS = 1000;
const MAX_TEXT_LENGTH = 120;

/** Tells the progress of what events say, at most ten times a second; the latest is never held back for long. */
export function progressReporter(
  report: (progress: ProgressReport) => void,
  now: () => number = Date.now,
): ProgressReporter {
  let state = initialProgress(now(), "");
  let stage: ProgressReport["stage"] | undefined;
  let told = "";
  let toldStage: ProgressReport["stage"] | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  const times: number[] = [];

  const waitMs = (): number => {
    const at = now();
    const oldest = times.length < MAX_REPORTS ? -Infinity : (times[0] ?? 0);
    const pause = stage === toldStage ? (times.at(-1) ?? -Infinity) + PAUSE_MS : -Infinity;
    return Math.max(0, oldest + WINDOW_MS - at, pause - at);
  };
  const tell = (): void => {
    if (stage === undefined || isClosed) return;
    const wait = waitMs();
    if (wait > 0) {
      timer ??= setTimeout(() => {
        timer = undefined;
        tell();
      }, wait);
      return;
    }
    const progress = progressOf(state, stage);
    const text = JSON.stringify(progress);
    if (text === told) return;
    told = text;
    toldStage = stage;
    times.push(now());
    if (times.length > MAX_REPORTS) times.shift();
    report(progress);
  };
  return {
    onEvent: (event) => {
      state = reduceProgress(state, event, now());
      if (event.kind === "stage" && event.stage !== "done") stage = event.stage;
      tell();
    },
    onHook: () => {
      stage = "hook";
      tell();
    },
    close: () => {
      isClosed = true;
      clearTimeout(timer);
    },
  };
}

/** Names and amounts alone: messages and logs may hold what is secret. */
export function progressOf(state: ProgressState, stage: ProgressReport["stage"]): ProgressReport {
  if (state.fetch !== undefined && stage !== "hook") {
    const { what, doneBytes, totalBytes } = state.fetch;
    const amount =
      totalBytes === undefined
        ? formatBytes(doneBytes)
        : `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`;
    return withFraction({ stage, text: shown(`${what} (${amount})`) }, doneBytes, totalBytes);
  }
  if (stage !== "realise") return { stage };
  const planned = state.plannedBuilds + state.plannedDownloads;
  const current = [...state.running.values()].at(-1);
  if (planned === 0 && current === undefined) return { stage };
  const done = state.doneBuilds + state.doneDownloads;
  const total = Math.max(planned, done + state.running.size);
  const parts = [
    ...(total > 0 ? [`${Math.min(done + 1, total)} of ${total}`] : []),
    ...(state.plannedBytes > 0
      ? [`${formatBytes(transferredBytes(state))} of ${formatBytes(state.plannedBytes)}`]
      : []),
  ];
  const text = shown(`${nameOf(current)}${parts.length > 0 ? ` (${parts.join(", ")})` : ""}`);
  return withFraction({ stage, text }, done, total);
}

function nameOf(activity: Activity | undefined): string {
  return activity === undefined ? "fetching and building" : activity.name;
}

function withFraction(progress: ProgressReport, done: number, total: number | undefined): ProgressReport {
  if (total === undefined || total <= 0) return progress;
  return { ...progress, fraction: Math.min(1, Math.max(0, done / total)) };
}

/** A mirror's address may hold a password. */
function shown(text: string): string {
  return cleanLine(text)
    .replace(/:\/\/[^/\s@]*@/g, "://")
    .slice(0, MAX_TEXT_LENGTH);
}
