import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bytesOfText, fsPath, type ByteString } from "../../core/index.ts";
import { runGit, tryGit } from "./runGit.ts";

/**
 * The paths whose attribute `export-ignore` is set, by the `.gitattributes` of a revision, or of the index where
 * `rev` is undefined.
 */
export async function exportIgnored(
  directory: string,
  rev: string | undefined,
  paths: readonly ByteString[],
  signal: AbortSignal,
): Promise<Set<ByteString>> {
  if (paths.length === 0) return new Set();
  const scratch = mkdtempSync(join(tmpdir(), "devshell-index-"));
  try {
    const env = rev === undefined ? {} : { GIT_INDEX_FILE: join(scratch, "index") };
    if (rev !== undefined) await runGit(["-C", directory, "read-tree", rev], { signal, env });
    const root = await workTreeOf(directory, signal);
    // as libgit2 asks: what is a directory is looked up in the work tree
    const isDirectory = (path: ByteString): boolean =>
      root !== undefined &&
      statSync(fsPath(`${root}/${path}`), { throwIfNoEntry: false })?.isDirectory() === true;
    const output = await runGit(
      ["-C", directory, "check-attr", "--cached", "-z", "--stdin", "export-ignore"],
      {
        signal,
        env,
        input: paths.map((path) => `${path}${isDirectory(path) ? "/" : ""}\0`).join(""),
      },
    );
    const fields = output.split("\0");
    const ignored = new Set<ByteString>();
    for (let at = 0; at + 2 < fields.length; at += 3)
      if (fields[at + 2] === "set") ignored.add((fields[at] ?? "").replace(/\/$/, ""));
    return ignored;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function workTreeOf(directory: string, signal: AbortSignal): Promise<ByteString | undefined> {
  const isBare = await tryGit(["-C", directory, "rev-parse", "--is-bare-repository"], { signal });
  return isBare?.trim() === "false" ? bytesOfText(directory) : undefined;
}
