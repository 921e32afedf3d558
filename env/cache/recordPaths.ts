import { accessSync, constants, existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { DevshellError, quoteForShell } from "../../core/index.ts";

/** The byte that ends each word of a selection key: no word of a command line holds it by accident. */
const WORD_END = "\x1f";

/** See FORMAT.md. */
export function cacheDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const given = environment["DEVSHELL_CACHE_DIR"];
  if (given !== undefined && given !== "") return given;
  const base = environment["XDG_CACHE_HOME"];
  return join(
    base !== undefined && base !== "" ? base : join(environment["HOME"] ?? homedir(), ".cache"),
    "devshell",
  );
}

/**
 * Makes the cache directory where it is missing.
 * @throws {DevshellError} `CACHE_NOT_WRITABLE`
 */
export function prepareCache(environment: NodeJS.ProcessEnv = process.env): string {
  const cache = cacheDirectory(environment);
  try {
    makeDirectories(cache);
    accessSync(cache, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new DevshellError(
      "CACHE_NOT_WRITABLE",
      `Cannot write cache "${cache}": ${(error as Error).message}`,
      {
        hint: "set DEVSHELL_CACHE_DIR to a directory of yours",
        cause: error,
      },
    );
  }
  return cache;
}

/** Not the `recursive` of Node's own, which never ends where a parent is there and takes no directory, as /proc. */
function makeDirectories(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" && statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return;
    const parent = dirname(path);
    if (code !== "ENOENT" || existsSync(parent)) throw error;
    makeDirectories(parent);
    makeDirectories(path);
  }
}

/** The key under which a directory's index holds a selection; the launcher makes the same text. */
export function selectionKey(words: readonly string[]): string {
  return words.map((word) => word + WORD_END).join("");
}

/** The words of a key that {@link selectionKey} made. */
export function wordsOfKey(key: string): string[] {
  return key.split(WORD_END).slice(0, -1);
}

export function indexPath(cache: string, directory: string): string {
  return join(cache, "by-dir", directory, "=", "index.sh");
}

export interface IndexEntry {
  readonly key: string;
  readonly record: string;
}

/** Reads an index that {@link formatIndex} wrote; anything else is empty. */
export function readIndex(path: string): IndexEntry[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return [];
  }
  const entries: IndexEntry[] = [];
  const pattern = /^('(?:[^']|'\\'')*')\) devshell_record=('(?:[^']|'\\'')*');;$/gm;
  for (const [, key = "", record = ""] of text.matchAll(pattern))
    entries.push({ key: unquote(key), record: unquote(record) });
  return entries;
}

export function formatIndex(entries: readonly IndexEntry[]): string {
  const lines = entries.map(
    ({ key, record }) => `${quoteForShell(key)}) devshell_record=${quoteForShell(record)};;\n`,
  );
  return `case "$devshell_key" in\n${lines.join("")}esac\n`;
}

function unquote(text: string): string {
  return text.slice(1, -1).replaceAll("'\\''", "'");
}
