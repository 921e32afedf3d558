import {
  closeSync,
  fstatSync,
  futimesSync,
  mkdirSync,
  openSync,
  readSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { DevshellError, type ByteString } from "../../../core/index.ts";

/**
 * A sorted map from names to byte strings in one file, opened by reading only its names and offsets: what a
 * Debian index of 50 MB becomes so that a later run pays for the few records it needs.
 *
 * Layout: one line of JSON (`TableHeader`), then the keys joined by newlines, `count + 1` key offsets, `count + 1`
 * record offsets (32-bit, little-endian), the records.
 */
export interface RecordTable extends Disposable {
  readonly path: string;
  readonly count: number;
  /** Facts about the whole, as written. */
  readonly notes: Readonly<Record<string, string>>;
  /** All keys, sorted by byte, joined by newlines. */
  readonly keys: ByteString;
  get(key: ByteString): ByteString | undefined;
}

interface TableHeader {
  readonly format: string;
  readonly count: number;
  readonly keyBytes: number;
  readonly recordBytes: number;
  readonly notes: Readonly<Record<string, string>>;
}

/** Changed whenever what the records hold changes. */
const FORMAT = "devshell-debian-table-1";
const MAX_HEADER_BYTES = 64 << 10;
const WRITE_BYTES = 1 << 20;
const DAY_MS = 86_400_000;
const UNUSED_DAYS = 60;

/** Written beside and renamed, so that a reader never sees half a table. */
export function writeRecordTable(
  path: string,
  records: ReadonlyMap<ByteString, ByteString>,
  notes: Readonly<Record<string, string>> = {},
): void {
  const keys = [...records.keys()].sort(compareBytes);
  const keyOffsets = new Uint32Array(keys.length + 1);
  const recordOffsets = new Uint32Array(keys.length + 1);
  let keyEnd = 0;
  let recordEnd = 0;
  for (const [n, key] of keys.entries()) {
    keyEnd += key.length + 1;
    recordEnd += records.get(key)?.length ?? 0;
    keyOffsets[n + 1] = keyEnd;
    recordOffsets[n + 1] = recordEnd;
  }
  const keyText = keys.join("\n");
  const header: TableHeader = {
    format: FORMAT,
    count: keys.length,
    keyBytes: keyText.length,
    recordBytes: recordEnd,
    notes,
  };
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.tmp-${process.pid}-${Math.random().toString(36).slice(2)}`;
  const fd = openSync(temporary, "wx", 0o644);
  try {
    writeAll(fd, Buffer.from(`${JSON.stringify(header)}\n`, "latin1"));
    writeAll(fd, Buffer.from(keyText, "latin1"));
    writeAll(fd, Buffer.from(keyOffsets.buffer));
    writeAll(fd, Buffer.from(recordOffsets.buffer));
    let chunk: ByteString[] = [];
    let chunkBytes = 0;
    for (const key of keys) {
      const record = records.get(key) ?? "";
      chunk.push(record);
      chunkBytes += record.length;
      if (chunkBytes < WRITE_BYTES) continue;
      writeAll(fd, Buffer.from(chunk.join(""), "latin1"));
      chunk = [];
      chunkBytes = 0;
    }
    writeAll(fd, Buffer.from(chunk.join(""), "latin1"));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, path);
}

/** @returns `undefined` where there is no table, or one of another format or length: it is then made anew */
export function openRecordTable(path: string): RecordTable | undefined {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch {
    return undefined;
  }
  const table = readTable(fd, path);
  if (table === undefined) closeSync(fd);
  return table;
}

/** Removes the tables, and leftovers of killed writers, that nobody has opened for two months. */
export function pruneTables(directory: string): void {
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat !== undefined && Date.now() - stat.mtimeMs > UNUSED_DAYS * DAY_MS) rmSync(path, { force: true });
  }
}

function readTable(fd: number, path: string): RecordTable | undefined {
  const head = readAt(fd, 0, MAX_HEADER_BYTES).toString("latin1");
  const lineEnd = head.indexOf("\n");
  const header = parseHeader(head.slice(0, Math.max(0, lineEnd)));
  if (header === undefined) return undefined;
  const { count, keyBytes, recordBytes, notes } = header;
  const offsetBytes = (count + 1) * 4;
  const keysAt = lineEnd + 1;
  const recordsAt = keysAt + keyBytes + 2 * offsetBytes;
  const { size, mtimeMs } = fstatSync(fd);
  if (size !== recordsAt + recordBytes) return undefined;
  markUsed(fd, mtimeMs);
  const directory = readAt(fd, keysAt, keyBytes + 2 * offsetBytes);
  const keys = directory.toString("latin1", 0, keyBytes);
  const keyOffsets = offsetsOf(directory, keyBytes, count + 1);
  const recordOffsets = offsetsOf(directory, keyBytes + offsetBytes, count + 1);
  const keyAt = (n: number): string => keys.slice(keyOffsets[n], (keyOffsets[n + 1] ?? 1) - 1);

  return {
    path,
    count,
    notes,
    keys,
    get(key) {
      let low = 0;
      let high = count - 1;
      while (low <= high) {
        const middle = (low + high) >> 1;
        const found = keyAt(middle);
        if (found === key) {
          const start = recordOffsets[middle] ?? 0;
          const end = recordOffsets[middle + 1] ?? start;
          return readAt(fd, recordsAt + start, end - start).toString("latin1");
        }
        if (found < key) low = middle + 1;
        else high = middle - 1;
      }
      return undefined;
    },
    [Symbol.dispose]: () => closeSync(fd),
  };
}

/** Once a day, for {@link pruneTables}; a cache that is not ours to touch is read all the same. */
function markUsed(fd: number, mtimeMs: number): void {
  const now = new Date();
  if (now.getTime() - mtimeMs < DAY_MS) return;
  try {
    futimesSync(fd, now, now);
  } catch {
    // Another user's file, or a read-only disk.
  }
}

function parseHeader(line: string): TableHeader | undefined {
  try {
    const header = JSON.parse(line) as TableHeader;
    return header.format === FORMAT ? header : undefined;
  } catch {
    return undefined;
  }
}

function offsetsOf(bytes: Buffer, at: number, count: number): Uint32Array {
  // Copied, since a view must start at a multiple of 4.
  const copy = new Uint8Array(count * 4);
  copy.set(bytes.subarray(at, at + count * 4));
  return new Uint32Array(copy.buffer);
}

function readAt(fd: number, position: number, sizeBytes: number): Buffer {
  const buffer = Buffer.allocUnsafe(sizeBytes);
  let done = 0;
  while (done < sizeBytes) {
    const count = readSync(fd, buffer, done, sizeBytes - done, position + done);
    if (count === 0) break;
    done += count;
  }
  return buffer.subarray(0, done);
}

function writeAll(fd: number, bytes: Buffer): void {
  for (let done = 0; done < bytes.length;) {
    try {
      done += writeSync(fd, bytes, done);
    } catch (error) {
      throw new DevshellError(
        "DEBIAN_CACHE_WRITE",
        `Cannot write the package index: ${(error as Error).message}`,
        {
          hint: "is the disk full? `XDG_CACHE_HOME` says where the cache lies",
          cause: error,
        },
      );
    }
  }
}

/** Byte strings compare by code unit, which is by byte. */
function compareBytes(a: ByteString, b: ByteString): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
