import { loadRecord, watchedPaths } from "../env/index.ts";

/** Calls back when something that a record's evaluation read may have changed, until the signal. */
export async function watchRecord(
  recordDir: string,
  onChange: () => void,
  signal: AbortSignal,
): Promise<void> {
  const record = loadRecord(recordDir);
  if (record === undefined || signal.aborted) return;
  // The store never changes; its files need no watching.
  const paths = watchedPaths(record.inputs).filter(
    (path) => !path.startsWith(`${record.environment.storeDir}/`),
  );
  // Loaded once the shell is there: no prompt waits for it.
  const { watch } = await import("chokidar");
  const watcher = watch(paths, { ignoreInitial: true, depth: 0, persistent: false });
  watcher.on("all", () => onChange());
  watcher.on("error", () => undefined);
  signal.addEventListener("abort", () => void watcher.close(), { once: true });
  await new Promise<void>((resolve) => watcher.once("ready", () => resolve()));
  // What changed between the record's check and the watch.
  if (record.changed.length > 0) onChange();
}
