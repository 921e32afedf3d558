import { readdirSync, readlinkSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { bytesOfText, textOfBytes } from "../../core/index.ts";
import type { Store, StorePath } from "../../store/index.ts";

/**
 * Makes a store path the newest generation of a profile: a link `NAME-N-link` that roots it, and the link `NAME` to
 * that. A profile that has it already stays.
 */
export function switchProfile(store: Store, profile: string, path: StorePath): void {
  const link = resolve(profile);
  const directory = dirname(link);
  const name = basename(link);
  const current = targetOf(link);
  if (current !== undefined && targetOf(resolve(directory, current)) === textOfBytes(path)) return;
  const numbers = readdirSync(directory).flatMap((entry) => {
    const number = entry.startsWith(`${name}-`) ? /^([0-9]+)-link$/.exec(entry.slice(name.length + 1)) : null;
    return number === null ? [] : [Number(number[1])];
  });
  const generation = `${name}-${Math.max(0, ...numbers) + 1}-link`;
  store.addRoot(bytesOfText(join(directory, generation)), path);
  // Renamed into place: the profile is always one generation or the other.
  const temporary = join(directory, `.${name}-${process.pid}`);
  rmSync(temporary, { force: true });
  symlinkSync(generation, temporary);
  renameSync(temporary, link);
}

function targetOf(link: string): string | undefined {
  try {
    return readlinkSync(link);
  } catch {
    return undefined;
  }
}
