import {
  accessSync,
  constants,
  lstatSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  type BigIntStats,
  type Dirent,
} from "node:fs";
import { fsPath, hashBytes, type ByteString } from "../core/index.ts";
import { OutlineRecorder } from "../lang/index.ts";
import { CopiedTrees } from "./copiedTrees.ts";
import { readSharedBytes } from "./readSharedBytes.ts";
import type { InputStat, TrackedInput } from "./types.ts";

/** As many as the kernel follows on the way to one file. */
const MAX_LINKS = 40;

/**
 * Records everything that was read on the way to an environment. Paths inside the store are left out: they never
 * change. The stat of an input is taken before its bytes, so that a change in between is seen as one.
 */
export class InputTracker {
  readonly #inputs = new Map<string, TrackedInput>();
  #storePrefix: string;
  /** What was done with the trees that were copied into the store. */
  readonly trees: CopiedTrees;
  readonly #storePaths = new Set<ByteString>();
  readonly #isRecording: boolean;
  /** Inputs that were read for nothing but to copy a tree into the store. */
  readonly #copied = new Set<string>();
  /** Files that were read in another way than by importing them. */
  readonly #readWhole = new Set<ByteString>();
  /** What evaluation sees of the files that it imports. */
  readonly outlines: OutlineRecorder | undefined;
  #isCopying = false;
  #impurity: string | undefined;

  /** @param isRecording whether anybody will ask for the inputs: hashing them is a tenth of reading many files */
  constructor(storeDir: string, isRecording = true) {
    this.#storePrefix = `${storeDir}/`;
    this.trees = new CopiedTrees(storeDir);
    this.#isRecording = isRecording;
    this.outlines = isRecording ? new OutlineRecorder() : undefined;
    if (!isRecording) this.impure("what was read, which nobody recorded");
  }

  /** What is read from now on is of another store. */
  useStore(storeDir: string): void {
    this.#storePrefix = `${storeDir}/`;
    this.trees.useStore(storeDir);
  }

  /** In the order first read. A path's type alone is left out where more of it was read. */
  get inputs(): TrackedInput[] {
    return withoutTypesOfRead([...this.#inputs.values()]);
  }

  /** The same, with what was seen of imported files. */
  get inputsWithOutlines(): TrackedInput[] {
    return this.inputs.map((input) => {
      if (input.kind !== "file" || this.#readWhole.has(input.path)) return input;
      const outline = this.outlines?.outlineOf(input.path);
      return outline === undefined ? input : { ...input, outline };
    });
  }

  /** What an environment depends on: of a flake's own tree what evaluation read, where it read no more than that. */
  get inputsOfEnvironment(): TrackedInput[] {
    const isCopied = (input: TrackedInput): boolean => this.#copied.has(keyOf(input));
    return withoutTypesOfRead(this.trees.reduce([...this.#inputs.values()], isCopied));
  }

  /** Records what is read to copy a tree into the store. */
  copying(record: () => void): void {
    this.#isCopying = true;
    try {
      record();
    } finally {
      this.#isCopying = false;
    }
  }

  #touch(key: string): void {
    if (!this.#isCopying) this.#copied.delete(key);
    else if (!this.#inputs.has(key)) this.#copied.add(key);
  }

  /** Store paths that were read: they must stay for the next evaluation. */
  get storePaths(): ReadonlySet<ByteString> {
    return this.#storePaths;
  }

  /** What the result depends on although no input says so, where there is such a thing. */
  get impurity(): string | undefined {
    return this.#impurity;
  }

  /** Records that the result depends on something that cannot be checked later: the time, the network. */
  impure(what: string): void {
    this.#impurity ??= what;
  }

  isImmutable(path: ByteString): boolean {
    return path.startsWith(this.#storePrefix);
  }

  /** Records that something in the store was read; paths outside are ignored. */
  storePath(path: ByteString): void {
    if (!this.isImmutable(path)) return;
    const end = path.indexOf("/", this.#storePrefix.length);
    this.#storePaths.add(end < 0 ? path : path.slice(0, end));
  }

  /** Reads a file's bytes, which are good until the next file is read, and records them. */
  readFile(path: ByteString, stat = statOf(path), isImported = false): Buffer {
    const [end, endStat] = this.followLinks(path, stat);
    if (!isImported) this.#readWhole.add(end);
    if (this.isImmutable(end)) return readFileSync(fsPath(end));
    if (endStat?.isFile() !== true) {
      // A pipe, or what only the kernel finds, such as /dev/fd/63.
      this.impure(`"${path}", which is no regular file`);
      return readFileSync(fsPath(path));
    }
    const bytes = readSharedBytes(fsPath(end), Number(endStat.size));
    if (this.#isRecording) this.#add("file", end, contentOfFile(bytes, endStat), endStat);
    return bytes;
  }

  /**
   * Records the links that a path is, one after the other: each says where the next lies.
   * @returns what is no link at their end, not made canonical, so that its stat goes the same way
   */
  followLinks(
    path: ByteString,
    stat = statOf(path),
  ): readonly [path: ByteString, stat: BigIntStats | undefined] {
    let at = path;
    let atStat = stat;
    for (let count = 0; count < MAX_LINKS && atStat?.isSymbolicLink() === true; count++) {
      if (this.isImmutable(at)) break;
      this.symlink(at);
      const target = readlinkSync(fsPath(at), "buffer").toString("latin1");
      at = target.startsWith("/") ? target : `${at.slice(0, at.lastIndexOf("/") + 1)}${target}`;
      atStat = statOf(at);
    }
    return [at, atStat];
  }

  /** Records whether there is something at a path, links followed. */
  existence(path: ByteString): void {
    const [end, stat] = this.followLinks(path);
    this.type(end, stat === undefined ? undefined : typeOf(stat));
  }

  /**
   * Records that a path is its own canonical form: no directory on the way is a link. Asked for every file that is
   * imported, and most lie beside one another.
   */
  canonical(path: ByteString): void {
    if (!this.#isRecording) return;
    for (
      let at = path;
      at.length > 1 && !this.isImmutable(at) && !this.#inputs.has(`direct ${at}`);
      at = at.slice(0, at.lastIndexOf("/"))
    )
      this.#inputs.set(`direct ${at}`, { kind: "direct", path: at });
  }

  /** Records that what leads to a path is no link, as far up as that is so. */
  way(path: ByteString): void {
    if (!this.#isRecording) return;
    for (let at = parentOf(path); at.length > 1 && !this.#inputs.has(`direct ${at}`); at = parentOf(at)) {
      if (statOf(at)?.isSymbolicLink() !== false) return;
      this.#inputs.set(`direct ${at}`, { kind: "direct", path: at });
    }
  }

  /** Records whether a directory may be written. */
  access(path: ByteString): void {
    this.#inputs.set(`access ${path}`, { kind: "access", path, isWritable: isWritable(path) });
  }

  /** Records a store object where it lies on this side of a mount namespace. */
  object(path: ByteString): void {
    const stat = statOf(path);
    if (stat === undefined) this.type(path, undefined);
    else this.#inputs.set(`object ${path}`, { kind: "object", path, stat: inputStat(stat) });
  }

  /** Records a file by its stat alone: a program of ours, too large to be hashed. */
  program(path: ByteString): void {
    const stat = statOf(path);
    if (stat !== undefined)
      this.#inputs.set(`program ${path}`, { kind: "program", path, stat: inputStat(stat) });
  }

  /** Records when something was last written, as it was when it was read. */
  touched(path: ByteString): void {
    const key = ["file", "directory", "symlink"].find((kind) => this.#inputs.has(`${kind} ${path}`));
    const known = key === undefined ? undefined : this.#inputs.get(`${key} ${path}`);
    if (known === undefined || !("stat" in known)) this.program(path);
    else this.#inputs.set(`program ${path}`, { kind: "program", path, stat: known.stat });
  }

  /** Records a file whose content somebody else reads. */
  file(path: ByteString): void {
    this.#readWhole.add(path);
    this.#touch(`file ${path}`);
    if (!this.#isRecording || this.isImmutable(path) || this.#inputs.has(`file ${path}`)) return;
    this.readFile(path);
  }

  symlink(path: ByteString): void {
    this.#touch(`symlink ${path}`);
    if (!this.#isRecording || this.isImmutable(path) || this.#inputs.has(`symlink ${path}`)) return;
    const stat = statOf(path);
    if (stat === undefined) return;
    this.#add("symlink", path, hashOf(readlinkSync(fsPath(path), "buffer")), stat);
  }

  directory(path: ByteString, entries?: readonly Dirent<Buffer>[]): void {
    this.#touch(`directory ${path}`);
    if (!this.#isRecording || this.isImmutable(path) || this.#inputs.has(`directory ${path}`)) return;
    const [end, stat] = this.followLinks(path);
    if (stat === undefined || this.isImmutable(end)) return;
    this.#add("directory", end, directoryContent(entries ?? entriesOf(end)), stat);
  }

  /** Records that a path had this type; `undefined` for absent. */
  type(path: ByteString, type: string | undefined): void {
    if (!this.#isRecording || this.isImmutable(path)) return;
    this.#touch(`type ${path}`);
    const known = this.#inputs.get(`type ${path}`);
    if (known?.kind === "type" && known.type !== type) this.impure(`"${path}", which changed meanwhile`);
    if (type === undefined) this.#inputs.set(`absent ${path}`, { kind: "absent", path });
    else this.#inputs.set(`type ${path}`, { kind: "type", path, type });
  }

  /** Forgets what was recorded of paths: they were written since, and are to be read again. */
  forget(paths: ReadonlySet<ByteString>): void {
    for (const [key, input] of this.#inputs)
      if (input.kind !== "variable" && paths.has(input.path)) this.#inputs.delete(key);
  }

  variable(name: string, value: ByteString | undefined): void {
    this.#inputs.set(`variable ${name}`, { kind: "variable", name, value });
  }

  #add(kind: "file" | "symlink" | "directory", path: ByteString, content: string, stat: BigIntStats): void {
    this.#touch(`${kind} ${path}`);
    const known = this.#inputs.get(`${kind} ${path}`);
    if (known !== undefined && "content" in known && known.content !== content)
      this.impure(`"${path}", which changed meanwhile`);
    this.#inputs.set(`${kind} ${path}`, { kind, path, content, stat: inputStat(stat) });
  }
}

function parentOf(path: ByteString): ByteString {
  return path.slice(0, path.lastIndexOf("/"));
}

function withoutTypesOfRead(inputs: readonly TrackedInput[]): TrackedInput[] {
  const keys = new Set(inputs.map(keyOf));
  const isRead = (path: ByteString): boolean =>
    ["file", "directory", "symlink"].some((kind) => keys.has(`${kind} ${path}`));
  return inputs.filter((input) => input.kind !== "type" || !isRead(input.path));
}

function keyOf(input: TrackedInput): string {
  return `${input.kind} ${input.kind === "variable" ? input.name : input.path}`;
}

/** The input as it is now; equal `content` means nothing that was read has changed. */
export function currentInput(input: TrackedInput, environment: NodeJS.ProcessEnv): TrackedInput {
  if (input.kind === "variable") return { ...input, value: variableBytes(environment, input.name) };
  const { path } = input;
  if (input.kind === "access") return { ...input, isWritable: isWritable(path) };
  const stat = currentStat(path);
  if (stat === undefined) return { kind: "absent", path };
  if (input.kind === "absent" || input.kind === "type") return { kind: "type", path, type: typeOf(stat) };
  try {
    switch (input.kind) {
      case "direct":
        return stat.isSymbolicLink() ? { kind: "type", path, type: "symlink" } : input;
      case "object":
      case "program":
        return { ...input, stat: inputStat(stat) };
      case "file":
        // A directory, link or device that took a file's place is none; a pipe would never end.
        if (!stat.isFile()) return { kind: "type", path, type: typeOf(stat) };
        return { ...input, content: contentOfFile(readFileSync(fsPath(path)), stat), stat: inputStat(stat) };
      case "symlink":
        return {
          ...input,
          content: hashOf(readlinkSync(fsPath(path), "buffer")),
          stat: inputStat(stat),
        };
      case "directory":
        if (!stat.isDirectory()) return { kind: "type", path, type: typeOf(stat) };
        return { ...input, content: directoryContent(entriesOf(path)), stat: inputStat(stat) };
    }
  } catch {
    return { kind: "type", path, type: typeOf(stat) };
  }
}

/** Whether two records of one input mean the same to an evaluation. */
export function isSameInput(a: TrackedInput, b: TrackedInput): boolean {
  if (a.kind !== b.kind) return false;
  switch (a.kind) {
    case "variable":
      return b.kind === "variable" && a.value === b.value;
    case "absent":
    case "direct":
      return true;
    case "access":
      return b.kind === "access" && a.isWritable === b.isWritable;
    case "object":
      return b.kind === "object" && isSameStat(a.stat, b.stat);
    case "program":
      // Not by ctime: a link more of an installed program leaves it as it was.
      return b.kind === "program" && isSameStat({ ...a.stat, ctimeNs: b.stat.ctimeNs }, b.stat);
    case "type":
      return b.kind === "type" && a.type === b.type;
    case "file":
    case "symlink":
    case "directory":
      return "content" in b && a.content === b.content;
  }
}

/** Whether an input's stat is what it was when it was read. */
export function isUntouchedInput(input: TrackedInput): boolean {
  if (!("stat" in input)) return true;
  const stat = currentStat(input.path);
  if (stat === undefined) return false;
  return isSameStat(inputStat(stat), input.stat);
}

function isSameStat(a: InputStat, b: InputStat): boolean {
  return (
    a.inode === b.inode && a.sizeBytes === b.sizeBytes && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs
  );
}

/** An environment variable's value as a byte string. */
export function variableBytes(environment: NodeJS.ProcessEnv, name: string): ByteString | undefined {
  const value = environment[name];
  return value === undefined ? undefined : Buffer.from(value, "utf8").toString("latin1");
}

export function typeOf(stat: BigIntStats): "regular" | "directory" | "symlink" | "unknown" {
  if (stat.isSymbolicLink()) return "symlink";
  if (stat.isDirectory()) return "directory";
  return stat.isFile() ? "regular" : "unknown";
}

export function typeOfEntry(entry: Dirent<Buffer>): "regular" | "directory" | "symlink" | "unknown" {
  if (entry.isSymbolicLink()) return "symlink";
  if (entry.isDirectory()) return "directory";
  return entry.isFile() ? "regular" : "unknown";
}

export function entriesOf(path: ByteString): Dirent<Buffer>[] {
  const entries = readdirSync(fsPath(path), { withFileTypes: true, encoding: "buffer" });
  return entries.sort((a, b) => Buffer.compare(a.name, b.name));
}

function directoryContent(entries: readonly Dirent<Buffer>[]): string {
  return hashBytes(
    "sha256",
    entries.map((entry) => `${typeOfEntry(entry)} ${entry.name.toString("latin1")}\0`).join(""),
  ).digest.toString("hex");
}

/** The entry itself, links not followed. */
export function statOf(path: ByteString): BigIntStats | undefined {
  return lstatSync(fsPath(path), { bigint: true, throwIfNoEntry: false });
}

/** The same of what was there once: below what is no directory any more there is nothing. */
function currentStat(path: ByteString): BigIntStats | undefined {
  try {
    return statOf(path);
  } catch {
    return undefined;
  }
}

function inputStat(stat: BigIntStats): InputStat {
  return {
    inode: String(stat.ino),
    sizeBytes: String(stat.size),
    mtimeNs: String(stat.mtimeNs),
    ctimeNs: String(stat.ctimeNs),
  };
}

/** A file's bytes and whether it can be executed, which an archive of it says too. */
function contentOfFile(bytes: Uint8Array, stat: BigIntStats): string {
  return `${hashOf(bytes)}${(stat.mode & 0o100n) === 0n ? "" : " x"}`;
}

function isWritable(path: ByteString): boolean {
  try {
    accessSync(fsPath(path), constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function hashOf(bytes: Uint8Array): string {
  return hashBytes("sha256", bytes).digest.toString("hex");
}
