import { shortReason } from "./shortReason.ts";
import { remainingSeconds, transferRate, transferredBytes } from "./progress.ts";
import type { Activity, ProgressState } from "./progress.ts";

export type RowTone = "plain" | "dim" | "good" | "bad" | "busy" | "strong";

/** One line of the display: pieces of text, each with a tone. */
export interface Row {
  readonly key: string;
  readonly parts: readonly { readonly text: string; readonly tone: RowTone }[];
}

export interface Room {
  readonly columns: number;
  readonly rows: number;
}

/** A build that has run this long shows the end of its log. */
const SLOW_AFTER_MS = 4_000;
const FAILED_LOG_LINES = 6;
const MIN_COLUMNS = 20;

/**
 * The display as lines, never more than `room.rows - 1` (the last line stays for the cursor) nor wider than the
 * terminal: what does not fit is counted in a last line.
 */
export function rowsOf(state: ProgressState, nowMs: number, room: Room): Row[] {
  const columns = Math.max(MIN_COLUMNS, room.columns);
  const limit = Math.max(1, room.rows - 1);
  const head = [...evaluationRows(state, nowMs), ...totalRows(state, nowMs)];
  const body = [...failedRows(state), ...activityRows(state, nowMs, columns), ...messageRows(state)];
  const space = limit - head.length;
  const shown = body.length <= space ? body : body.slice(0, Math.max(0, space - 1));
  const hidden = body.length - shown.length;
  const tail: Row[] =
    hidden > 0 && space > 0
      ? [row("more", ["dim", `  … ${hidden} more line${hidden === 1 ? "" : "s"}`])]
      : [];
  return [...head, ...shown, ...tail].slice(0, limit).map((line) => clipRow(line, columns - 1));
}

function evaluationRows(state: ProgressState, nowMs: number): Row[] {
  const evaluation = state.evaluation;
  if (evaluation === undefined)
    return state.stage === "discover"
      ? [row("eval", ["busy", spinner(nowMs)], ["plain", ` looking for ${state.label}`])]
      : [];
  const took = formatSeconds((evaluation.endedMs ?? nowMs) - evaluation.startedMs);
  const fetch = state.fetch;
  if (evaluation.endedMs === undefined && fetch !== undefined)
    return [
      row(
        "eval",
        ["busy", "↓"],
        ["plain", ` fetching ${fetch.what}`],
        ["dim", `  ${formatBytesOf(fetch.doneBytes, fetch.totalBytes ?? 0)}`],
      ),
    ];
  return evaluation.endedMs === undefined
    ? [row("eval", ["busy", spinner(nowMs)], ["plain", ` evaluating ${state.label}`], ["dim", `  ${took}`])]
    : [row("eval", ["good", "✓"], ["plain", ` evaluated ${state.label}`], ["dim", `  ${took}`])];
}

function totalRows(state: ProgressState, nowMs: number): Row[] {
  const rows: Row[] = [];
  const done = state.doneBuilds + state.doneDownloads;
  // A fixed-output derivation is planned as a build and then downloads: only the sum of steps is known beforehand.
  const steps = Math.max(state.plannedBuilds + state.plannedDownloads, done);
  const transfers = [...state.running.values()].filter((activity) => activity.kind !== "build").length;
  const mark = (isDone: boolean): readonly [RowTone, string] =>
    isDone ? ["good", "✓"] : ["busy", spinner(nowMs)];
  if (steps > 0)
    rows.push(
      row(
        "steps",
        mark(done >= steps),
        ["plain", ` ${done} of ${steps} steps`],
        ["bad", state.failed.length === 0 ? "" : `  ${state.failed.length} failed`],
        ["dim", `  ${formatDuration(Math.floor((nowMs - state.startedMs) / 1000))}`],
        ["dim", etaText(state, done, steps, nowMs)],
      ),
    );
  if (state.doneDownloads + transfers > 0) {
    const rate = transfers > 0 ? transferRate(state) : 0;
    rows.push(
      row(
        "downloads",
        mark(transfers === 0),
        ["plain", ` ${state.doneDownloads} download${state.doneDownloads === 1 ? "" : "s"}`],
        ["plain", `  ${formatBytesOf(transferredBytes(state), state.plannedBytes)}`],
        ["dim", rate === 0 ? "" : `  ${formatBytes(rate)}/s`],
      ),
    );
  }
  if (state.stage === "setup")
    rows.push(row("setup", ["busy", spinner(nowMs)], ["plain", " running its set-up"]));
  return rows;
}

/** By bytes where the plan knows them, else by steps once enough of them are done to tell. */
function etaText(state: ProgressState, done: number, steps: number, nowMs: number): string {
  if (done >= steps) return "";
  const byBytes = remainingSeconds(state);
  if (byBytes !== undefined) return `  ETA ${formatDuration(byBytes)}`;
  const begunMs = state.evaluation?.endedMs ?? state.startedMs;
  const tookMs = nowMs - begunMs;
  if (tookMs < 3_000 || done < steps / 10 || done < 3) return "";
  return `  ETA about ${formatDuration(Math.ceil(((tookMs / done) * (steps - done)) / 1000))}`;
}

function failedRows(state: ProgressState): Row[] {
  return state.failed.flatMap((activity) => [
    row(
      `failed-${activity.id}`,
      ["bad", "✗"],
      ["strong", ` ${activity.name}`],
      ["bad", ` ${shortReason(activity.message) ?? "failed"}`],
    ),
    ...activity.log
      .slice(-FAILED_LOG_LINES)
      .map((line, index) => row(`failed-${activity.id}-${index}`, ["dim", "  │ "], ["plain", line])),
  ]);
}

function activityRows(state: ProgressState, nowMs: number, columns: number): Row[] {
  // Builds first, the oldest first: the slow one is what one waits for.
  const sorted = [...state.running.values()].toSorted(
    (a, b) =>
      Number(b.kind === "build") - Number(a.kind === "build") || a.startedMs - b.startedMs || a.id - b.id,
  );
  return sorted.flatMap((activity) =>
    activity.kind === "build" ? buildRows(activity, nowMs) : [transferRow(activity, columns)],
  );
}

function buildRows(activity: Activity, nowMs: number): Row[] {
  const took = nowMs - activity.startedMs;
  const head = row(
    `run-${activity.id}`,
    ["busy", `  ${spinner(nowMs)}`],
    ["plain", ` ${activity.name}`],
    ["dim", activity.phase === undefined ? "" : `  ${activity.phase}`],
    ["dim", activity.totalBytes === undefined ? "" : `  ${percentOf(activity)}`],
    ["dim", took < 1000 ? "" : `  ${formatDuration(Math.floor(took / 1000))}`],
  );
  const last = activity.log.at(-1);
  return took >= SLOW_AFTER_MS && last !== undefined
    ? [head, row(`run-${activity.id}-log`, ["dim", `    │ ${last}`])]
    : [head];
}

function transferRow(activity: Activity, columns: number): Row {
  const known = activity.totalBytes !== undefined && activity.totalBytes > 0;
  return row(
    `run-${activity.id}`,
    ["busy", "  ↓"],
    ["plain", ` ${activity.name}`],
    ["dim", known && columns >= 60 ? `  ${bar(activity.doneBytes / (activity.totalBytes ?? 1), 12)}` : ""],
    ["dim", `  ${formatBytesOf(activity.doneBytes, activity.totalBytes ?? 0)}`],
  );
}

function messageRows(state: ProgressState): Row[] {
  return state.messages.map((text, index) => row(`message-${index}`, ["dim", `  ${text}`]));
}

function row(key: string, ...parts: readonly (readonly [RowTone, string])[]): Row {
  return {
    key,
    parts: parts.filter(([, text]) => text !== "").map(([tone, text]) => ({ tone, text })),
  };
}

/** Cuts a row to the width, counted in columns (wide characters take two), with "…" where it was cut. */
/** Cuts what a terminal of so many columns has no room for. */
export function clipRow(line: Row, columns: number): Row {
  let left = columns;
  const parts: { text: string; tone: RowTone }[] = [];
  for (const part of line.parts) {
    const width = textColumns(part.text);
    if (width <= left) {
      parts.push(part);
      left -= width;
      continue;
    }
    let text = "";
    for (const character of part.text) {
      const size = textColumns(character);
      if (size > left - 1) break;
      text += character;
      left -= size;
    }
    parts.push({ tone: part.tone, text: `${text}…` });
    break;
  }
  return { key: line.key, parts };
}

/** Terminal columns of a text: East Asian wide and emoji two, combining marks none. */
export function textColumns(text: string): number {
  let columns = 0;
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x300) columns += 1;
    else if (/\p{M}|\u200b|\u200d|[\ufe00-\ufe0f]/u.test(character)) columns += 0;
    else
      columns +=
        /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{20000}-\u{3fffd}]/u.test(
          character,
        )
          ? 2
          : 1;
  }
  return columns;
}

function spinner(nowMs: number): string {
  return "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"[Math.floor(nowMs / 100) % 10] ?? "⠋";
}

function bar(fraction: number, width: number): string {
  const full = Math.max(0, Math.min(width, Math.round(fraction * width)));
  return "█".repeat(full) + "░".repeat(width - full);
}

function percentOf(activity: Activity): string {
  const total = activity.totalBytes ?? 0;
  return total > 0 ? `${Math.min(100, Math.floor((activity.doneBytes * 100) / total))} %` : "";
}

/** Decimal units as package tools print them: `812 B`, `3.4 MB`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = Math.max(0, bytes);
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

function formatBytesOf(done: number, total: number): string {
  return total > 0 ? `${formatBytes(Math.min(done, total))} of ${formatBytes(total)}` : formatBytes(done);
}

export function formatDuration(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

function formatSeconds(ms: number): string {
  return ms < 9_950 ? `${(ms / 1000).toFixed(1)} s` : formatDuration(Math.round(ms / 1000));
}
