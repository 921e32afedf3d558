import type { EnvironmentEvent } from "../../env/index.ts";
import type { RealiseEvent, StorePath } from "../../store/index.ts";

/** What the progress display is told: realising's own events, and the stages around them. */
export type ProgressEvent = RealiseEvent | EnvironmentEvent;

export type ActivityKind = "build" | "download" | "substitute" | "copy";

/** One thing under way, or one that failed. */
export interface Activity {
  readonly id: number;
  readonly kind: ActivityKind;
  readonly name: string;
  readonly path: StorePath;
  readonly startedMs: number;
  readonly doneBytes: number;
  readonly totalBytes: number | undefined;
  readonly phase: string | undefined;
  /** The last lines of its log, oldest first, at most `LOG_TAIL_LINES`. */
  readonly log: readonly string[];
}

export interface FailedActivity extends Activity {
  readonly message: string | undefined;
}

/** Bytes received up to a moment, for the rate. */
interface RateSample {
  readonly atMs: number;
  readonly bytes: number;
}

export interface ProgressState {
  readonly startedMs: number;
  /** What is made, as the user named it. */
  readonly label: string;
  readonly stage: Extract<EnvironmentEvent, { kind: "stage" }>["stage"] | undefined;
  readonly evaluation: { readonly startedMs: number; readonly endedMs?: number } | undefined;
  readonly plannedBuilds: number;
  readonly plannedDownloads: number;
  readonly plannedBytes: number;
  readonly doneBuilds: number;
  readonly doneDownloads: number;
  /** Bytes of transfers that have ended. */
  readonly endedBytes: number;
  /** An input of evaluation on its way (a package index). */
  readonly fetch:
    | { readonly what: string; readonly doneBytes: number; readonly totalBytes: number | undefined }
    | undefined;
  /** What was fetched so far, by name. */
  readonly fetched: ReadonlySet<string>;
  readonly running: ReadonlyMap<number, Activity>;
  readonly failed: readonly FailedActivity[];
  readonly samples: readonly RateSample[];
  readonly messages: readonly string[];
}

export const LOG_TAIL_LINES = 12;
const MAX_MESSAGES = 5;
const MAX_LINE_LENGTH = 400;
const RATE_WINDOW_MS = 5_000;
const SAMPLE_EVERY_MS = 200;

export function initialProgress(nowMs: number, label: string): ProgressState {
  return {
    startedMs: nowMs,
    label,
    stage: undefined,
    evaluation: undefined,
    plannedBuilds: 0,
    plannedDownloads: 0,
    plannedBytes: 0,
    doneBuilds: 0,
    doneDownloads: 0,
    endedBytes: 0,
    fetch: undefined,
    fetched: new Set(),
    running: new Map(),
    failed: [],
    samples: [],
    messages: [],
  };
}

/** The whole of what the display knows, from events alone; unknown ids are ignored. */
export function reduceProgress(state: ProgressState, event: ProgressEvent, nowMs: number): ProgressState {
  switch (event.kind) {
    case "stage":
      return withStage(state, event.stage, nowMs);
    case "fetch":
      return {
        ...state,
        fetch: event,
        fetched: state.fetched.has(event.what) ? state.fetched : new Set([...state.fetched, event.what]),
      };
    case "message":
      return { ...state, messages: [...state.messages, cleanLine(event.text)].slice(-MAX_MESSAGES) };
    case "plan":
      return {
        ...state,
        plannedBuilds: state.plannedBuilds + event.builds.length,
        plannedDownloads: state.plannedDownloads + event.downloads.length,
        plannedBytes: state.plannedBytes + event.downloadBytes,
      };
    case "start":
      return withActivity(state, {
        id: event.id,
        kind: event.activity,
        name: event.name,
        path: event.path,
        startedMs: nowMs,
        doneBytes: 0,
        totalBytes: event.totalBytes,
        phase: undefined,
        log: [],
      });
    case "progress": {
      const activity = state.running.get(event.id);
      if (activity === undefined) return state;
      const next = withActivity(state, {
        ...activity,
        doneBytes: Math.max(activity.doneBytes, event.doneBytes),
        totalBytes: event.totalBytes ?? activity.totalBytes,
      });
      return withSample(next, nowMs);
    }
    case "transfer":
      return state;
    case "phase": {
      const activity = state.running.get(event.id);
      return activity === undefined ? state : withActivity(state, { ...activity, phase: event.phase });
    }
    case "log": {
      const activity = state.running.get(event.id);
      if (activity === undefined) return state;
      const log = [...activity.log, cleanLine(event.line)].slice(-LOG_TAIL_LINES);
      return withActivity(state, { ...activity, log });
    }
    case "end": {
      const activity = state.running.get(event.id);
      if (activity === undefined) return state;
      const running = new Map(state.running);
      running.delete(event.id);
      const isTransfer = activity.kind !== "build";
      const isDone = event.status === "done";
      return withSample(
        {
          ...state,
          running,
          doneBuilds: state.doneBuilds + (isDone && !isTransfer ? 1 : 0),
          doneDownloads: state.doneDownloads + (isDone && isTransfer ? 1 : 0),
          endedBytes:
            state.endedBytes +
            (isTransfer ? Math.max(activity.doneBytes, isDone ? (activity.totalBytes ?? 0) : 0) : 0),
          failed:
            event.status === "failed"
              ? [...state.failed, { ...activity, message: event.message }]
              : state.failed,
        },
        nowMs,
      );
    }
  }
}

/** Bytes received by all transfers so far. */
export function transferredBytes(state: ProgressState): number {
  let bytes = state.endedBytes;
  for (const activity of state.running.values()) if (activity.kind !== "build") bytes += activity.doneBytes;
  return bytes;
}

/** Bytes a second over the last seconds; 0 before there are two samples. */
export function transferRate(state: ProgressState): number {
  const first = state.samples[0];
  const last = state.samples.at(-1);
  if (first === undefined || last === undefined || last.atMs <= first.atMs) return 0;
  return Math.max(0, ((last.bytes - first.bytes) * 1000) / (last.atMs - first.atMs));
}

/** Seconds until the planned bytes are here at the present rate; `undefined` while that is unknown. */
export function remainingSeconds(state: ProgressState): number | undefined {
  const left = state.plannedBytes - transferredBytes(state);
  const rate = transferRate(state);
  return left > 0 && rate > 0 ? Math.ceil(left / rate) : undefined;
}

function withStage(
  state: ProgressState,
  stage: NonNullable<ProgressState["stage"]>,
  nowMs: number,
): ProgressState {
  const begun = state.evaluation ?? (stage === "evaluate" ? { startedMs: nowMs } : undefined);
  const hasEnded = begun !== undefined && begun.endedMs === undefined && stage !== "evaluate";
  return { ...state, stage, fetch: undefined, evaluation: hasEnded ? { ...begun, endedMs: nowMs } : begun };
}

function withActivity(state: ProgressState, activity: Activity): ProgressState {
  const running = new Map(state.running);
  running.set(activity.id, activity);
  return { ...state, running };
}

function withSample(state: ProgressState, nowMs: number): ProgressState {
  const last = state.samples.at(-1);
  if (last !== undefined && nowMs - last.atMs < SAMPLE_EVERY_MS) return state;
  const kept = state.samples.filter((sample) => nowMs - sample.atMs <= RATE_WINDOW_MS);
  return { ...state, samples: [...kept, { atMs: nowMs, bytes: transferredBytes(state) }] };
}

/**
 * A log line as it may be shown: what a terminal would obey is taken out (a build's log is foreign text), tabs are
 * widened, and only what follows the last carriage return stays.
 */
export function cleanLine(line: string): string {
  const shown = line.slice(line.replace(/[\r\n]+$/, "").lastIndexOf("\r") + 1);
  return (
    shown
      .replaceAll("\t", "  ")
      // eslint-disable-next-line no-control-regex
      .replace(/\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])/g, "")
      // eslint-disable-next-line no-control-regex
      .replace(/[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "")
      .slice(0, MAX_LINE_LENGTH)
  );
}
