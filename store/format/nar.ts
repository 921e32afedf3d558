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
  hashStream,
  type ByteString,
  type Hash,
  type HashAlgorithm,
} from "../../core/index.ts";
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
  const running = hashStream(options.algorithm ?? "sha256");
  const sizeBytes = dumpNar(path, (chunk) => running.update(chunk), options);
  return { hash: running.digest(), sizeBytes };
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
    yield* writer.dump(path);
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

/** Buffers of finished dumps: a fresh megabyte costs more than dumping a small file (11 s against 1 s for 20,000). */
const spareBuffers: Buffer[] = [];

/** Fills one buffer over and over. Synchronous reads: measured faster than any asynchronous way (PERFORMANCE.md). */
class NarWriter {
  readonly #buffer = spareBuffers.pop() ?? Buffer.allocUnsafeSlow(BUFFER_SIZE);
  readonly #filter: NarFilter | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #rootType: NarEntryType | undefined;
  #at = 0;

  constructor({ filter, signal, rootType }: DumpOptions) {
    this.#rootType = rootType;
    this.#filter = filter;
    this.#signal = signal;
  }

  *dump(path: ByteString): Generator<Buffer> {
    this.#put(MAGIC);
    const type = this.#rootType ?? typeOfStats(reading(path, () => lstatSync(fsPath(path))));
    yield* this.#node(path, type, 0);
    if (this.#at > 0) yield this.#take();
  }

  /** Gives the buffer back; the last chunk is no longer valid. */
  release(): void {
    if (spareBuffers.length < 2) spareBuffers.push(this.#buffer);
  }

  *#node(path: ByteString, type: NarEntryType, depth: number): Generator<Buffer> {
    this.#signal?.throwIfAborted();
    switch (type) {
      case "regular":
        yield* this.#file(path);
        return;
      case "symlink":
        if (this.#at > BUFFER_SIZE - HEADROOM) yield this.#take();
        this.#put(OPEN_SYMLINK);
        this.#string(reading(path, () => readlinkSync(fsPath(path), "latin1")));
        this.#put(CLOSE);
        return;
      case "directory":
        break;
      case "unknown":
        throw new DevshellError(
          "NAR_UNSUPPORTED_TYPE",
          `Cannot archive "${path}": only files, directories and symlinks can be stored`,
        );
    }
    if (depth >= NAR_MAX_DEPTH)
      throw new DevshellError(
        "NAR_TOO_DEEP",
        `Cannot archive "${path}": directories nest deeper than ${NAR_MAX_DEPTH}`,
      );
    this.#put(OPEN_DIRECTORY);
    for (const { name, type: entryType } of readEntries(path)) {
      const entryPath = path === "/" ? `/${name}` : `${path}/${name}`;
      if (this.#filter?.(entryPath, entryType) === false) continue;
      if (this.#at > BUFFER_SIZE - HEADROOM) yield this.#take();
      this.#put(OPEN_ENTRY);
      this.#string(name);
      this.#put(NODE);
      yield* this.#node(entryPath, entryType, depth + 1);
      this.#put(CLOSE);
    }
    this.#put(CLOSE);
    if (this.#at > BUFFER_SIZE - HEADROOM) yield this.#take();
  }

  *#file(path: ByteString): Generator<Buffer> {
    const fd = reading(path, () => openSync(fsPath(path), "r"));
    try {
      const stats = fstatSync(fd);
      if (!stats.isFile()) throw changed(path);
      if (this.#at > BUFFER_SIZE - HEADROOM) yield this.#take();
      this.#put(OPEN_REGULAR);
      if ((stats.mode & 0o100) !== 0) this.#put(EXECUTABLE);
      this.#put(CONTENTS);
      this.#size(stats.size);
      let left = stats.size;
      while (left > 0) {
        if (this.#at === BUFFER_SIZE) yield this.#take();
        const wanted = Math.min(left, BUFFER_SIZE - this.#at);
        const count = reading(path, () => readSync(fd, this.#buffer, this.#at, wanted, null));
        if (count === 0) throw changed(path);
        this.#at += count;
        left -= count;
        this.#signal?.throwIfAborted();
      }
      if (this.#at > BUFFER_SIZE - HEADROOM) yield this.#take();
      const pad = padding(stats.size);
      this.#buffer.fill(0, this.#at, this.#at + pad);
      this.#at += pad;
      this.#put(CLOSE);
    } finally {
      closeSync(fd);
    }
  }

  #put(bytes: Buffer): void {
    bytes.copy(this.#buffer, this.#at);
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
    this.#buffer.writeUInt32LE(size % 0x1_0000_0000, this.#at);
    this.#buffer.writeUInt32LE(Math.floor(size / 0x1_0000_0000), this.#at + 4);
    this.#at += 8;
  }

  #take(): Buffer {
    const chunk = this.#buffer.subarray(0, this.#at);
    this.#at = 0;
    return chunk;
  }
}

/** The entries of a directory with their types, sorted by byte. */
export function readEntries(path: ByteString): { name: ByteString; type: NarEntryType }[] {
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
    const code = (error as NodeJS.ErrnoException).code;
    const why =
      code === "ENOENT"
        ? "it does not exist"
        : code === "EACCES"
          ? "permission denied"
          : String((error as Error).message);
    throw new DevshellError("NAR_READ_FAILED", `Cannot read "${path}": ${why}`, { cause: error });
  }
}

function changed(path: ByteString): DevshellError {
  return new DevshellError("NAR_READ_FAILED", `Cannot archive "${path}": it changed while it was read`, {
    hint: "try again once nothing writes to it",
  });
}
