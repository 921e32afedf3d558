import { existsSync, lstatSync } from "node:fs";
import { join } from "node:path";
import { bytesOfText, fsPath, type ByteString } from "../../core/index.ts";
import { exportIgnored } from "./exportIgnored.ts";
import { isBelow } from "./exportCommit.ts";
import { modulePaths } from "./gitSubmodules.ts";
import { gitPath, runGit, tryGit } from "./runGit.ts";

export interface WorkTree {
  /** What Git tracks and the work tree holds, relative to its root; as it is on disk, committed or not. */
  readonly files: ReadonlySet<ByteString>;
  /** What Git tracks and the work tree does not hold: it may come back without a word to Git. */
  readonly missing: readonly ByteString[];
  readonly isDirty: boolean;
  /** `undefined` before the first commit. */
  readonly head: string | undefined;
  /** Git's indexes, which say what is tracked. */
  readonly indexFiles: readonly ByteString[];
}

export interface WorkTreeOptions {
  readonly signal: AbortSignal;
  readonly submodules: boolean;
  readonly exportIgnore: boolean;
}

/** Reads which files of a work tree are tracked, and whether they differ from the last commit. */
export async function readWorkTree(directory: string, options: WorkTreeOptions): Promise<WorkTree> {
  const { signal } = options;
  const head = await tryGit(["-C", directory, "rev-parse", "--verify", "--quiet", "HEAD^{commit}"], {
    signal,
  });
  const status = await runGit(
    ["-C", directory, "status", "--porcelain=v2", "-z", "--untracked-files=no", "--ignore-submodules=all"],
    { signal },
  );
  const index = await runGit(["-C", directory, "rev-parse", "--git-path", "index"], { signal });
  const listing = await runGit(["-C", directory, "ls-files", "-z", "--cached", "--stage"], { signal });
  const root = bytesOfText(directory);
  let files = new Set<ByteString>();
  const missing: ByteString[] = [];
  for (const line of listing.split("\0")) {
    const match = /^(\d{6}) [0-9a-f]+ \d\t(.+)$/s.exec(line);
    if (match === null || match[1] === "160000") continue;
    const path = match[2]!;
    const stat = lstatSync(fsPath(`${root}/${path}`), { throwIfNoEntry: false });
    if (stat !== undefined && !stat.isDirectory()) files.add(path);
    else missing.push(path);
  }
  if (options.exportIgnore && [...files].some((path) => /(?:^|\/)\.gitattributes$/.test(path))) {
    const ignored = await exportIgnored(directory, undefined, withDirectories(files), signal);
    files = new Set([...files].filter((path) => !isBelow(ignored, path)));
  }
  let isDirty = status !== "";
  const indexFiles = [bytesOfText(join(directory, index.trim()))];
  if (index.startsWith("/")) indexFiles[0] = index.trim();
  if (options.submodules)
    for (const path of await modulePaths(directory, signal)) {
      const inner = join(directory, gitPath(path));
      if (path.split("/").includes("..") || !existsSync(join(inner, ".git"))) continue;
      const module = await readWorkTree(inner, options);
      for (const file of module.files) files.add(`${path}/${file}`);
      for (const file of module.missing) missing.push(`${path}/${file}`);
      isDirty ||= module.isDirty;
      indexFiles.push(...module.indexFiles);
    }
  return { files, missing, isDirty, head: head?.trim(), indexFiles };
}

/** Lets in the files of a work tree and the directories that lead to them. */
export function workTreeFilter(
  root: ByteString,
  files: ReadonlySet<ByteString>,
): (path: ByteString, type: string) => boolean {
  const directories = new Set<ByteString>(withDirectories(files));
  for (const file of files) directories.delete(file);
  return (path, type) => {
    const relative = path.slice(root.length + 1);
    return relative === "" || (type === "directory" ? directories.has(relative) : files.has(relative));
  };
}

function withDirectories(files: ReadonlySet<ByteString>): ByteString[] {
  const all = new Set(files);
  for (const file of files)
    for (let at = file.lastIndexOf("/"); at > 0; at = file.lastIndexOf("/", at - 1))
      all.add(file.slice(0, at));
  return [...all];
}
