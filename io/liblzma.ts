import { createRequire } from "node:module";

/*
 * liblzma is on nearly every Linux, for package managers unpack with it. Called in this process it codes a small buffer
 * in well under a millisecond, where starting `xz` takes five to ten; what is large goes through the program, on
 * another processor. The library's name and these calls have been the same since 2012.
 */

export interface Lzma {
  /** An .xz file of these bytes, made in another thread. */
  encode(bytes: Uint8Array, preset: number): Promise<Buffer>;
  /** @returns `undefined` where it is damaged, or holds more than so many bytes */
  decode(bytes: Uint8Array, maxBytes: number): Buffer | undefined;
}

/** `undefined` where the host has none, or `DEVSHELL_XZ` names another way (`program`, `wasm`). */
export function liblzma(): Lzma | undefined {
  if ((process.env["DEVSHELL_XZ"] ?? "") !== "") return undefined;
  loaded ??= { lzma: load() };
  return loaded.lzma;
}

let loaded: { readonly lzma: Lzma | undefined } | undefined;

const LIBRARY = "liblzma.so.5";
const OK = 0;
const CHECK_CRC64 = 4;
const TELL_UNSUPPORTED_CHECK = 0x02;
const CONCATENATED = 0x08;
/** What the largest preset needs is a quarter of it. */
const MEMORY_LIMIT_BYTES = 256n << 20n;

type Pointer = Uint8Array | null;

interface Calls {
  bound(sizeBytes: number): number | bigint;
  encode: {
    async(
      preset: number,
      check: number,
      allocator: null,
      input: Pointer,
      inputBytes: number,
      output: Pointer,
      outputAt: Pointer,
      outputBytes: number,
      done: (error: Error | null, status: number) => void,
    ): void;
  };
  decode(
    memoryLimit: Pointer,
    flags: number,
    allocator: null,
    input: Pointer,
    inputAt: Pointer,
    inputBytes: number,
    output: Pointer,
    outputAt: Pointer,
    outputBytes: number,
  ): number;
}

function load(): Lzma | undefined {
  let calls: Calls;
  try {
    const koffi = createRequire(import.meta.url)("koffi") as {
      load(file: string): { func(prototype: string): unknown };
    };
    const library = koffi.load(LIBRARY);
    calls = {
      bound: library.func("size_t lzma_stream_buffer_bound(size_t size)") as Calls["bound"],
      encode: library.func(
        "int lzma_easy_buffer_encode(uint32_t preset, int check, const void *allocator, const void *in, size_t in_size, void *out, void *out_pos, size_t out_size)",
      ) as Calls["encode"],
      decode: library.func(
        "int lzma_stream_buffer_decode(void *memlimit, uint32_t flags, const void *allocator, const void *in, void *in_pos, size_t in_size, void *out, void *out_pos, size_t out_size)",
      ) as Calls["decode"],
    };
  } catch {
    return undefined;
  }
  return {
    encode: (bytes, preset) => encode(calls, bytes, preset),
    decode: (bytes, maxBytes) => decode(calls, bytes, maxBytes),
  };
}

/** What other threads work on: the collector does not know that they do. */
const inUse = new Set<readonly Uint8Array[]>();

async function encode(calls: Calls, bytes: Uint8Array, preset: number): Promise<Buffer> {
  const output = Buffer.allocUnsafeSlow(Number(calls.bound(bytes.length)));
  const outputAt = Buffer.alloc(8);
  const buffers = [bytes, output, outputAt];
  inUse.add(buffers);
  try {
    const status = await new Promise<number>((resolve, reject) => {
      const done = (error: Error | null, result: number): void => {
        if (error === null) resolve(result);
        else reject(error);
      };
      calls.encode.async(
        preset,
        CHECK_CRC64,
        null,
        bytes,
        bytes.length,
        output,
        outputAt,
        output.length,
        done,
      );
    });
    if (status !== OK) throw new Error(`liblzma cannot encode: error ${status}`);
    return output.subarray(0, Number(outputAt.readBigUInt64LE()));
  } finally {
    inUse.delete(buffers);
  }
}

function decode(calls: Calls, bytes: Uint8Array, maxBytes: number): Buffer | undefined {
  const memoryLimit = Buffer.alloc(8);
  memoryLimit.writeBigUInt64LE(MEMORY_LIMIT_BYTES);
  const inputAt = Buffer.alloc(8);
  const output = Buffer.allocUnsafeSlow(maxBytes);
  const outputAt = Buffer.alloc(8);
  const status = calls.decode(
    memoryLimit,
    TELL_UNSUPPORTED_CHECK | CONCATENATED,
    null,
    bytes,
    inputAt,
    bytes.length,
    output,
    outputAt,
    output.length,
  );
  if (status !== OK || Number(inputAt.readBigUInt64LE()) !== bytes.length) return undefined;
  return output.subarray(0, Number(outputAt.readBigUInt64LE()));
}
