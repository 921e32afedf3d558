import { open } from "node:fs/promises";
import { DevshellError, fsPath, hashStream, type ByteString, type Hash } from "../../core/index.ts";
import { compress, type Compression } from "../../io/index.ts";
import { NarLister, asBuffer, writeError, type NarListing } from "../format/narRestore.ts";
import { NarReader } from "../format/narReader.ts";
import { importMismatch } from "../local/contentHash.ts";
import type { IncomingPathInfo } from "../local/types.ts";

export interface SpoolOptions {
  /** Must not exist. */
  readonly file: ByteString;
  readonly compression: Compression;
  readonly level?: number | undefined;
  readonly isParallel?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told the bytes of the NAR that are done. */
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
}

export interface SpooledNar {
  readonly fileHash: Hash;
  readonly fileSizeBytes: number;
  readonly narSizeBytes: number;
  readonly listing: NarListing;
}

/**
 * Writes a NAR to a file, compressed, and checks it on the way: form, size and hash.
 * @throws {DevshellError} `STORE_HASH_MISMATCH`, `STORE_SIZE_MISMATCH`, `NAR_…`, and what compressing throws
 */
export async function spoolNar(
  info: IncomingPathInfo,
  nar: AsyncIterable<Uint8Array>,
  options: SpoolOptions,
): Promise<SpooledNar> {
  const running = hashStream("sha256");
  const check = new NarCheck(info, options);
  let fileSizeBytes = 0;
  const refused = (error: unknown): never => {
    throw writeError(options.file, error);
  };
  await using file = await open(fsPath(options.file), "wx", 0o644).catch(refused);
  for await (const chunk of compress(options.compression, check.pass(nar), options)) {
    running.update(chunk);
    fileSizeBytes += chunk.length;
    await file.writeFile(chunk).catch(refused);
  }
  return {
    fileHash: running.digest(),
    fileSizeBytes,
    narSizeBytes: check.sizeBytes,
    listing: check.lister.root(),
  };
}

class NarCheck {
  readonly lister = new NarLister();
  sizeBytes = 0;
  readonly #info: IncomingPathInfo;
  readonly #options: SpoolOptions;

  constructor(info: IncomingPathInfo, options: SpoolOptions) {
    this.#info = info;
    this.#options = options;
  }

  async *pass(nar: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    const { path, narHash, narSizeBytes } = this.#info;
    const { signal, onProgress } = this.#options;
    const reader = new NarReader(this.lister);
    const running = hashStream("sha256");
    const expected = narSizeBytes === 0 ? Infinity : narSizeBytes;
    for await (const part of nar) {
      signal?.throwIfAborted();
      const chunk = asBuffer(part);
      this.sizeBytes += chunk.length;
      if (this.sizeBytes > expected) break;
      running.update(chunk);
      reader.push(chunk);
      yield chunk;
      onProgress?.(this.sizeBytes, narSizeBytes);
    }
    if (narSizeBytes !== 0 && this.sizeBytes !== narSizeBytes)
      throw new DevshellError(
        "STORE_SIZE_MISMATCH",
        `Cannot copy "${path}": expected ${narSizeBytes} bytes but found ${this.sizeBytes > narSizeBytes ? "more" : this.sizeBytes}`,
      );
    reader.end();
    const actual = running.digest();
    if (!actual.digest.equals(narHash.digest)) throw importMismatch(path, narHash, actual);
  }
}
