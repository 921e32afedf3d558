import { createHash } from "node:crypto";
import { readdirSync, realpathSync, statSync, watch, type BigIntStats, type FSWatcher } from "node:fs";
import { basename, dirname } from "node:path";

export interface Watching {
  dispose(): void;
}

/**
 * Watches inputs of environments. What is watched is each input's directory, so that files replaced by a rename,
 * removed or not yet there are seen; for a directory that is not there, the nearest that is. Directories are shared
 * by all who watch.
 */
export class InputWatchers {
  readonly #debounceMs: number;
  readonly #directories = new Map<string, DirectoryWatch>();
  readonly #subscriptions = new Set<Subscription>();

  constructor({ debounceMs = 200 }: { readonly debounceMs?: number } = {}) {
    this.#debounceMs = debounceMs;
  }

  /** How many directories are watched now. */
  get size(): number {
    return this.#directories.size;
  }

  /**
   * Calls back when an input is another than when this was called, or, with `sinceMs`, than it was then; not when it
   * was only touched on the way. Paths are absolute; of a directory its list of names counts.
   */
  watch(paths: readonly string[], onChange: (paths: readonly string[]) => void, sinceMs?: number): Watching {
    const subscription = new Subscription(paths, onChange, this.#debounceMs, (directory, inode, listener) =>
      this.#listen(directory, inode, listener),
    );
    this.#subscriptions.add(subscription);
    subscription.start(sinceMs);
    return {
      dispose: () => {
        this.#subscriptions.delete(subscription);
        subscription.dispose();
      },
    };
  }

  /** Ends all watching, looks that are still to come included. */
  dispose(): void {
    for (const subscription of this.#subscriptions) subscription.dispose();
    this.#subscriptions.clear();
  }

  #listen(directory: string, inode: bigint, listener: () => void): () => void {
    // Another directory may have taken the name while somebody still listens at the former.
    const key = `${inode} ${directory}`;
    let shared = this.#directories.get(key);
    if (shared === undefined) {
      shared = new DirectoryWatch(directory);
      this.#directories.set(key, shared);
    }
    shared.listeners.add(listener);
    return () => {
      shared.listeners.delete(listener);
      if (shared.listeners.size > 0) return;
      shared.close();
      this.#directories.delete(key);
    };
  }
}

type Listen = (directory: string, inode: bigint, listener: () => void) => () => void;

/** Where a neighbour changes all the time, a log for one, looking is put off no longer than so many times. */
const MAX_DEBOUNCES = 5;
/** Looking from time to time, where the system has no more watches to give. */
const POLL_MS = 2_000;

/** Many who watch one directory. */
class DirectoryWatch {
  readonly listeners = new Set<() => void>();
  #watcher: FSWatcher | undefined;
  #poll: NodeJS.Timeout | undefined;

  constructor(directory: string) {
    const notify = (): void => {
      for (const listener of this.listeners) listener();
    };
    const poll = (): void => {
      this.close();
      this.#poll = setInterval(notify, POLL_MS).unref();
    };
    try {
      this.#watcher = watch(directory, { persistent: false }, notify);
      this.#watcher.on("error", poll);
    } catch {
      poll();
    }
  }

  close(): void {
    this.#watcher?.close();
    clearInterval(this.#poll);
  }
}

class Subscription implements Watching {
  readonly #paths: readonly string[];
  readonly #onChange: (paths: readonly string[]) => void;
  readonly #debounceMs: number;
  readonly #listen: Listen;
  /** By directory: how to stop listening, and which directory it was (another may take its name). */
  readonly #listening = new Map<string, { readonly inode: bigint; readonly stop: () => void }>();
  #signatures = new Map<string, string>();
  #timer: NodeJS.Timeout | undefined;
  /** When the first event came that was not looked after yet. */
  #eventMs: number | undefined;
  #isDisposed = false;

  constructor(
    paths: readonly string[],
    onChange: (paths: readonly string[]) => void,
    debounceMs: number,
    listen: Listen,
  ) {
    this.#paths = [...new Set(paths)];
    this.#onChange = onChange;
    this.#debounceMs = debounceMs;
    this.#listen = listen;
  }

  start(sinceMs: number | undefined): void {
    this.#arm();
    this.#signatures = this.#look();
    if (sinceMs === undefined) return;
    // What changed while somebody read it, before anyone watched: the change time cannot be set back.
    const changed = this.#paths.filter((path) => (statOf(path)?.ctimeMs ?? 0) > sinceMs);
    if (changed.length === 0) return;
    for (const path of changed) this.#signatures.set(path, "unknown");
    this.#schedule();
  }

  dispose(): void {
    this.#isDisposed = true;
    clearTimeout(this.#timer);
    for (const { stop } of this.#listening.values()) stop();
    this.#listening.clear();
  }

  readonly #schedule = (): void => {
    if (this.#isDisposed) return;
    clearTimeout(this.#timer);
    const nowMs = performance.now();
    this.#eventMs ??= nowMs;
    const leftMs = this.#eventMs + MAX_DEBOUNCES * this.#debounceMs - nowMs;
    this.#timer = setTimeout(() => this.#check(), Math.max(0, Math.min(this.#debounceMs, leftMs)));
    this.#timer.unref();
  };

  #check(): void {
    this.#eventMs = undefined;
    this.#arm();
    const now = this.#look();
    const changed = this.#paths.filter((path) => now.get(path) !== this.#signatures.get(path));
    this.#signatures = now;
    if (changed.length > 0) this.#onChange(changed);
  }

  #look(): Map<string, string> {
    return new Map(this.#paths.map((path) => [path, signatureOf(path)]));
  }

  /** Listens at the directories that tell of the paths as things are now, and at no others. */
  #arm(): void {
    const wanted = new Map<string, bigint>();
    for (const path of this.#paths)
      for (const directory of directoriesOf(path)) {
        const stat = statOf(directory);
        if (stat !== undefined) wanted.set(directory, stat.ino);
      }
    for (const [directory, { inode, stop }] of this.#listening)
      if (wanted.get(directory) !== inode) {
        stop();
        this.#listening.delete(directory);
      }
    for (const [directory, inode] of wanted)
      if (!this.#listening.has(directory))
        this.#listening.set(directory, { inode, stop: this.#listen(directory, inode, this.#schedule) });
  }
}

/** The directories whose events tell of a path. */
function directoriesOf(path: string): Set<string> {
  const directories = new Set([nearestDirectory(dirname(path))]);
  if (statOf(path)?.isDirectory() === true) directories.add(path);
  try {
    const target = realpathSync(path);
    if (target !== path) directories.add(nearestDirectory(dirname(target)));
  } catch {
    // Not there yet.
  }
  return directories;
}

function nearestDirectory(path: string): string {
  let directory = path;
  while (statOf(directory)?.isDirectory() !== true && dirname(directory) !== directory)
    directory = dirname(directory);
  return directory;
}

function signatureOf(path: string): string {
  const stat = statOf(path);
  if (stat === undefined) return "absent";
  if (!stat.isDirectory()) return `file ${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`;
  try {
    return `directory ${createHash("sha256")
      .update(JSON.stringify(readdirSync(path).toSorted()))
      .digest("hex")}`;
  } catch {
    return "unreadable directory";
  }
}

function statOf(path: string): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** For messages: the file's name is enough to know it. */
export function shownPaths(paths: readonly string[]): string {
  const names = paths.slice(0, 3).map((path) => basename(path));
  return names.join(", ") + (paths.length > 3 ? ", …" : "");
}
