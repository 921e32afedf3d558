import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { fsPath } from "../../core/index.ts";
import { downloadsDir } from "../local/layout.ts";
import { removeOrphanedBuilds, removeTree } from "./builder/scratch.ts";

/** Unfinished downloads older than this are not waited for any more. */
const LEFTOVER_AGE_MS = 7 * 24 * 3600 * 1000;

/** Deletes what runs that were killed left outside the store; unfinished downloads only when nobody came back. */
export async function cleanLeftovers(stateDir: string): Promise<void> {
  await removeOrphanedBuilds(stateDir);
  const directory = downloadsDir(stateDir);
  for (const name of await readdir(fsPath(directory), "latin1").catch(() => [])) {
    const path = join(directory, name);
    const { mtimeMs } = await stat(fsPath(path));
    if (Date.now() - mtimeMs > LEFTOVER_AGE_MS) await removeTree(path);
  }
}
