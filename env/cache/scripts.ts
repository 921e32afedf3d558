import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { BuildEnvironment } from "../types.ts";
import { cacheDirectory } from "./recordPaths.ts";

/** An editor's terminals may be open for weeks. */
const KEEP_MS = 30 * 24 * 3600 * 1000;

/** Writes an environment's scripts as programs into a directory, which is made. */
export function writeScripts(environment: BuildEnvironment, directory: string): void {
  mkdirSync(directory, { recursive: true });
  for (const [name, text] of environment.scripts) {
    const path = join(directory, name);
    writeFileSync(path, `#!${environment.shell}\n${text}\n`);
    chmodSync(path, 0o755);
  }
}

/**
 * A directory with an environment's scripts that has another name only where they are others: a record's own is new
 * with each record, and a PATH that holds it would be, too.
 * @returns undefined where there are none
 */
export function lastingScripts(environment: BuildEnvironment): string | undefined {
  if (environment.scripts.size === 0) return undefined;
  const content = JSON.stringify([environment.shell, [...environment.scripts]]);
  const all = join(cacheDirectory(), "scripts");
  const directory = join(all, createHash("sha256").update(content).digest("hex").slice(0, 32));
  if (existsSync(directory)) touch(directory);
  else {
    mkdirSync(all, { recursive: true, mode: 0o700 });
    const staging = mkdtempSync(join(all, ".tmp-"));
    writeScripts(environment, staging);
    try {
      renameSync(staging, directory);
    } catch (error) {
      rmSync(staging, { recursive: true, force: true });
      // Another process was first, with the same.
      if (!existsSync(directory)) throw error;
    }
    dropOldScripts(all);
  }
  return directory;
}

function dropOldScripts(all: string): void {
  const limit = Date.now() - KEEP_MS;
  for (const name of readdirSync(all)) {
    const path = join(all, name);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat !== undefined && stat.mtimeMs < limit) rmSync(path, { recursive: true, force: true });
  }
}

function touch(path: string): void {
  try {
    utimesSync(path, Date.now() / 1000, Date.now() / 1000);
  } catch {
    // a cache that cannot be written stays as it is
  }
}
