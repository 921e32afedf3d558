import { lstatSync, readdirSync, readlinkSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { fsPath } from "../../core/index.ts";
import { downloadsDir } from "../local/layout.ts";

/** A download that ended this recently may be on its way into the store. */
const RECENT_MS = 60_000;

/** Deletes what killed processes had downloaded in part and no later run has continued. */
export function removeOrphanedDownloads(stateDir: string): void {
  const directory = downloadsDir(stateDir);
  const names = namesIn(directory);
  if (names.length === 0) return;
  const open = openFilesBelow(directory);
  for (const name of names) {
    const path = join(directory, name);
    const stat = lstatSync(fsPath(path), { throwIfNoEntry: false });
    if (stat === undefined || open.has(path) || Date.now() - stat.mtimeMs < RECENT_MS) continue;
    unlinkSync(fsPath(path));
  }
}

/** As far as their processes are this user's: others' downloads are not ours to delete either. */
function openFilesBelow(directory: string): ReadonlySet<string> {
  const open = new Set<string>();
  for (const pid of namesIn("/proc").filter((name) => /^\d+$/.test(name)))
    for (const fd of namesIn(`/proc/${pid}/fd`)) {
      try {
        const target = readlinkSync(`/proc/${pid}/fd/${fd}`, "latin1");
        if (target.startsWith(`${directory}/`)) open.add(target);
      } catch {
        // closed meanwhile
      }
    }
  return open;
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(fsPath(directory), "latin1");
  } catch {
    return [];
  }
}
