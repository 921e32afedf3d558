import {
  closeSync,
  fstatSync,
  lstatSync,
  openSync,
  readSync,
  readdirSync,
  readlinkSync,
  type Stats,
} from "node:fs";
import {
  DevshellError,
  fsPath,
  hashBytes,
  hashStream,
  type ByteString,
  type Hash,
  type HashAlgorithm,
  checkInterrupt,
} from "../../core/index.ts";
import { withoutCaseHack } from "./caseHack.ts";
import { compareBytes } from "./storePath.ts";

/*
 * nar       = str("nix-archive-1") node
 * node      = str("(") str("type") body str(")")
 * body      = str("regular") [str("executable") str("")] str("contents") str(bytes)
 *           | str("symlink") str("target") str(bytes)
 *           | str("directory") { str("entry") str("(") str("name") str(bytes) str("node") node str(")") }
 * str(x)    = u64le(len(x)) x, padded with zeros to a multiple of 8
 * Entries are sorted by byte and each name occurs once.
 */

/** Nesting that is read and written. Nix up to 2.34 knows no limit, later ones 64. */
export const NAR_MAX_DEPTH = 512;
export const NAR_MAX_NAME_BYTES = 255;
export const NAR_MAX_TARGET_BYTES = 4095;

const BUFFER_SIZE = 1 << 20;
/** Room kept free so that one entry's tokens never need a check: names, targets and tags are bounded. */
const HEADROOM = 3 * 4096;

export type NarEntryType = "regular" | "directory" | "symlink" | "unknown";
export type NarFilter = (path: ByteString, type: NarEntryType) => boolean;

export interface DumpOptions {
  /** Asked for every entry below the root; what it refuses is left out. */
  readonly filter?: NarFilter | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The root's type where the caller has looked already. */
  readonly rootType?: NarEntryType | undefined;
  /** Undoes what `use-case-hack` did to names when they were unpacked. */
  readonly isCaseHacked?: boolean | undefined;
}

export interface NarEntry {
  readonly name: ByteString;
  readonly type: NarEntryType;
}

export interface NarDigest {
  readonly hash: Hash;
  readonly sizeBytes: number;
}

/** Hashes the NAR of a path without holding it. */
export function hashNar(
  path: ByteString,
  options: DumpOptions & { readonly algorithm?: HashAlgorithm } = {},
): NarDigest {
  const { algorithm = "sha256" } = options;
  const writer = new NarWriter(options);
  try {
    let running: ReturnType<typeof hashStream> | undefined;
    let sizeBytes = 0;
    for (const chunk of writer.chunks(path)) {
      sizeBytes += chunk.length;
      // What is small is hashed at once: that takes half as long.
      if (running === undefined && writer.isDone) return { hash: hashBytes(algorithm, chunk), sizeBytes };
      running ??= hashStream(algorithm);
      running.update(chunk);
    }
    if (running === undefined) throw new Error("a NAR without bytes");
    return { hash: running.digest(), sizeBytes };
  } finally {
    writer.release();
  }
}

/**
 * Writes the NAR of a path to a sink.
 * @param sink gets chunks of up to 1 MB that are only valid until it returns
 * @returns the NAR's size in bytes
 * @throws {DevshellError} `NAR_UNSUPPORTED_TYPE` for devices, sockets and pipes; `NAR_READ_FAILED`
 */
export function dumpNar(path: ByteString, sink: (chunk: Buffer) => void, options: DumpOptions = {}): number {
  let sizeBytes = 0;
  for (const chunk of narChunks(path, options)) {
    sizeBytes += chunk.length;
    sink(chunk);
  }
  return sizeBytes;
}

/** The NAR of a path, pulled; a chunk is only valid until the next is asked for. */
export function* narChunks(path: ByteString, options: DumpOptions = {}): Generator<Buffer> {
  const writer = new NarWriter(options);
  try {
    yield* writer.chunks(path);
  } finally {
    writer.release();
  }
}

/** The NAR of a regular, not executable file with these bytes (flat content seen as a tree). */
export function narOfBytes(bytes: Uint8Array): Buffer {
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(bytes.length));
  return Buffer.concat([
    MAGIC,
    OPEN_REGULAR,
    CONTENTS,
    size,
    bytes,
    Buffer.alloc(padding(bytes.length)),
    CLOSE,
  ]);
}

/** Encodes a NAR string: length, bytes, padding. */
export function narString(text: ByteString): Buffer {
  const size = text.length;
  const buffer = Buffer.alloc(8 + size + padding(size));
  buffer.writeUInt32LE(size, 0);
  buffer.write(text, 8, "latin1");
  return buffer;
}

const strings = (...texts: string[]): Buffer => Buffer.concat(texts.map(narString));
const MAGIC = narString("nix-archive-1");
const OPEN_REGULAR = strings("(", "type", "regular");
const OPEN_DIRECTORY = strings("(", "type", "directory");
const OPEN_SYMLINK = strings("(", "type", "symlink", "target");
const EXECUTABLE = strings("executable", "");
const CONTENTS = narString("contents");
const OPEN_ENTRY = strings("entry", "(", "name");
const NODE = narString("node");
const CLOSE = narString(")");

/** What begins a file up to its content's size, in one. */
const OPEN_FILE = Buffer.concat([OPEN_REGULAR, CONTENTS]);
const OPEN_PROGRAM = Buffer.concat([OPEN_REGULAR, EXECUTABLE, CONTENTS]);

/** What stands around contents and names, encoded. */
export const NAR_TOKENS = {
  magic: MAGIC,
  openRegular: OPEN_REGULAR,
  openDirectory: OPEN_DIRECTORY,
  openSymlink: OPEN_SYMLINK,
  executable: EXECUTABLE,
  contents: CONTENTS,
  openEntry: OPEN_ENTRY,
  node: NODE,
  close: CLOSE,
} as const;

function padding(size: number): number {
  return (8 - (size % 8)) % 8;
}

/**
 * Buffers of finished dumps: a fresh megabyte costs more than dumping a small file (11 s against 1 s for 20,000), and
 * so much garbage sets off one collection after the other. As many are kept as are copied from at once.
 */
const spareBuffers: Buffer[] = [];
const SPARE_BUFFERS = 16;

/** A file whose content does not fit into the buffer, open at its beginning. */
interface LargeContent {
  readonly path: ByteString;
  readonly fd: number;
  readonly sizeBytes: number;
}

/** Fills one buffer over and over. Synchronous reads: measured faster than any asynchronous way (PERFORMANCE.md). */
class NarWriter {
  readonly #buffer = spareBuffers.pop() ?? Buffer.allocUnsafeSlow(BUFFER_SIZE);
  readonly #filter: NarFilter | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #rootType: NarEntryType | undefined;
  readonly #isCaseHacked: boolean;
  #at = 0;
  #isDone = false;

  constructor({ filter, signal, rootType, isCaseHacked = false }: DumpOptions) {
    this.#isCaseHacked = isCaseHacked;
    this.#rootType = rootType;
    this.#filter = filter;
    this.#signal = signal;
  }

  /** Whether the chunk that came last is the last one. */
  get isDone(): boolean {
    return this.#isDone;
  }

  *chunks(path: ByteString): Generator<Buffer> {
    this.#put(MAGIC);
    const type = this.#rootType ?? typeOfStats(reading(path, () => lstatSync(fsPath(path))));
    if (type === "directory") yield* this.#directory(path, 0);
    else yield* this.#large(this.#leaf(path, type));
    this.#isDone = true;
    if (this.#at > 0) yield this.#take();
  }

  #checkStop(): void {
    this.#signal?.throwIfAborted();
    checkInterrupt();
  }

  *#largeContent({ path, fd, sizeBytes }: LargeContent): Generator<Buffer> {
    for (let left = sizeBytes; left > 0;) {
      this.#checkStop();
      const wanted = Math.min(left, BUFFER_SIZE);
      const count = reading(path, () => readSync(fd, this.#buffer, 0, wanted, null));
      if (count === 0) throw changedWhileRead(path);
      left -= count;
      yield this.#buffer.subarray(0, count);
    }
  }

  /** Gives the buffer back; the last chunk is no longer valid. */
  release(): void {
    if (spareBuffers.length < SPARE_BUFFERS) spareBuffers.push(this.#buffer);
  }

  *#directory(path: ByteString, depth: number): Generator<Buffer> {
    this.#checkStop();
    if (depth >= NAR_MAX_DEPTH)
      throw new DevshellError(
        "NAR_TOO_DEEP",
        `Cannot archive "${path}": directories nest deeper than ${NAR_MAX_DEPTH}`,
      );
    this.#put(OPEN_DIRECTORY);
    for (const { name, type, fileName = name } of this.#entriesOf(path)) {
      const entryPath = path === "/" ? `/${fileName}` : `${path}/${fileName}`;
      if (this.#filter?.(entryPath, type) === false) continue;
      if (this.#at > BUFFER_SIZE - HEADROOM) yield this.#take();
      this.#put(OPEN_ENTRY);
      this.#string(name);
      this.#put(NODE);
      if (type === "directory") yield* this.#directory(entryPath, depth + 1);
      else {
        // Not as a generator: most files are small, and one for each would take as long as hashing them.
        const large = this.#leaf(entryPath, type);
        if (large !== undefined) yield* this.#large(large);
      }
      this.#put(CLOSE);
    }
    this.#put(CLOSE);
    if (this.#at > BUFFER_SIZE - HEADROOM) yield this.#take();
  }

  #entriesOf(path: ByteString): readonly (NarEntry & { readonly fileName?: ByteString })[] {
    const entries = readEntries(path);
    return this.#isCaseHacked ? withoutCaseHack(path, entries) : entries;
  }

  /**
   * Writes a link or a file, for which there must be headroom.
   * @returns a file whose content is larger than the room that is left, with all before that written
   */
  #leaf(path: ByteString, type: NarEntryType): LargeContent | undefined {
    this.#checkStop();
    if (type === "symlink") {
      this.#put(OPEN_SYMLINK);
      this.#string(reading(path, () => readlinkSync(fsPath(path), "latin1")));
      this.#put(CLOSE);
      return undefined;
    }
    if (type !== "regular")
      throw new DevshellError("NAR_UNSUPPORTED_TYPE", `file '${path}' has an unsupported type`);
    const fd = reading(path, () => openSync(fsPath(path), "r"));
    let large: LargeContent | undefined;
    try {
      const stats = fstatSync(fd);
      if (!stats.isFile()) throw changedWhileRead(path);
      this.#put((stats.mode & 0o100) === 0 ? OPEN_FILE : OPEN_PROGRAM);
      this.#size(stats.size);
      const content = { path, fd, sizeBytes: stats.size };
      if (this.#hasRoom(content)) this.#content(content);
      else large = content;
    } finally {
      if (large === undefined) closeSync(fd);
    }
    return large;
  }

  /** The rest of what {@link #leaf} returned. */
  *#large(content: LargeContent | undefined): Generator<Buffer> {
    if (content === undefined) return;
    try {
      yield this.#take();
      if (this.#hasRoom(content)) this.#content(content);
      else {
        yield* this.#largeContent(content);
        this.#contentEnd(content.sizeBytes);
      }
    } finally {
      closeSync(content.fd);
    }
  }

  #hasRoom({ sizeBytes }: LargeContent): boolean {
    return sizeBytes <= BUFFER_SIZE - HEADROOM - this.#at;
  }

  #content({ path, fd, sizeBytes }: LargeContent): void {
    for (let left = sizeBytes; left > 0;) {
      const count = reading(path, () => readSync(fd, this.#buffer, this.#at, left, null));
      if (count === 0) throw changedWhileRead(path);
      this.#at += count;
      left -= count;
    }
    this.#contentEnd(sizeBytes);
  }

  #contentEnd(sizeBytes: number): void {
    for (let pad = padding(sizeBytes); pad > 0; pad--) this.#buffer[this.#at++] = 0;
    this.#put(CLOSE);
  }

  #put(bytes: Buffer): void {
    // Not `copy`, which checks more than its work takes.
    this.#buffer.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  #string(text: ByteString): void {
    const buffer = this.#buffer;
    const { length } = text;
    this.#size(length);
    let at = this.#at;
    // Names are short: a loop beats `write`, which looks up the encoding each time.
    for (let i = 0; i < length; i++) buffer[at++] = text.charCodeAt(i);
    for (let pad = padding(length); pad > 0; pad--) buffer[at++] = 0;
    this.#at = at;
  }

  #size(size: number): void {
    const buffer = this.#buffer;
    let left = size;
    for (let i = 0; i < 8; i++) {
      buffer[this.#at++] = left % 0x100;
      left = left < 0x100 ? 0 : Math.floor(left / 0x100);
    }
  }

  #take(): Buffer {
    const chunk = this.#buffer.subarray(0, this.#at);
    this.#at = 0;
    return chunk;
  }
}

/** The entries of a directory with their types, sorted by byte. */
export function readEntries(path: ByteString): NarEntry[] {
  const entries = reading(path, () =>
    readdirSync(fsPath(path), { withFileTypes: true, encoding: "latin1" as BufferEncoding }),
  );
  return entries
    .map((entry) => ({
      name: entry.name,
      type: entry.isFile()
        ? ("regular" as const)
        : entry.isDirectory()
          ? ("directory" as const)
          : entry.isSymbolicLink()
            ? ("symlink" as const)
            : // Some file systems do not tell types with the names.
              typeOfStats(lstatSync(fsPath(`${path}/${entry.name}`))),
    }))
    .sort((a, b) => compareBytes(a.name, b.name));
}

function typeOfStats(stats: Stats): NarEntryType {
  if (stats.isFile()) return "regular";
  if (stats.isDirectory()) return "directory";
  return stats.isSymbolicLink() ? "symlink" : "unknown";
}

function reading<T>(path: ByteString, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw readFailure(path, error);
  }
}

function readFailure(path: ByteString, error: unknown): DevshellError {
  const code = (error as NodeJS.ErrnoException).code;
  const why =
    code === "ENOENT"
      ? "it does not exist"
      : code === "EACCES"
        ? "permission denied"
        : String((error as Error).message);
  return new DevshellError("NAR_READ_FAILED", `Cannot read "${path}": ${why}`, { cause: error });
}

function changedWhileRead(path: ByteString): DevshellError {
  return new DevshellError("NAR_READ_FAILED", `Cannot archive "${path}": it changed while it was read`, {
    hint: "try again once nothing writes to it",
  });
}
