import { closeSync, constants, lstatSync, openSync, read, readSync, readlinkSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { DevshellError, fsPath, type ByteString } from "../../core/index.ts";
import { NAR_MAX_DEPTH, NAR_TOKENS, narString, readEntries } from "./nar.ts";

/** A part of a NAR: bytes that the format writes, or the place of a file's content. */
export type NarPiece =
  | { readonly kind: "bytes"; readonly bytes: Buffer }
  | { readonly kind: "content"; readonly path: ByteString; readonly sizeBytes: number };

/** Runs a read of a file within whatever bound there is for files that are open at once. */
export type ReadGate = <T>(work: () => Promise<T>) => Promise<T>;

export interface NarBytesOptions {
  /** The first byte wanted. */
  readonly start?: number | undefined;
  /** The byte after the last one wanted. */
  readonly end?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly gate?: ReadGate | undefined;
}

export const NAR_CHUNK_BYTES = 128 << 10;
/** Content up to this is read at once: a turn of the event loop costs more. */
const SMALL_BYTES = 32 << 10;
/** Pieces that are passed over, or gathered, before others get a turn. */
const PIECES_A_TURN = 512;
const SPARE_BUFFERS = 64;

/** The NAR of a path in pieces, without reading any content: what lies before a range costs a look at each file. */
export function* narPieces(path: ByteString): Generator<NarPiece> {
  yield bytesPiece(NAR_TOKENS.magic);
  yield* nodePieces(path, 0);
}

/**
 * The bytes of a path's NAR, or a range of them. Between two chunks no file is open, so that a slow reader holds nothing
 * but one buffer; a chunk is only valid until the next is asked for.
 * @throws {DevshellError} `NAR_READ_FAILED`, `NAR_UNSUPPORTED_TYPE`, `NAR_TOO_DEEP`; the signal's reason
 */
export async function* narBytes(
  path: ByteString,
  { start = 0, end = Number.POSITIVE_INFINITY, signal, gate = (work) => work() }: NarBytesOptions = {},
): AsyncGenerator<Buffer> {
  const buffer = spareBuffers.pop() ?? Buffer.allocUnsafeSlow(NAR_CHUNK_BYTES);
  try {
    let filled = 0;
    let position = 0;
    let pieces = 0;
    for (const piece of narPieces(path)) {
      const sizeBytes = piece.kind === "bytes" ? piece.bytes.length : piece.sizeBytes;
      const pieceStart = position;
      position += sizeBytes;
      if (++pieces % PIECES_A_TURN === 0) {
        await nextTurn();
        signal?.throwIfAborted();
      }
      if (position <= start) continue;
      let at = Math.max(start - pieceStart, 0);
      const last = Math.min(end - pieceStart, sizeBytes);
      while (at < last) {
        if (filled === NAR_CHUNK_BYTES) {
          yield buffer;
          signal?.throwIfAborted();
          filled = 0;
        }
        const count = Math.min(last - at, NAR_CHUNK_BYTES - filled);
        if (piece.kind === "bytes") piece.bytes.copy(buffer, filled, at, at + count);
        else if (sizeBytes <= SMALL_BYTES) readNow(piece.path, buffer, filled, count, at);
        else await gate(() => readLater(piece.path, { buffer, offset: filled, count, position: at }));
        filled += count;
        at += count;
      }
      if (position >= end) break;
    }
    if (filled > 0) yield buffer.subarray(0, filled);
  } finally {
    if (spareBuffers.length < SPARE_BUFFERS) spareBuffers.push(buffer);
  }
}

const spareBuffers: Buffer[] = [];

function* nodePieces(path: ByteString, depth: number): Generator<NarPiece> {
  const stats = reading(path, () => lstatSync(fsPath(path)));
  if (stats.isSymbolicLink()) {
    yield bytesPiece(NAR_TOKENS.openSymlink);
    yield bytesPiece(narString(reading(path, () => readlinkSync(fsPath(path), "latin1"))));
    yield bytesPiece(NAR_TOKENS.close);
  } else if (stats.isFile()) {
    yield bytesPiece(NAR_TOKENS.openRegular);
    if ((stats.mode & 0o100) !== 0) yield bytesPiece(NAR_TOKENS.executable);
    yield bytesPiece(NAR_TOKENS.contents);
    const size = Buffer.alloc(8);
    size.writeBigUInt64LE(BigInt(stats.size));
    yield bytesPiece(size);
    if (stats.size > 0) yield { kind: "content", path, sizeBytes: stats.size };
    yield bytesPiece(PADDING[stats.size % 8] ?? PADDING[0]!);
    yield bytesPiece(NAR_TOKENS.close);
  } else if (stats.isDirectory()) {
    if (depth >= NAR_MAX_DEPTH)
      throw new DevshellError(
        "NAR_TOO_DEEP",
        `Cannot archive "${path}": directories nest deeper than ${NAR_MAX_DEPTH}`,
      );
    yield bytesPiece(NAR_TOKENS.openDirectory);
    for (const { name } of readEntries(path)) {
      yield bytesPiece(NAR_TOKENS.openEntry);
      yield bytesPiece(narString(name));
      yield bytesPiece(NAR_TOKENS.node);
      yield* nodePieces(`${path}/${name}`, depth + 1);
      yield bytesPiece(NAR_TOKENS.close);
    }
    yield bytesPiece(NAR_TOKENS.close);
  } else throw new DevshellError("NAR_UNSUPPORTED_TYPE", `file '${path}' has an unsupported type`);
}

/** Zeros after content, by its size modulo 8. */
const PADDING = Array.from({ length: 8 }, (_, rest) => Buffer.alloc((8 - rest) % 8));

function bytesPiece(bytes: Buffer): NarPiece {
  return { kind: "bytes", bytes };
}

function openContent(path: ByteString): number {
  return reading(path, () => openSync(fsPath(path), constants.O_RDONLY | constants.O_NOFOLLOW));
}

function readNow(path: ByteString, buffer: Buffer, offset: number, count: number, position: number): void {
  const fd = openContent(path);
  try {
    for (let done = 0; done < count;) {
      const more = reading(path, () => readSync(fd, buffer, offset + done, count - done, position + done));
      if (more === 0) throw changed(path);
      done += more;
    }
  } finally {
    closeSync(fd);
  }
}

interface ContentRead {
  readonly buffer: Buffer;
  readonly offset: number;
  readonly count: number;
  readonly position: number;
}

/** In another thread: what is not in memory yet must not hold up everybody else. */
async function readLater(path: ByteString, { buffer, offset, count, position }: ContentRead): Promise<void> {
  const fd = openContent(path);
  try {
    for (let done = 0; done < count;) {
      const more = await new Promise<number>((resolve, reject) =>
        read(fd, buffer, offset + done, count - done, position + done, (error, size) =>
          error === null ? resolve(size) : reject(readFailure(path, error)),
        ),
      );
      if (more === 0) throw changed(path);
      done += more;
    }
  } finally {
    closeSync(fd);
  }
}

function reading<T>(path: ByteString, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw readFailure(path, error);
  }
}

function readFailure(path: ByteString, error: unknown): DevshellError {
  const isGone = (error as NodeJS.ErrnoException).code === "ENOENT";
  return new DevshellError(
    "NAR_READ_FAILED",
    `Cannot read "${path}": ${isGone ? "it does not exist" : String((error as Error).message)}`,
    { cause: error },
  );
}

function changed(path: ByteString): DevshellError {
  return new DevshellError("NAR_READ_FAILED", `Cannot archive "${path}": it changed while it was read`);
}
