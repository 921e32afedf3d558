import { spawn } from "node:child_process";
import { Readable, pipeline, type Duplex } from "node:stream";
import { promisify } from "node:util";
import {
  constants,
  createBrotliCompress,
  createGzip,
  createZstdCompress,
  zstdCompress,
  zstdCompressSync,
} from "node:zlib";
import { DevshellError } from "../core/index.ts";
import { remember, type Compression } from "./decompress.ts";
import { findProgram } from "./findProgram.ts";
import { gather } from "./gather.ts";
import { liblzma } from "./liblzma.ts";

export interface CompressOptions {
  /** As the method counts it; its own default unless given. */
  readonly level?: number | undefined;
  /** Several processors for one stream, where the method can: xz. */
  readonly isParallel?: boolean | undefined;
  /** As much will come: what is small is compressed at once, without a stream or a process of its own. */
  readonly expectedBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Levels that each method knows. */
const LEVELS: Readonly<Record<Exclude<Compression, "none">, readonly [least: number, most: number]>> = {
  xz: [0, 9],
  zstd: [1, 22],
  gzip: [1, 9],
  bzip2: [1, 9],
  br: [0, 11],
  lzma: [0, 9],
};
const BUFFER_BYTES = 256 << 10;
/** Up to here it is held in memory. */
const SMALL_BYTES = 256 << 10;
const XZ_PRESET = 6;
const TINY_BYTES = 16 << 10;
/** Those beyond search long. */
const QUICK_ZSTD_LEVEL = 6;

/**
 * Compresses a stream in bounded memory. A chunk of the source is used up before the next is asked for.
 * @throws {DevshellError} `COMPRESS_UNAVAILABLE` where the host lacks the program, `COMPRESS_LEVEL`, `COMPRESS_FAILED`
 */
export function compress(
  compression: Compression,
  source: AsyncIterable<Uint8Array>,
  options: CompressOptions = {},
): AsyncIterable<Buffer> {
  const { level } = options;
  if (compression !== "none" && level !== undefined) checkLevel(compression, level);
  const encode =
    (options.expectedBytes ?? Infinity) > SMALL_BYTES ? undefined : encoderOf(compression, level);
  return encode === undefined
    ? compressStream(compression, source, options)
    : atOnce(source, encode, (rest) => compressStream(compression, rest, options));
}

type Encode = (bytes: Buffer) => Promise<Buffer> | Buffer;

/** What compresses a buffer; `undefined` where only streams are compressed so. */
function encoderOf(compression: Compression, level: number | undefined): Encode | undefined {
  if (compression === "zstd") {
    const options = { params: parameter("ZSTD_c_compressionLevel", level) };
    // Another thread's errand takes ten times as long as half a kilobyte does (20 µs), and as long as 16 KB do.
    return (bytes) =>
      bytes.length <= TINY_BYTES && (level ?? 0) <= QUICK_ZSTD_LEVEL
        ? zstdCompressSync(bytes, options)
        : promisify(zstdCompress)(bytes, options);
  }
  if (compression !== "xz") return undefined;
  const lzma = liblzma();
  return lzma && ((bytes) => lzma.encode(bytes, level ?? XZ_PRESET));
}

async function* atOnce(
  source: AsyncIterable<Uint8Array>,
  encode: Encode,
  compressRest: (source: AsyncIterable<Buffer>) => AsyncIterable<Buffer>,
): AsyncIterable<Buffer> {
  const whole = await gather(source, SMALL_BYTES);
  if (Buffer.isBuffer(whole)) yield await encode(whole);
  else yield* compressRest(whole);
}

function compressStream(
  compression: Compression,
  source: AsyncIterable<Uint8Array>,
  options: CompressOptions,
): AsyncIterable<Buffer> {
  const { level } = options;
  switch (compression) {
    case "none":
      return copies(source);
    case "gzip":
      return through(source, createGzip({ chunkSize: BUFFER_BYTES, ...(level !== undefined && { level }) }));
    case "br":
      return through(
        source,
        createBrotliCompress({ chunkSize: BUFFER_BYTES, params: parameter("BROTLI_PARAM_QUALITY", level) }),
      );
    case "zstd":
      return through(
        source,
        createZstdCompress({ chunkSize: BUFFER_BYTES, params: parameter("ZSTD_c_compressionLevel", level) }),
      );
    case "xz":
      // One thread writes one block, as liblzma's plain encoder does.
      return byProgram("xz", ["-zcq", options.isParallel === true ? "-T0" : "-T1"], source, options);
    case "bzip2":
      return byProgram("bzip2", ["-zcq"], source, options);
    case "lzma":
      return byProgram("xz", ["-zcq", "--format=lzma"], source, options);
  }
}

function checkLevel(compression: Exclude<Compression, "none">, level: number): void {
  const [least, most] = LEVELS[compression];
  if (!Number.isInteger(level) || level < least || level > most)
    throw new DevshellError(
      "COMPRESS_LEVEL",
      `Cannot compress by ${compression} at level ${level}: its levels are ${least} to ${most}`,
    );
}

function parameter(
  name: "BROTLI_PARAM_QUALITY" | "ZSTD_c_compressionLevel",
  level: number | undefined,
): Record<number, number> {
  return level === undefined ? {} : { [constants[name]]: level };
}

/** Chunks may be views of a buffer that is used again, and a stream holds more than one of them. */
async function* copies(source: AsyncIterable<Uint8Array>): AsyncIterable<Buffer> {
  for await (const chunk of source) yield Buffer.from(chunk);
}

function sourceOf(source: AsyncIterable<Uint8Array>, note: (error: unknown) => void): Readable {
  return Readable.from(remember(copies(source), note));
}

async function* through(source: AsyncIterable<Uint8Array>, stream: Duplex): AsyncIterable<Buffer> {
  let sourceError: unknown;
  pipeline(
    sourceOf(source, (error) => (sourceError = error)),
    stream,
    () => undefined,
  );
  try {
    for await (const chunk of stream) yield chunk as Buffer;
  } catch (error) {
    throw sourceError ?? error;
  } finally {
    stream.destroy();
  }
}

async function* byProgram(
  name: "xz" | "bzip2",
  words: readonly string[],
  source: AsyncIterable<Uint8Array>,
  { level, signal }: CompressOptions,
): AsyncIterable<Buffer> {
  const program = findProgram(name);
  if (program === undefined)
    throw new DevshellError(
      "COMPRESS_UNAVAILABLE",
      `Cannot compress by ${name}: the program "${name}" is not installed`,
      { hint: "install it, or take `compression=zstd`" },
    );
  const child = spawn(program, [...words, ...(level === undefined ? [] : [`-${level}`])], {
    stdio: ["pipe", "pipe", "pipe"],
    env: {},
    signal,
    killSignal: "SIGKILL",
  });
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => {
    if (stderr.length < 2000) stderr += chunk.toString("latin1");
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on("close", resolve);
    child.on("error", reject);
  });
  ended.catch(() => undefined);
  let sourceError: unknown;
  const input = sourceOf(source, (error) => {
    sourceError = error;
    // What it has got looks whole to the program: it must not end well.
    child.kill("SIGKILL");
  });
  pipeline(input, child.stdin, () => undefined);
  try {
    for await (const chunk of child.stdout) yield chunk as Buffer;
    const status = await ended;
    if (sourceError !== undefined) throw sourceError;
    if (status !== 0)
      throw new DevshellError("COMPRESS_FAILED", `Cannot compress by ${name}: ${stderr.trim()}`);
  } finally {
    child.kill("SIGKILL");
  }
}
