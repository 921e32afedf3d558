import { DevshellError, textOfBytes, type ByteString } from "../../../core/index.ts";
import type { ObjectTree, TreeEntry } from "../../../store/index.ts";
import { usageError } from "../commandLine.ts";
import { printLine, writeStandardOutput } from "../output.ts";

/** `-R`, `-l`, `-d`, `--json` of `nix store ls` and `nix nar ls`. */
export interface ListFlags {
  readonly isRecursive: boolean;
  readonly isLong: boolean;
  readonly isDirectoryItself: boolean;
  readonly isJson: boolean;
}

/** The flags' words, short and long. */
export const LIST_SWITCHES: Readonly<Record<string, string>> = {
  "-R": "--recursive",
  "--recursive": "--recursive",
  "-l": "--long",
  "--long": "--long",
  "-d": "--directory",
  "--directory": "--directory",
  "--json": "--json",
};

export function listFlagsOf(given: ReadonlySet<string>): ListFlags {
  return {
    isRecursive: given.has("--recursive"),
    isLong: given.has("--long"),
    isDirectoryItself: given.has("--directory"),
    isJson: given.has("--json"),
  };
}

/**
 * Prints what lies at a path in a tree.
 * @param path begins with a slash, or is ""
 * @param shown names the path where it is missing
 */
export function listTree(tree: ObjectTree, path: ByteString, shown: string, flags: ListFlags): void {
  const entry = tree.entry(path);
  if (entry === undefined) throw new DevshellError("CLI_NO_PATH", `path '${shown}' does not exist`);
  if (flags.isJson) {
    if (flags.isDirectoryItself) throw usageError("nix", "'--directory' is useless with '--json'");
    printLine(jsonOf(tree, path, entry, flags.isRecursive, true));
    return;
  }
  const name = entry.type === "directory" ? "." : path.slice(path.lastIndexOf("/") + 1);
  if (entry.type === "directory" && !flags.isDirectoryItself) listNames(tree, path, name, entry.names, flags);
  else listEntry(tree, path, name, flags);
}

/** Writes a regular file's content. */
export async function printFile(
  tree: ObjectTree,
  path: ByteString,
  missing: () => DevshellError,
): Promise<void> {
  const entry = tree.entry(path);
  if (entry === undefined) throw missing();
  for await (const chunk of tree.read(path)) writeStandardOutput(Buffer.from(chunk));
}

function listNames(
  tree: ObjectTree,
  path: ByteString,
  shown: ByteString,
  names: readonly ByteString[],
  flags: ListFlags,
): void {
  for (const name of names) listEntry(tree, `${path}/${name}`, `${shown}/${name}`, flags);
}

function listEntry(tree: ObjectTree, path: ByteString, shown: ByteString, flags: ListFlags): void {
  const entry = tree.entry(path);
  if (entry === undefined) return;
  printLine(flags.isLong ? longLine(entry, shown) : shown);
  if (flags.isRecursive && entry.type === "directory") listNames(tree, path, shown, entry.names, flags);
}

function longLine(entry: TreeEntry, shown: ByteString): string {
  const size = entry.type === "regular" ? entry.sizeBytes : 0;
  const mode =
    entry.type === "regular"
      ? entry.isExecutable
        ? "-r-xr-xr-x"
        : "-r--r--r--"
      : entry.type === "symlink"
        ? "lrwxrwxrwx"
        : "dr-xr-xr-x";
  const line = `${mode} ${String(size).padStart(20)} ${shown}`;
  return entry.type === "symlink" ? `${line} -> ${entry.target}` : line;
}

/** Keys in order, as Nix prints them; the entries of a directory within a shallow listing are empty. */
function jsonOf(
  tree: ObjectTree,
  path: ByteString,
  entry: TreeEntry,
  isDeep: boolean,
  isTop: boolean,
): string {
  if (!isDeep && !isTop) return "{}";
  switch (entry.type) {
    case "regular": {
      const offset = entry.narOffset === undefined ? "" : `"narOffset":${entry.narOffset},`;
      return `{"executable":${entry.isExecutable},${offset}"size":${entry.sizeBytes},"type":"regular"}`;
    }
    case "symlink":
      return `{"target":${quoted(entry.target)},"type":"symlink"}`;
    case "directory": {
      const entries = entry.names.flatMap((name) => {
        const child = tree.entry(`${path}/${name}`);
        return child === undefined
          ? []
          : [`${quoted(name)}:${jsonOf(tree, `${path}/${name}`, child, isDeep, false)}`];
      });
      return `{"entries":{${entries.join(",")}},"type":"directory"}`;
    }
  }
}

/** A byte string that is JSON text. */
function quoted(name: ByteString): ByteString {
  return Buffer.from(JSON.stringify(textOfBytes(name)), "utf8").toString("latin1");
}
