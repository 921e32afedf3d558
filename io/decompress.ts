import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, createReadStream, openSync, readSync } from "node:fs";
import { Readable, pipeline } from "node:stream";
import { ReadableStream } from "node:stream/web";
import { createBrotliDecompress, createGunzip, createZstdDecompress, zstdDecompressSync } from "node:zlib";
import { DevshellError } from "../core/index.ts";
import { findProgram } from "./findProgram.ts";
import { gather } from "./gather.ts";
import { liblzma } from "./liblzma.ts";

export const COMPRESSIONS = ["none", "xz", "zstd", "gzip", "bzip2", "br", "lzma"] as const;
export type Compression = (typeof COMPRESSIONS)[number];

/** Bytes of a file that hold something compressed. */
export interface FilePart {
  readonly file: string | Buffer;
  readonly offset: number;
  readonly sizeBytes: number;
}

const BUFFER_BYTES = 256 << 10;
const LEAST_BUFFER_BYTES = 1 << 10;
/** Below this, starting a process costs more than its faster decoder saves (a fork of a grown Node: 5–10 ms). */
const XZ_PROGRAM_BYTES = 192 << 10;
/** A file says how much memory reading it takes, up to 4 GiB; the highest usual level (9) takes 65 MiB. */
const MEMORY_LIMIT = "--memlimit-decompress=256MiB";

/** What is small is decoded at once: a stream's machinery costs more than its decoder, a process far more. */
const SMALL_BYTES = 256 << 10;
/** Nothing small grows by more than this when it is compressed. */
const MAX_GROWTH_BYTES = 4 << 10;

export interface DecompressOptions {
  readonly signal?: AbortSignal | undefined;
  /** About as much will come out: small things need no large buffers. */
  readonly expectedBytes?: number | undefined;
}

export function isCompression(name: string): name is Compression {
  return (COMPRESSIONS as readonly string[]).includes(name);
}

/**
 * Decompresses a stream in bounded memory. Concatenated members are read as one.
 * @throws {DevshellError} `DECOMPRESS_FAILED` (while reading) where the input is damaged or ends early
 */
export function decompress(
  compression: Compression,
  source: AsyncIterable<Uint8Array>,
  options: DecompressOptions = {},
): AsyncIterable<Buffer> {
  const decode = decoderOf(compression, options.expectedBytes ?? Infinity);
  return decode === undefined
    ? decompressStream(compression, source, options)
    : atOnce(source, decode, (rest) => decompressStream(compression, rest, options));
}

/** @returns `undefined` where it is not what was expected: the stream's decoder then says why */
type Decode = (bytes: Buffer) => Buffer | undefined;

function decoderOf(compression: Compression, expectedBytes: number): Decode | undefined {
  if (expectedBytes > SMALL_BYTES) return undefined;
  if (compression === "zstd") return (bytes) => decodeZstd(bytes, expectedBytes);
  if (compression !== "xz") return undefined;
  const lzma = liblzma();
  return lzma && ((bytes) => lzma.decode(bytes, expectedBytes));
}

function decodeZstd(bytes: Buffer, expectedBytes: number): Buffer | undefined {
  try {
    const chunkSize = Math.max(LEAST_BUFFER_BYTES, expectedBytes + 1);
    const decoded = zstdDecompressSync(bytes, { chunkSize, maxOutputLength: chunkSize });
    return decoded.length === expectedBytes ? decoded : undefined;
  } catch {
    return undefined;
  }
}

async function* atOnce(
  source: AsyncIterable<Uint8Array>,
  decode: Decode,
  decodeRest: (source: AsyncIterable<Buffer>) => AsyncIterable<Buffer>,
): AsyncIterable<Buffer> {
  const whole = await gather(source, SMALL_BYTES + MAX_GROWTH_BYTES);
  const decoded = Buffer.isBuffer(whole) ? decode(whole) : undefined;
  if (decoded !== undefined) yield decoded;
  else yield* decodeRest(Buffer.isBuffer(whole) ? onlyOf(whole) : whole);
}

// oxlint-disable-next-line require-await
async function* onlyOf(bytes: Buffer): AsyncIterable<Buffer> {
  yield bytes;
}

function decompressStream(
  compression: Compression,
  source: AsyncIterable<Uint8Array>,
  options: DecompressOptions,
): AsyncIterable<Buffer> {
  const { signal } = options;
  const chunkSize = Math.max(
    LEAST_BUFFER_BYTES,
    Math.min(options.expectedBytes ?? BUFFER_BYTES, BUFFER_BYTES),
  );
  switch (compression) {
    case "none":
      return asBuffers(source);
    case "gzip":
      return through(compression, source, createGunzip({ chunkSize }));
    case "br":
      return through(compression, source, createBrotliDecompress({ chunkSize }));
    case "zstd":
      return through(compression, source, createZstdDecompress({ chunkSize }));
    case "xz": {
      const xz = findXz();
      return xz === undefined
        ? xzInProcess(source)
        : byProgram([xz, "-dcq", MEMORY_LIMIT], compression, source, signal);
    }
    case "bzip2":
      return byProgram([neededProgram(compression, "bzip2"), "-dc"], compression, source, signal);
    case "lzma":
      return byProgram(
        [neededProgram(compression, "xz"), "-dcq", "--format=lzma", MEMORY_LIMIT],
        compression,
        source,
        signal,
      );
  }
}

function neededProgram(compression: Compression, name: string): string {
  const program = findProgram(name);
  if (program === undefined)
    throw new DevshellError(
      "DECOMPRESS_FAILED",
      `Cannot decompress ${compression}: the program "${name}" is not installed`,
    );
  return program;
}

/**
 * Decompresses a part of a file in bounded memory; what follows the part is not looked at. Large parts in xz are read
 * by the program itself, on another processor; the WASM decoder takes 1.4 times its processor time.
 * @throws {DevshellError} as {@link decompress}
 */
export function decompressPart(compression: Compression, part: FilePart): AsyncIterable<Buffer> {
  if (compression !== "xz") return decompress(compression, readPart(part));
  const xz = part.sizeBytes < XZ_PROGRAM_BYTES ? undefined : findXz();
  return xz === undefined ? xzInProcess(readPart(part)) : partByXz(xz, part);
}

function findXz(): string | undefined {
  return process.env["DEVSHELL_XZ"] === "wasm" ? undefined : findProgram("xz");
}

function readPart({ file, offset, sizeBytes }: FilePart): Readable {
  if (sizeBytes === 0) return Readable.from([]);
  return createReadStream(file, { start: offset, end: offset + sizeBytes - 1, highWaterMark: BUFFER_BYTES });
}

async function* asBuffers(source: AsyncIterable<Uint8Array>): AsyncIterable<Buffer> {
  for await (const chunk of source)
    yield Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}

async function* through(
  compression: Compression,
  source: AsyncIterable<Uint8Array>,
  stream: NodeJS.ReadWriteStream & { destroy(error?: Error): unknown },
): AsyncIterable<Buffer> {
  // A failure of the source also fails the stream, which the loop below meets.
  let sourceError: unknown;
  pipeline(Readable.from(remember(source, (error) => (sourceError = error))), stream, () => undefined);
  try {
    for await (const chunk of stream) yield chunk as Buffer;
  } catch (error) {
    throw sourceError ?? damaged(compression, error);
  } finally {
    stream.destroy();
  }
}

/** A source that notes its own failure, which the streams it is piped through may tell in other words. */
export async function* remember<T>(
  source: AsyncIterable<T>,
  note: (error: unknown) => void,
): AsyncIterable<T> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    for (;;) {
      // Only the source's own failures: whoever reads may throw its own in here, at `yield`.
      const { done, value } = await iterator.next().catch((error: unknown) => {
        note(error);
        throw error;
      });
      if (done === true) return;
      yield value;
    }
  } finally {
    await iterator.return?.();
  }
}

async function* byProgram(
  [program, ...words]: readonly [program: string, ...words: string[]],
  compression: Compression,
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncIterable<Buffer> {
  const child = spawn(program, words, {
    stdio: ["pipe", "pipe", "pipe"],
    env: {},
    signal,
    killSignal: "SIGKILL",
  });
  let sourceError: unknown;
  pipeline(Readable.from(remember(source, (error) => (sourceError = error))), child.stdin, () => undefined);
  try {
    yield* outputOf(child, compression);
  } catch (error) {
    throw sourceError ?? error;
  }
  if (sourceError !== undefined) throw sourceError;
}

/** The child shares our file description, so reading up to the part is what tells it where to start. */
async function* partByXz(program: string, { file, offset }: FilePart): AsyncIterable<Buffer> {
  const fd = openSync(file, "r");
  let child: ChildProcess;
  try {
    const seek = Buffer.alloc(Math.min(offset, BUFFER_BYTES));
    for (let left = offset; left > 0;) {
      const count = readSync(fd, seek, 0, Math.min(left, seek.length), null);
      if (count === 0) throw damaged("xz", new Error("the file is cut short"));
      left -= count;
    }
    child = spawn(program, ["-dcq", "-T1", "--single-stream", MEMORY_LIMIT], {
      stdio: [fd, "pipe", "pipe"],
      env: {},
    });
  } finally {
    closeSync(fd);
  }
  yield* outputOf(child, "xz");
}

/** What a decoder prints, until it has ended well; one that is not read to its end is killed. */
async function* outputOf(child: ChildProcess, compression: Compression): AsyncIterable<Buffer> {
  let stderr = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    if (stderr.length < 2000) stderr += chunk.toString("latin1");
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on("close", resolve);
    child.on("error", reject);
  });
  ended.catch(() => undefined);
  try {
    for await (const chunk of child.stdout ?? []) yield chunk as Buffer;
    if ((await ended) !== 0) throw damaged(compression, new Error(stderr.trim()));
  } finally {
    child.kill("SIGKILL");
  }
}

async function* xzInProcess(source: AsyncIterable<Uint8Array>): AsyncIterable<Buffer> {
  const { XzReadableStream } = (await import("xz-decompress")).default;
  let sourceError: unknown;
  const iterator = remember(source, (error) => (sourceError = error))[Symbol.asyncIterator]();
  const input = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await iterator.return?.();
    },
  });
  // The package's types are the browser's; Node's stream is the same thing.
  const output = new XzReadableStream(input as unknown as ConstructorParameters<typeof XzReadableStream>[0]);
  try {
    for await (const chunk of output as unknown as AsyncIterable<Uint8Array>)
      yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  } catch (error) {
    throw sourceError ?? damaged("xz", error);
  } finally {
    // A decoder that stops early does not close what it reads from.
    await iterator.return?.();
  }
}

function damaged(compression: Compression, cause: unknown): DevshellError {
  const why = cause instanceof Error && cause.message !== "" ? cause.message : "it is damaged";
  return new DevshellError("DECOMPRESS_FAILED", `Cannot decompress ${compression}: ${why}`, { cause });
}
