import { writeSync } from "node:fs";
import type { OutputTerminal } from "../../shell/index.ts";
import { initialProgress, reduceProgress } from "./progress.ts";
import type { ProgressEvent } from "./progress.ts";
import { plainLinesOf, summaryLine } from "./plainLines.ts";
import { rowsOf } from "./rows.ts";
import type { InkScreen } from "./inkScreen.tsx";

export type DisplayMode = "tui" | "plain" | "json" | "quiet";

export interface DisplayOptions {
  readonly mode: DisplayMode;
  /** What is made, as the user named it. */
  readonly label: string;
  readonly isVerbose?: boolean | undefined;
  readonly stream?: OutputTerminal | undefined;
  /** For tests: the screen to draw on instead of Ink's. */
  readonly openScreen?: ((stream: OutputTerminal) => Promise<InkScreen>) | undefined;
  readonly now?: (() => number) | undefined;
}

/** Shows progress on standard error until it is closed. */
export interface Display {
  readonly onEvent: (event: ProgressEvent) => void;
  /** Ends it; the terminal is as before, and what failed stays on the screen. */
  close(): Promise<void>;
}

/** Nothing is drawn for what takes less: an entry that is quick stays silent. */
const SHOW_AFTER_MS = 250;
const REDRAW_EVERY_MS = 100;

/** The mode that fits the streams and the environment; `asked` wins. */
export function displayMode(
  asked: { readonly json?: boolean | undefined; readonly quiet?: boolean | undefined },
  stream: OutputTerminal = process.stderr,
  environment: NodeJS.ProcessEnv = process.env,
): DisplayMode {
  if (asked.quiet === true) return "quiet";
  if (asked.json === true) return "json";
  const isDumb =
    environment["TERM"] === "dumb" || environment["TERM"] === undefined || environment["TERM"] === "";
  return stream.isTTY && !isDumb && environment["CI"] === undefined ? "tui" : "plain";
}

export function openDisplay(options: DisplayOptions): Display {
  switch (options.mode) {
    case "quiet":
      return { onEvent: () => undefined, close: () => Promise.resolve() };
    case "json":
      return openJsonDisplay(options);
    case "plain":
      return openPlainDisplay(options);
    case "tui":
      return openLiveDisplay(options);
  }
}

function openJsonDisplay({ stream = process.stderr }: DisplayOptions): Display {
  return {
    onEvent: (event) => void stream.write(`${JSON.stringify(event)}\n`),
    close: () => Promise.resolve(),
  };
}

function openPlainDisplay({
  stream = process.stderr,
  isVerbose = false,
  now = Date.now,
  label,
}: DisplayOptions): Display {
  let state = initialProgress(now(), label);
  return {
    onEvent: (event) => {
      for (const line of plainLinesOf(event, state, isVerbose)) stream.write(`devshell: ${line}\n`);
      state = reduceProgress(state, event, now());
    },
    close: () => {
      const summary = summaryLine(state, now());
      if (summary !== undefined) stream.write(`devshell: ${summary}\n`);
      return Promise.resolve();
    },
  };
}

/**
 * The live display. While evaluating (which holds the thread) a single line is written by hand; Ink is loaded when
 * realising has begun and lasts, since loading it costs more than a warm entry does altogether.
 */
function openLiveDisplay(options: DisplayOptions): Display {
  const { stream = process.stderr, now = Date.now, label } = options;
  const openScreen =
    options.openScreen ??
    (async (target: OutputTerminal) => (await import("./inkScreen.tsx")).openInkScreen(target));
  let state = initialProgress(now(), label);
  let screen: InkScreen | undefined;
  let loading: Promise<void> | undefined;
  let isClosed = false;
  let lastDrawnMs = 0;
  let hasStatusLine = false;

  const room = () => ({ columns: stream.columns || 80, rows: stream.rows || 24 });
  const draw = () => {
    if (isClosed || screen === undefined) return;
    lastDrawnMs = now();
    screen.draw(rowsOf(state, lastDrawnMs, room()));
  };
  const wipeStatusLine = () => {
    if (hasStatusLine) writeRaw(stream, "\r\x1b[K");
    hasStatusLine = false;
  };
  const drawStatusLine = () => {
    const at = now();
    if (at - state.startedMs < SHOW_AFTER_MS || at - lastDrawnMs < REDRAW_EVERY_MS) return;
    const text = rowsOf(state, at, { ...room(), rows: 2 })[0]
      ?.parts.map((part) => part.text)
      .join("");
    if (text === undefined) return;
    lastDrawnMs = at;
    hasStatusLine = true;
    writeRaw(stream, `\r\x1b[K${text}`);
  };
  const load = () => {
    loading ??= openScreen(stream).then(
      (opened) => {
        wipeStatusLine();
        if (isClosed) opened.close(false);
        else screen = opened;
        draw();
      },
      () => undefined, // Without Ink the status line remains.
    );
  };
  const ticker = setInterval(() => {
    if (screen !== undefined) draw();
    else if (state.running.size > 0 && now() - state.startedMs >= SHOW_AFTER_MS) load();
    else drawStatusLine();
  }, REDRAW_EVERY_MS);
  stream.on("resize", draw);

  return {
    onEvent: (event) => {
      state = reduceProgress(state, event, now());
      if (screen === undefined) drawStatusLine();
    },
    close: async () => {
      clearInterval(ticker);
      stream.off("resize", draw);
      isClosed = true;
      await loading;
      wipeStatusLine();
      screen?.close(false);
      const lines = state.failed.flatMap((activity) =>
        plainLinesOf(
          { kind: "end", id: activity.id, status: "failed", message: activity.message },
          { ...state, running: new Map([[activity.id, activity]]) },
          false,
        ),
      );
      const summary = state.failed.length === 0 ? summaryLine(state, now()) : undefined;
      for (const line of [...lines, ...(summary === undefined ? [] : [summary])])
        stream.write(`devshell: ${line}\n`);
    },
  };
}

/** Written past the stream's queue: evaluation holds the thread, so nothing queued would appear. */
function writeRaw(stream: OutputTerminal, text: string): void {
  try {
    writeSync(stream.fd, text);
  } catch {
    // A full or closed terminal loses a status line; that is no failure.
  }
}
