import {
  chmodSync,
  constants,
  fsyncSync,
  closeSync,
  lchownSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  statSync,
  unlinkSync,
  utimesSync,
  type Stats,
} from "node:fs";
import { dirname } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { DevshellError, fsPath, type ByteString } from "../../core/index.ts";
import { NAR_MAX_DEPTH, readEntries } from "../format/nar.ts";
import { STORE_MTIME, writeError } from "../format/narRestore.ts";
import { exchange } from "./fileSystemCalls.ts";

export interface CanonicaliseOptions {
  /** Files of this user are taken over; without it they must be ours. */
  readonly builderUid?: number | undefined;
  /** Files that were taken over, by device and inode: another link to one is ours by now. */
  readonly takenOver?: Set<string> | undefined;
}

/**
 * Makes a tree what everything in a store is: modes 0444 and 0555, time 1, ours; no setuid, no write bits.
 * @throws {DevshellError} `STORE_UNSUPPORTED_TYPE` for devices, pipes and sockets, `STORE_FOREIGN_OWNER`
 */
export function canonicalise(path: ByteString, options: CanonicaliseOptions = {}): void {
  try {
    canonicaliseTree(path, { ...options, takenOver: options.takenOver ?? new Set() }, 0);
  } catch (error) {
    throw writeError(path, error);
  }
}

function canonicaliseTree(path: ByteString, options: CanonicaliseOptions, depth: number): void {
  // Before paths are too long for the system's calls.
  if (depth > NAR_MAX_DEPTH)
    throw new DevshellError(
      "STORE_TOO_DEEP",
      `Cannot store "${path.slice(0, 200)}…": too deep: directories nest deeper than ${NAR_MAX_DEPTH}`,
    );
  const stats = lstatSync(fsPath(path));
  if (!stats.isFile() && !stats.isDirectory() && !stats.isSymbolicLink())
    throw new DevshellError("STORE_UNSUPPORTED_TYPE", `file "${path}" has an unsupported type`);
  takeOver(path, stats, options);
  if (stats.isDirectory()) {
    // Ours to read and write first, and nobody else's: a builder may have left it 0000, or others could put links into
    // it while we look.
    if ((stats.mode & 0o722) !== 0o700) chmodSync(fsPath(path), 0o755);
    for (const { name } of readEntries(path)) canonicaliseTree(`${path}/${name}`, options, depth + 1);
  }
  canonicaliseEntry(path, stats);
}

/** As `canonicalise` for one entry, its content left alone. */
export function canonicaliseEntry(path: ByteString, stats: Stats = lstatSync(fsPath(path))): void {
  const file = fsPath(path);
  if (stats.isSymbolicLink()) {
    if (stats.mtimeMs !== STORE_MTIME * 1000) lutimesSync(file, STORE_MTIME, STORE_MTIME);
    return;
  }
  const mode = stats.isDirectory() || (stats.mode & 0o100) !== 0 ? 0o555 : 0o444;
  if ((stats.mode & 0o7777) !== mode || stats.isDirectory()) chmodSync(file, mode);
  if (stats.mtimeMs !== STORE_MTIME * 1000 || stats.isDirectory()) utimesSync(file, STORE_MTIME, STORE_MTIME);
}

/**
 * Deletes a tree, read-only directories too; what is absent is fine.
 * @returns the bytes that this gave back to the disk
 */
export function deleteTree(path: ByteString): number {
  try {
    const steps = deletion(path);
    let step = steps.next();
    while (step.done !== true) step = steps.next();
    return step.value;
  } catch (error) {
    throw writeError(path, error);
  }
}

/** What {@link deleteTree} would give back to the disk, as far as that can be seen. */
export function sizeOnDisk(top: ByteString): number {
  let sizeBytes = 0;
  const left = [top];
  for (let path = left.pop(); path !== undefined; path = left.pop()) {
    try {
      const stats = lstatSync(fsPath(path), { throwIfNoEntry: false });
      if (stats === undefined) continue;
      sizeBytes += freedBy(stats);
      if (stats.isDirectory()) for (const name of namesIn(path)) left.push(`${path}/${name}`);
    } catch {
      // Deleting it will tell what is wrong with it.
    }
  }
  return sizeBytes;
}

/** As {@link deleteTree}, letting others work in between. */
export async function deleteLargeTree(path: ByteString): Promise<void> {
  try {
    let count = 0;
    for (const _ of deletion(path)) if (++count % ENTRIES_PER_TURN === 0) await nextTurn();
  } catch (error) {
    throw writeError(path, error);
  }
}

const ENTRIES_PER_TURN = 500;

/**
 * Moves a tree to a path that must be free. The top directory may be read-only: other users than root need write
 * permission on a directory to move it.
 */
export function moveTree(from: ByteString, to: ByteString): void {
  const stats = lstatSync(fsPath(from));
  try {
    if (stats.isDirectory() && (stats.mode & 0o200) === 0) chmodSync(fsPath(from), 0o755);
    renameSync(fsPath(from), fsPath(to));
    canonicaliseEntry(to);
  } catch (error) {
    throw writeError(to, error);
  }
}

/** Puts a tree in the place of another, at once where the system can, and deletes that one. @param spare a free path */
export function replaceTree(from: ByteString, to: ByteString, spare: ByteString): void {
  if (!exchangeTrees(from, to)) {
    moveTree(to, spare);
    moveTree(from, to);
  }
  deleteTree(from);
  deleteTree(spare);
}

function exchangeTrees(from: ByteString, to: ByteString): boolean {
  if (exchange(from, to)) return true;
  // As for {@link moveTree}: other users than root must be able to write to what they move.
  const movable = [from, to].filter((path) => lstatSync(fsPath(path)).isDirectory());
  for (const path of movable) chmodSync(fsPath(path), 0o755);
  const isDone = exchange(from, to);
  for (const path of movable) canonicaliseEntry(path);
  return isDone;
}

/** Flushes a tree's files and directories to the disk. */
export function syncTree(path: ByteString): void {
  const stats = lstatSync(fsPath(path));
  if (stats.isSymbolicLink()) return;
  if (stats.isDirectory()) for (const { name } of readEntries(path)) syncTree(`${path}/${name}`);
  syncEntry(path);
}

export function syncEntry(path: ByteString): void {
  const fd = openSync(fsPath(path), "r");
  try {
    fsyncSync(fd);
  } catch (error) {
    throw writeError(path, error);
  } finally {
    closeSync(fd);
  }
}

/** Whether something lies there, a dangling symlink included. */
export function entryExists(path: ByteString): boolean {
  try {
    return lstatSync(fsPath(path), { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOTDIR" || code === "EACCES") return false;
    throw error;
  }
}

/** Creates a directory and its parents, 0755. (Node's own recursion never ends where /proc refuses.) */
export function makeDirectories(path: ByteString): void {
  try {
    mkdirSync(fsPath(path), { mode: 0o755 });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "EEXIST" && statSync(fsPath(path), { throwIfNoEntry: false })?.isDirectory() === true)
      return;
    const parent = dirname(path);
    if (code !== "ENOENT" || parent === path || entryExists(parent)) throw writeError(path, error);
    makeDirectories(parent);
    makeDirectories(path);
  }
}

/** The names in a directory as byte strings. */
export function namesIn(path: ByteString): ByteString[] {
  return readdirSync(fsPath(path), "latin1");
}

/** A builder that is another user could link a file of ours, or of anyone, into its output: its mode would change. */
function takeOver(path: ByteString, stats: Stats, { builderUid, takenOver }: CanonicaliseOptions): void {
  const ownUid = process.geteuid?.() ?? stats.uid;
  const inode = `${stats.dev}:${stats.ino}`;
  const isExpected = builderUid === undefined ? stats.uid === ownUid : takenOver?.has(inode) === true;
  if (isExpected) return;
  if (stats.uid !== (builderUid ?? ownUid))
    throw new DevshellError("STORE_FOREIGN_OWNER", `Cannot store "${path}": it belongs to user ${stats.uid}`);
  lchownSync(fsPath(path), ownUid, process.getegid?.() ?? stats.gid);
  if (!stats.isDirectory()) takenOver?.add(inode);
}

/** Below the tree that is deleted: names grow slow with their length, and the system takes 4095 bytes. */
const LONGEST_NAME_BYTES = 700;
/** Each is an open file. */
const DEEPEST = 64;

interface Opened extends Disposable {
  readonly path: ByteString;
  /** What leads to its entries: the open directory itself where others may put a link in its place. */
  readonly inside: ByteString;
  readonly stats: Stats;
  names: readonly ByteString[];
  next: number;
}

/**
 * Deletes an entry after the other, so that whoever asks can pause between them; nesting has no limit.
 * @returns the bytes that this gave back to the disk
 */
function* deletion(top: ByteString): Generator<undefined, number> {
  const topStats = lstatSync(fsPath(top), { throwIfNoEntry: false });
  if (topStats === undefined) return 0;
  if (!topStats.isDirectory()) return deleteFile(top, topStats);
  let freed = 0;
  const first = openForDeletion(top, topStats);
  const stack = [first];
  try {
    for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
      yield;
      const name = frame.names[frame.next++];
      if (name !== undefined) {
        const entry = `${frame.inside}/${name}`;
        const stats = lstatSync(fsPath(entry), { throwIfNoEntry: false });
        if (stats === undefined) continue;
        const isDeep = stack.length >= DEEPEST || entry.length - top.length > LONGEST_NAME_BYTES;
        if (!stats.isDirectory()) freed += deleteFile(entry, stats);
        else if (isDeep) moveUp(entry, stats, first.inside);
        else stack.push(openForDeletion(entry, stats));
        continue;
      }
      if (frame === first) {
        // What was moved up meanwhile.
        frame.names = namesInside(frame);
        frame.next = 0;
        if (frame.names.length > 0) continue;
      }
      frame[Symbol.dispose]();
      if (isDone(() => rmdirSync(fsPath(frame.path)))) freed += freedBy(frame.stats);
      stack.pop();
    }
  } finally {
    for (const frame of stack) frame[Symbol.dispose]();
  }
  return freed;
}

function deleteFile(path: ByteString, stats: Stats): number {
  return isDone(() => unlinkSync(fsPath(path))) ? freedBy(stats) : 0;
}

function freedBy(stats: Stats): number {
  // Two links: the other is the one in `.links`, which garbage collection removes next.
  return stats.isDirectory() || stats.nlink <= 2 ? stats.blocks * 512 : 0;
}

function openForDeletion(path: ByteString, stats: Stats): Opened {
  let fd: number | undefined;
  let inside = path;
  isDone(() => {
    if (process.geteuid?.() === 0) {
      // In what builders made that are other users somebody may be at work still.
      fd = openSync(fsPath(path), constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
      inside = `/proc/self/fd/${fd}`;
    } else if ((stats.mode & 0o700) !== 0o700) chmodSync(fsPath(path), stats.mode | 0o700);
  });
  const opened: Opened = {
    path,
    inside,
    stats,
    names: [],
    next: 0,
    [Symbol.dispose]: () => {
      if (fd !== undefined) closeSync(fd);
      fd = undefined;
    },
  };
  opened.names = namesInside(opened);
  return opened;
}

function namesInside({ inside }: Opened): readonly ByteString[] {
  let names: readonly ByteString[] = [];
  isDone(() => (names = namesIn(inside)));
  return names;
}

/** Whether it is this process that did it: a collector and the owner of a scratch directory may delete it at once. */
function isDone(step: () => void): boolean {
  try {
    step();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return false;
  }
}

/** A directory is moved by who may write to it: its entry `..` changes. */
function moveUp(directory: ByteString, stats: Stats, top: ByteString): void {
  if (process.geteuid?.() !== 0) chmodSync(fsPath(directory), stats.mode | 0o700);
  for (let index = 0; ; index++) {
    const place = `${top}/.deep-${index}`;
    if (entryExists(place)) continue;
    renameSync(fsPath(directory), fsPath(place));
    return;
  }
}
