import { lstatSync, readlinkSync, unlinkSync } from "node:fs";
import { basename, dirname } from "node:path";
import { DevshellError, fsPath, type ByteString } from "../../core/index.ts";
import { writeError } from "../format/narRestore.ts";
import type { StorePath } from "../types.ts";
import { PathLocks } from "./fileLock.ts";
import { entryExists, namesIn, syncEntry } from "./files.ts";
import type { Store } from "../store.ts";
import { replaceSymlink } from "./roots.ts";

/** One version of a profile: the symlink `<profile>-<number>-link` into the store. */
export interface Generation {
  readonly number: number;
  readonly link: ByteString;
  /** The store path it stands for. */
  readonly target: ByteString;
  /** When the symlink was made, in ms since 1970. */
  readonly madeMs: number;
}

export interface Generations {
  /** Oldest first. */
  readonly all: readonly Generation[];
  /** The number of the one in use; `undefined` where the profile is absent, or no link to one of its generations. */
  readonly current: number | undefined;
}

/** Which generations go. The one in use never does. */
export type GenerationChoice =
  | { readonly kind: "old" }
  /** Those that were not in use at this time any more. */
  | { readonly kind: "olderThan"; readonly ms: number }
  /** All but the one in use and those right before it: this many stay. Newer ones stay too. */
  | { readonly kind: "keep"; readonly count: number }
  | { readonly kind: "numbers"; readonly numbers: ReadonlySet<number> };

/** What a profile's symlinks say now. */
export function readGenerations(profile: ByteString): Generations {
  const directory = dirname(profile);
  const name = basename(profile);
  const all: Generation[] = [];
  for (const entry of entryExists(directory) ? namesIn(directory) : []) {
    const number = numberIn(name, entry);
    if (number === undefined) continue;
    const link = `${directory}/${entry}`;
    const target = linkTarget(link);
    const stats = lstatSync(fsPath(link), { throwIfNoEntry: false });
    // Others may be deleting generations: who only reads holds no lock.
    if (target === undefined || stats === undefined) continue;
    all.push({ number, link, target, madeMs: stats.mtimeMs });
  }
  const inUse = linkTarget(profile);
  return {
    all: all.sort((a, b) => a.number - b.number),
    current: inUse === undefined ? undefined : numberIn(name, inUse),
  };
}

/** Changes with every switch of the profile: given to {@link addGeneration}, it tells whether someone else was faster. */
export function profileToken(profile: ByteString): string {
  return linkTarget(profile) ?? "";
}

/**
 * Makes a store path a profile's newest generation and switches to it, atomically. If the newest one is that path
 * already, that one is used.
 * @param token what {@link profileToken} said when the new content was decided on
 * @returns `undefined` where the profile has changed since, and nothing was done
 */
export function addGeneration(
  store: Store,
  profile: ByteString,
  path: StorePath,
  token?: string,
): Generation | undefined {
  using _lock = lockProfile(store, profile);
  if (token !== undefined && token !== profileToken(profile)) return undefined;
  const newest = readGenerations(profile).all.at(-1);
  let generation = newest;
  if (newest === undefined || newest.target !== path) {
    const number = (newest?.number ?? 0) + 1;
    const link = `${profile}-${number}-link`;
    store.addRoot(link, path);
    generation = { number, link, target: path, madeMs: lstatSync(fsPath(link)).mtimeMs };
  }
  if (generation !== undefined) switchTo(profile, generation);
  return generation;
}

/**
 * Switches to a generation.
 * @param number `undefined`: the one before that in use
 * @throws {DevshellError} `STORE_NO_GENERATION`
 */
export function switchGeneration(
  store: Store,
  profile: ByteString,
  number: number | undefined,
  options: { readonly isDryRun: boolean; readonly onSwitch: (from: number, to: number) => void },
): void {
  using _lock = lockProfile(store, profile);
  const { all, current = 0 } = readGenerations(profile);
  const wanted = all.findLast((each) =>
    number === undefined ? each.number < current : each.number === number,
  );
  if (wanted === undefined)
    throw new DevshellError(
      "STORE_NO_GENERATION",
      number === undefined
        ? `no profile version older than the current (${current}) exists`
        : `profile version ${number} does not exist`,
    );
  options.onSwitch(current, wanted.number);
  if (!options.isDryRun) switchTo(profile, wanted);
}

/**
 * Removes generations; what they kept alive is the collector's then.
 * @throws {DevshellError} `STORE_GENERATION_IN_USE` when the one in use is named
 */
export function deleteGenerations(
  store: Store,
  profile: ByteString,
  choice: GenerationChoice,
  options: { readonly isDryRun: boolean; readonly onDelete: (generation: Generation) => void },
): void {
  using _lock = lockProfile(store, profile);
  const generations = readGenerations(profile);
  if (
    choice.kind === "numbers" &&
    generations.current !== undefined &&
    choice.numbers.has(generations.current)
  )
    throw new DevshellError(
      "STORE_GENERATION_IN_USE",
      `cannot delete current version of profile "${profile}"`,
    );
  const deleted = chosen(generations, choice);
  for (const generation of deleted) {
    options.onDelete(generation);
    if (options.isDryRun) continue;
    try {
      unlinkSync(fsPath(generation.link));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw writeError(generation.link, error);
    }
  }
  // A power cut must not bring a generation back whose content a collector has deleted since.
  if (deleted.length > 0 && !options.isDryRun) syncEntry(dirname(profile));
}

function chosen({ all, current }: Generations, choice: GenerationChoice): readonly Generation[] {
  const others = all.filter(({ number }) => number !== current);
  switch (choice.kind) {
    case "old":
      return others;
    case "olderThan": {
      // The newest one made before was in use at that time: one may want to go back to it.
      const inUse = all.findLast(({ madeMs }) => madeMs < choice.ms);
      return others.filter(({ number }) => inUse !== undefined && number < inUse.number).reverse();
    }
    case "keep": {
      const at = all.findIndex(({ number }) => number === current);
      return all.slice(0, Math.max(0, at + 1 - choice.count)).reverse();
    }
    case "numbers":
      return others.filter(({ number }) => choice.numbers.has(number));
  }
}

function switchTo(profile: ByteString, { link }: Generation): void {
  replaceSymlink(profile, basename(link));
  syncEntry(dirname(profile));
}

function lockProfile(store: Store, profile: ByteString): Disposable {
  const locks = PathLocks.acquireSync([profile], () =>
    store.onWait(`waiting for lock on profile "${profile}"`),
  );
  return { [Symbol.dispose]: () => locks.discard() };
}

function numberIn(profileName: ByteString, linkName: ByteString): number | undefined {
  if (!linkName.startsWith(`${profileName}-`)) return undefined;
  const digits = /^(\d{1,15})-link$/.exec(linkName.slice(profileName.length + 1))?.[1];
  return digits === undefined ? undefined : Number(digits);
}

function linkTarget(link: ByteString): ByteString | undefined {
  try {
    return readlinkSync(fsPath(link), "latin1");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "EINVAL" || code === "ENOTDIR") return undefined;
    throw writeError(link, error);
  }
}
