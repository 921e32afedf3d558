import { dirname } from "node:path";

/** Tells of changes of files and directories, whether they exist already or not. */
export interface InputWatcher {
  /** What is watched from now on. Resolves when it is. */
  watch(paths: readonly string[]): Promise<void>;
  /** Resolves a moment after a change, or when aborted. A change since the last call resolves it, too. */
  changed(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** An editor saves in several steps; what comes within this time is one change. */
const SETTLE_MS = 150;
/** A file that is written all the time is not waited for. */
const MAX_SETTLE_MS = 1000;

export function openInputWatcher(): InputWatcher {
  let watcher: { close(): Promise<void> } | undefined;
  let watched: ReadonlySet<string> = new Set();
  let isChanged = false;
  let firstMs = 0;
  let lastMs = 0;
  let wake: (() => void) | undefined;

  const onEvent = (path: string): void => {
    // Beside what is absent its directory is watched; what happens to others there is no matter.
    if (!watched.has(path) && !watched.has(dirname(path))) return;
    lastMs = Date.now();
    if (!isChanged) firstMs = lastMs;
    isChanged = true;
    wake?.();
  };

  return {
    watch: async (paths) => {
      const next = new Set(paths);
      if (watcher !== undefined && next.size === watched.size && paths.every((path) => watched.has(path)))
        return;
      const previous = watcher;
      watched = next;
      const { watch } = await import("chokidar");
      const opened = watch([...next], { ignoreInitial: true, depth: 0 });
      watcher = opened;
      opened.on("all", (_event, path) => onEvent(path));
      opened.on("error", () => undefined);
      if (next.size > 0) await new Promise<void>((resolve) => opened.once("ready", () => resolve()));
      await previous?.close();
    },
    changed: async (signal) => {
      while (!signal.aborted) {
        const now = Date.now();
        const dueMs = Math.min(lastMs + SETTLE_MS, firstMs + MAX_SETTLE_MS);
        if (isChanged && now >= dueMs) break;
        await pause(isChanged ? dueMs - now : undefined, signal, (resolve) => (wake = resolve));
      }
      wake = undefined;
      isChanged = false;
    },
    close: async () => {
      await watcher?.close();
      watcher = undefined;
    },
  };
}

/** Until woken, aborted, or the time is over. */
function pause(
  timeMs: number | undefined,
  signal: AbortSignal,
  onWake: (resolve: () => void) => void,
): Promise<void> {
  return new Promise((resolve) => {
    const timer = timeMs === undefined ? undefined : setTimeout(end, timeMs);
    function end(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    }
    signal.addEventListener("abort", end, { once: true });
    onWake(end);
  });
}
