import {
  lstatSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  type Dirent,
} from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { DevshellError, encodeNix32, fsPath, hashBytes, type ByteString } from "../../core/index.ts";
import { writeError } from "../format/narRestore.ts";
import { isInStore, isStorePath, splitStorePath } from "../format/storePath.ts";
import type { StorePath } from "../types.ts";
import type { StoreAccess } from "./access.ts";
import { tryUnlink } from "./fileLock.ts";
import { entryExists, makeDirectories } from "./files.ts";
import { readTempRoots } from "./tempRoots.ts";
import type { GcRoots } from "./types.ts";

type MutableRoots = Map<StorePath, Set<string>>;

/**
 * Points a symlink at a store path, atomically. A link below `gcroots` or `profiles` is a root by where it lies; for
 * any other one a link to it is put below `gcroots/auto`.
 * @param register makes a link outside the state directory a root
 * @throws {DevshellError} `STORE_ROOT_EXISTS` when something other than a link into the store is in the way
 */
export function addPermanentRoot(
  store: Pick<StoreAccess, "settings" | "storeDir">,
  link: ByteString,
  path: StorePath,
  register: (link: ByteString) => void = (absolute) => addIndirectRoot(store, absolute),
): void {
  const { stateDir } = store.settings;
  const absolute = resolve(link);
  if (isInStore(store.storeDir, absolute))
    throw new DevshellError(
      "STORE_ROOT_INVALID",
      `Cannot make "${link}" a root: it lies in the store itself`,
    );
  const existing = lstatSync(fsPath(absolute), { throwIfNoEntry: false });
  if (
    existing !== undefined &&
    !(existing.isSymbolicLink() && isInStore(store.storeDir, readlinkSync(fsPath(absolute), "latin1")))
  )
    throw new DevshellError(
      "STORE_ROOT_EXISTS",
      `Cannot make "${link}" a root: it exists and is not a link into the store`,
    );
  makeDirectories(dirname(absolute));
  const indirect = indirectRootOf(stateDir, absolute);
  // The indirect link first: a kill between the two leaves a dangling one, which the collector removes.
  if (indirect !== undefined) register(absolute);
  replaceSymlink(absolute, path);
  // It may have done so just before.
  if (indirect !== undefined && !entryExists(indirect)) register(absolute);
}

/** The link below `gcroots/auto` that makes this one a root; undefined where it is one by where it lies. */
export function indirectRootOf(stateDir: ByteString, link: ByteString): ByteString | undefined {
  const absolute = resolve(link);
  if (isBelow(absolute, `${stateDir}/gcroots`) || isBelow(absolute, `${stateDir}/profiles`)) return undefined;
  return `${stateDir}/gcroots/auto/${encodeNix32(hashBytes("sha1", absolute).digest)}`;
}

/** Notes below `gcroots/auto` that this symlink, wherever it is, is a root for as long as it exists. */
export function addIndirectRoot(store: Pick<StoreAccess, "settings">, link: ByteString): void {
  const absolute = resolve(link);
  const auto = `${store.settings.stateDir}/gcroots/auto`;
  makeDirectories(auto);
  replaceSymlink(`${auto}/${encodeNix32(hashBytes("sha1", absolute).digest)}`, absolute);
}

/** How a link is called until it is renamed to its own name. */
const TEMPORARY_LINK = /^\.tmp-[0-9a-z]{32}(?:-\d+-\d+)?$/;

/**
 * Replaces a symlink atomically. The new one is first made under a name that follows from the link's, so that what a
 * killed process left is replaced by whoever comes next; of two at once the later one wins.
 */
export function replaceSymlink(link: ByteString, target: ByteString): void {
  const usual = `${dirname(link)}/.tmp-${encodeNix32(hashBytes("sha1", basename(link)).digest)}`;
  for (let attempt = 0; ; attempt++) {
    // In a directory where nobody may delete what others made, one's own name.
    const temporary = attempt < 3 ? usual : `${usual}-${process.pid}-${attempt}`;
    try {
      symlinkSync(fsPath(target), fsPath(temporary));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST" || attempt >= 100) throw writeError(link, error);
      tryUnlinkForeign(temporary);
      continue;
    }
    try {
      renameSync(fsPath(temporary), fsPath(link));
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT" && attempt < 100) continue;
      tryUnlink(temporary);
      throw writeError(link, error);
    }
  }
}

function tryUnlinkForeign(path: ByteString): void {
  try {
    unlinkSync(fsPath(path));
  } catch {
    // Another's in a directory where that is not for us to delete: the next attempt takes another name.
  }
}

/** Every root: links below `gcroots` and `profiles`, running processes, and temporary ones if asked. */
export function findRoots(store: StoreAccess, options: { readonly includeTemporary: boolean }): GcRoots {
  const roots: MutableRoots = new Map();
  const { stateDir } = store.settings;
  walk(store, `${stateDir}/gcroots`, roots);
  walk(store, `${stateDir}/profiles`, roots);
  findRuntimeRoots(store, roots);
  if (options.includeTemporary)
    for (const [path, pids] of readTempRoots({ storeDir: store.storeDir, stateDir }))
      for (const pid of pids) note(roots, path, pid);
  return roots;
}

function walk(store: StoreAccess, directory: ByteString, roots: MutableRoots): void {
  let entries: Dirent[];
  try {
    entries = readdirSync(fsPath(directory), { withFileTypes: true, encoding: "latin1" as BufferEncoding });
  } catch (error) {
    ignoreUnreadable(error, directory);
    return;
  }
  for (const entry of entries) {
    const path = `${directory}/${entry.name}`;
    if (entry.isDirectory()) walk(store, path, roots);
    else if (entry.isSymbolicLink()) {
      // What a kill left is no root; whoever is about to rename one holds its target in another way.
      if (!TEMPORARY_LINK.test(entry.name)) followLink(store, path, roots);
    } else if (entry.isFile()) {
      // A file named as a store path's last component roots it.
      const named = `${store.storeDir}/${entry.name}`;
      if (isStorePath(store.storeDir, named) && store.isValidPath(named)) note(roots, named, path);
    }
  }
}

function followLink(store: StoreAccess, link: ByteString, roots: MutableRoots): void {
  try {
    const target = readlinkSync(fsPath(link), "latin1");
    if (isInStore(store.storeDir, target)) {
      noteTarget(store, roots, link, target);
      return;
    }
    const absolute = resolve(dirname(link), target);
    const stats = lstatSync(fsPath(absolute), { throwIfNoEntry: false });
    if (stats === undefined) {
      if (isBelow(link, `${store.settings.stateDir}/gcroots/auto`)) tryUnlink(link);
    } else if (stats.isSymbolicLink()) {
      const second = readlinkSync(fsPath(absolute), "latin1");
      if (isInStore(store.storeDir, second)) noteTarget(store, roots, absolute, second);
    }
  } catch (error) {
    ignoreUnreadable(error, link);
  }
}

function noteTarget(store: StoreAccess, roots: MutableRoots, link: ByteString, target: ByteString): void {
  const path = storePathIn(store.storeDir, target);
  if (path !== undefined && store.isValidPath(path)) note(roots, path, link);
}

/** What running processes use: programs, working directories, open files, mappings, environment variables. */
function findRuntimeRoots(store: StoreAccess, roots: MutableRoots): void {
  const seen = new Map<string, string>();
  const see = (path: string, where: string): void => {
    if (isInStore(store.storeDir, path) && !seen.has(path)) seen.set(path, where);
  };
  const quoted = store.storeDir.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const inText = new RegExp(`${quoted}/[0-9a-z]{32}-[0-9a-zA-Z+\\-._?=]+`, "g");
  for (const pid of attempt(() => readdirSync("/proc")) ?? []) {
    if (!/^\d+$/.test(pid)) continue;
    const proc = `/proc/${pid}`;
    for (const name of ["exe", "cwd"])
      see(attempt(() => readlinkSync(`${proc}/${name}`, "latin1")) ?? "", `${proc}/${name}`);
    for (const fd of attempt(() => readdirSync(`${proc}/fd`)) ?? [])
      see(attempt(() => readlinkSync(`${proc}/fd/${fd}`, "latin1")) ?? "", `${proc}/fd/${fd}`);
    for (const file of ["maps", "environ"]) {
      const text = attempt(() => readFileSync(`${proc}/${file}`, "latin1"));
      if (text?.includes(store.storeDir) !== true) continue;
      for (const [path] of text.matchAll(inText)) see(path, `${proc}/${file}`);
    }
  }
  for (const file of [
    "/proc/sys/kernel/modprobe",
    "/proc/sys/kernel/fbsplash",
    "/proc/sys/kernel/poweroff_cmd",
  ])
    see(attempt(() => readFileSync(file, "latin1").trim()) ?? "", file);
  for (const [text, where] of seen) {
    const path = storePathIn(store.storeDir, text);
    if (path !== undefined && store.isValidPath(path)) note(roots, path, where);
  }
}

function storePathIn(storeDir: string, text: string): StorePath | undefined {
  try {
    return splitStorePath(storeDir, text).storePath;
  } catch {
    return undefined;
  }
}

/** Processes end while they are looked at, and others' are closed to us. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function note(roots: MutableRoots, path: StorePath, where: string): void {
  const links = roots.get(path) ?? new Set();
  links.add(where);
  roots.set(path, links);
}

function isBelow(path: ByteString, directory: ByteString): boolean {
  return path.startsWith(`${directory}/`);
}

/** Only lasting failures are passed over; anything else might hide a root, so collecting must not go on. */
function ignoreUnreadable(error: unknown, path: ByteString): void {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "EACCES" || code === "ENOENT" || code === "ENOTDIR") return;
  throw new DevshellError(
    "STORE_ROOTS_UNREADABLE",
    `Cannot look for roots in "${path}": ${(error as Error).message}`,
    { cause: error },
  );
}
