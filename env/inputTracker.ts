import {
  lstatSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  type BigIntStats,
  type Dirent,
} from "node:fs";
import { fsPath, hashBytes, type ByteString } from "../core/index.ts";
import { readSharedBytes } from "./readSharedBytes.ts";
import type { InputStat, TrackedInput } from "./types.ts";

/**
 * Records everything that was read on the way to an environment. Paths inside the store are left out: they never
 * change. The stat of an input is taken before its bytes, so that a change in between is seen as one.
 */
export class InputTracker {
  readonly #inputs = new Map<string, TrackedInput>();
  readonly #storePrefix: string;
  readonly #storePaths = new Set<ByteString>();

  constructor(storeDir: string) {
    this.#storePrefix = `${storeDir}/`;
  }

  /** In the order first read. A path's type alone is left out where more of it was read. */
  get inputs(): TrackedInput[] {
    const isRead = (path: ByteString): boolean =>
      ["file", "directory", "symlink"].some((kind) => this.#inputs.has(`${kind} ${path}`));
    return [...this.#inputs.values()].filter((input) => input.kind !== "type" || !isRead(input.path));
  }

  /** Store paths that were read: they must stay for the next evaluation. */
  get storePaths(): ReadonlySet<ByteString> {
    return this.#storePaths;
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
  readFile(path: ByteString, stat = statOf(path)): Buffer {
    if (this.isImmutable(path)) return readFileSync(fsPath(path));
    if (stat?.isSymbolicLink() === true) {
      this.symlink(path);
      const target = realpathSync(fsPath(path), "buffer").toString("latin1");
      return this.readFile(target);
    }
    const bytes = readSharedBytes(fsPath(path), Number(stat?.size ?? 0));
    if (stat !== undefined) this.#add("file", path, hashOf(bytes), stat);
    return bytes;
  }

  /** Records a file whose content somebody else reads. */
  file(path: ByteString): void {
    if (this.isImmutable(path) || this.#inputs.has(`file ${path}`)) return;
    this.readFile(path);
  }

  symlink(path: ByteString): void {
    if (this.isImmutable(path) || this.#inputs.has(`symlink ${path}`)) return;
    const stat = statOf(path);
    if (stat === undefined) return;
    this.#add("symlink", path, hashOf(readlinkSync(fsPath(path), "buffer")), stat);
  }

  directory(path: ByteString, entries?: readonly Dirent<Buffer>[]): void {
    if (this.isImmutable(path) || this.#inputs.has(`directory ${path}`)) return;
    const stat = statOf(path);
    if (stat !== undefined) this.#add("directory", path, directoryContent(entries ?? entriesOf(path)), stat);
  }

  /** Records that a path had this type; `undefined` for absent. */
  type(path: ByteString, type: string | undefined): void {
    if (this.isImmutable(path)) return;
    if (type === undefined) this.#inputs.set(`absent ${path}`, { kind: "absent", path });
    else this.#inputs.set(`type ${path}`, { kind: "type", path, type });
  }

  variable(name: string, value: ByteString | undefined): void {
    this.#inputs.set(`variable ${name}`, { kind: "variable", name, value });
  }

  #add(kind: "file" | "symlink" | "directory", path: ByteString, content: string, stat: BigIntStats): void {
    this.#inputs.set(`${kind} ${path}`, { kind, path, content, stat: inputStat(stat) });
  }
}

/** The input as it is now; equal `content` means nothing that was read has changed. */
export function currentInput(input: TrackedInput, environment: NodeJS.ProcessEnv): TrackedInput {
  if (input.kind === "variable") return { ...input, value: variableBytes(environment, input.name) };
  const { path } = input;
  const stat = statOf(path);
  if (stat === undefined) return { kind: "absent", path };
  if (input.kind === "absent" || input.kind === "type") return { kind: "type", path, type: typeOf(stat) };
  try {
    switch (input.kind) {
      case "file":
        return { ...input, content: hashOf(readFileSync(fsPath(path))), stat: inputStat(stat) };
      case "symlink":
        return {
          ...input,
          content: hashOf(readlinkSync(fsPath(path), "buffer")),
          stat: inputStat(stat),
        };
      case "directory":
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
      return true;
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
  const stat = statOf(input.path);
  if (stat === undefined) return false;
  const now = inputStat(stat);
  const then = input.stat;
  return (
    now.inode === then.inode &&
    now.sizeBytes === then.sizeBytes &&
    now.mtimeNs === then.mtimeNs &&
    now.ctimeNs === then.ctimeNs
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

function inputStat(stat: BigIntStats): InputStat {
  return {
    inode: String(stat.ino),
    sizeBytes: String(stat.size),
    mtimeNs: String(stat.mtimeNs),
    ctimeNs: String(stat.ctimeNs),
  };
}

function hashOf(bytes: Uint8Array): string {
  return hashBytes("sha256", bytes).digest.toString("hex");
}
