import { lstatSync, readdirSync, readlinkSync, unlinkSync } from "node:fs";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import type { StoreSettings } from "../../store/index.ts";
import { usageError } from "./commandLine.ts";
import { say } from "./output.ts";

const DAY_MS = 86_400_000;

interface Generation {
  readonly number: number;
  readonly link: string;
  readonly madeMs: number;
}

/**
 * Removes generations of the user's and the system's profiles that are not in use.
 * @param olderThan `old`: all but the current ones; `30d`: all older than the one in use then
 */
export function dropGenerations(settings: StoreSettings, olderThan: string, isDryRun: boolean): void {
  const limitMs = olderThan === "old" ? undefined : Date.now() - readDays(olderThan) * DAY_MS;
  const stateHome = process.env["XDG_STATE_HOME"] ?? join(process.env["HOME"] ?? homedir(), ".local/state");
  for (const directory of [`${settings.stateDir}/profiles`, join(stateHome, "nix/profiles")])
    dropBelow(directory, limitMs, isDryRun);
}

function dropBelow(directory: string, limitMs: number | undefined, isDryRun: boolean): void {
  for (const entry of entriesOf(directory)) {
    const path = join(directory, entry);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat?.isDirectory() === true) dropBelow(path, limitMs, isDryRun);
    else if (stat?.isSymbolicLink() === true && !/-\d+-link$/.test(entry))
      dropOf(directory, entry, limitMs, isDryRun);
  }
}

function dropOf(directory: string, profile: string, limitMs: number | undefined, isDryRun: boolean): void {
  const current = /-(\d+)-link$/.exec(basename(readlinkSync(join(directory, profile))))?.[1];
  if (current === undefined) return;
  const generations = generationsOf(directory, profile);
  // The newest one made before the limit was in use at that time: it stays.
  const inUse = limitMs === undefined ? undefined : generations.findLast(({ madeMs }) => madeMs < limitMs);
  for (const { number, link } of generations) {
    if (number === Number(current)) continue;
    if (limitMs !== undefined && (inUse === undefined || number >= inUse.number)) continue;
    say(`${isDryRun ? "would remove" : "removing"} profile version ${number}`);
    if (!isDryRun) unlinkSync(link);
  }
}

function generationsOf(directory: string, profile: string): Generation[] {
  const generations: Generation[] = [];
  for (const entry of entriesOf(directory)) {
    const number = entry.startsWith(`${profile}-`)
      ? /^(\d+)-link$/.exec(entry.slice(profile.length + 1))?.[1]
      : undefined;
    if (number === undefined) continue;
    const link = join(directory, entry);
    generations.push({ number: Number(number), link, madeMs: lstatSync(link).mtimeMs });
  }
  return generations.toSorted((a, b) => a.number - b.number);
}

function entriesOf(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function readDays(text: string): number {
  const days = /^(\d{1,6})d$/.exec(text)?.[1];
  if (days === undefined)
    throw usageError(
      "nix-collect-garbage",
      `invalid number of days specifier '${text}', expected something like '14d'`,
    );
  return Number(days);
}
