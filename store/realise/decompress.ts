import { spawn } from "node:child_process";
import { Readable, pipeline } from "node:stream";
import { ReadableStream } from "node:stream/web";
import { createBrotliDecompress, createGunzip, createZstdDecompress } from "node:zlib";
import { DevshellError } from "../../core/index.ts";
import { findProgram } from "./programs.ts";

export const COMPRESSIONS = ["none", "xz", "zstd", "gzip", "bzip2", "br"] as const;
export type Compression = (typeof COMPRESSIONS)[number];

const BUFFER_BYTES = 256 << 10;

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
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): AsyncIterable<Buffer> {
  switch (compression) {
    case "none":
      return asBuffers(source);
    case "gzip":
      return through(compression, source, createGunzip({ chunkSize: BUFFER_BYTES }));
    case "br":
      return through(compression, source, createBrotliDecompress({ chunkSize: BUFFER_BYTES }));
    case "zstd":
      return through(compression, source, createZstdDecompress({ chunkSize: BUFFER_BYTES }));
    case "xz": {
      const xz = findProgram("xz");
      return xz === undefined ? xzInProcess(source) : byProgram(xz, compression, source, signal);
    }
    case "bzip2": {
      const bzip2 = findProgram("bzip2");
      if (bzip2 === undefined)
        throw new DevshellError(
          "DECOMPRESS_FAILED",
          'Cannot decompress bzip2: the program "bzip2" is not installed',
        );
      return byProgram(bzip2, compression, source, signal);
    }
  }
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

async function* remember<T>(source: AsyncIterable<T>, note: (error: unknown) => void): AsyncIterable<T> {
  try {
    yield* source;
  } catch (error) {
    note(error);
    throw error;
  }
}

async function* byProgram(
  program: string,
  compression: Compression,
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncIterable<Buffer> {
  const child = spawn(program, ["-dc"], {
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
  pipeline(Readable.from(remember(source, (error) => (sourceError = error))), child.stdin, () => undefined);
  try {
    for await (const chunk of child.stdout) yield chunk as Buffer;
    const status = await ended;
    if (sourceError !== undefined) throw sourceError;
    if (status !== 0) throw damaged(compression, new Error(stderr.trim()));
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
  }
}

function damaged(compression: Compression, cause: unknown): DevshellError {
  const why = cause instanceof Error && cause.message !== "" ? cause.message : "it is damaged";
  return new DevshellError("DECOMPRESS_FAILED", `Cannot decompress ${compression}: ${why}`, { cause });
}
