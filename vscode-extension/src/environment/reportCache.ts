import { createHash, randomBytes } from "node:crypto";
import { closeSync, fstatSync, mkdirSync, openSync, readFileSync, renameSync, rmSync } from "node:fs";
import { readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { EnvironmentReport } from "../../../cli/protocol/types.ts";
import { isEnvironmentReport } from "../cli/reportShape.ts";

/** The last good reports of earlier windows. Nothing in it is believed unseen; what cannot be read is as if absent. */
export interface ReportCache {
  /** At once: it is needed before other extensions start their programs. */
  read(folder: string, selection: readonly string[]): EnvironmentReport | undefined;
  write(folder: string, selection: readonly string[], report: EnvironmentReport): Promise<void>;
  /** At once, too: a window that is killed now must not give a removed spec's environment to the next one. */
  remove(folder: string, selection: readonly string[]): Promise<void>;
}

/** Changes with the shape of the files. */
const VERSION = 1;
const SIZE_LIMIT_BYTES = 64 * 1024 * 1024;

/** What was not written for so long goes. */
const KEPT_MS = 90 * 24 * 3600 * 1000;
/** The oldest beyond these go, too. */
const KEPT_FILES = 1000;

/**
 * @param directory the extension's own, shared by all windows: a workspace's own storage is another one while an
 *   earlier window's extension host still ends
 */
export function createReportCache(directory: string): ReportCache {
  const fileOf = (folder: string, selection: readonly string[]): string =>
    join(
      directory,
      `report-${createHash("sha256")
        .update(JSON.stringify([folder, selection]))
        .digest("hex")
        .slice(0, 32)}.json`,
    );
  /** What is being written for each file: only the last that was asked for takes its place. */
  const writing = new Map<string, string>();
  let pruning: Promise<void> | undefined;

  return {
    read(folder, selection) {
      try {
        const value = JSON.parse(readBounded(fileOf(folder, selection))) as {
          readonly version?: unknown;
          readonly folder?: unknown;
          readonly selection?: unknown;
          readonly report?: unknown;
        } | null;
        if (value?.version !== VERSION || value.folder !== folder) return undefined;
        if (JSON.stringify(value.selection) !== JSON.stringify(selection)) return undefined;
        return isEnvironmentReport(value.report) ? value.report : undefined;
      } catch {
        return undefined;
      }
    },

    async write(folder, selection, report) {
      const file = fileOf(folder, selection);
      const temporary = `${file}.${process.pid}-${randomBytes(4).toString("hex")}.tmp`;
      writing.set(file, temporary);
      try {
        mkdirSync(directory, { recursive: true, mode: 0o700 });
        // Values may be secret: nobody else reads them.
        await writeFile(temporary, JSON.stringify({ version: VERSION, folder, selection, report }), {
          mode: 0o600,
          flag: "wx",
        });
        if (writing.get(file) === temporary) renameSync(temporary, file);
      } finally {
        if (writing.get(file) === temporary) writing.delete(file);
        await rm(temporary, { force: true });
      }
      await (pruning ??= prune(directory).catch(() => undefined)); // only upkeep
    },

    async remove(folder, selection) {
      const file = fileOf(folder, selection);
      writing.delete(file);
      rmSync(file, { force: true });
    },
  };
}

/** Once in a window's life. Another window may remove the same files. */
async function prune(directory: string): Promise<void> {
  const oldest = Date.now() - KEPT_MS;
  const files = await Promise.all(
    (await readdir(directory)).map(async (name) => {
      const path = join(directory, name);
      return { path, writtenMs: (await stat(path).catch(() => undefined))?.mtimeMs ?? Infinity };
    }),
  );
  files.sort((a, b) => b.writtenMs - a.writtenMs);
  for (const [index, { path, writtenMs }] of files.entries())
    if (index >= KEPT_FILES || writtenMs < oldest) await rm(path, { force: true });
}

function readBounded(file: string): string {
  const handle = openSync(file, "r");
  try {
    const stat = fstatSync(handle);
    if (!stat.isFile() || stat.size > SIZE_LIMIT_BYTES) throw new Error(`Cannot read ${file}: not a report`);
    return readFileSync(handle, "utf8");
  } finally {
    closeSync(handle);
  }
}
