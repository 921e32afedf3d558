import { DevshellError, hashStream, type Hash } from "../../../core/index.ts";
import { compress, type Compression } from "../../../io/index.ts";
import { NarLister, asBuffer, writeError, type NarListing } from "../../format/narRestore.ts";
import { NarReader } from "../../format/narReader.ts";
import { importMismatch } from "../../local/contentHash.ts";
import type { IncomingPathInfo } from "../../local/types.ts";
import type { CacheContent } from "./cacheFiles.ts";
import type { SpoolFile } from "./spoolFile.ts";

/** Up to here a NAR is held in memory: a file for each of many small ones takes longer than all else. */
const SMALL_BYTES = 256 << 10;

export interface SpoolOptions {
  /** For what is large. */
  readonly spool: Pick<SpoolFile, "open">;
  readonly compression: Compression;
  readonly level?: number | undefined;
  readonly isParallel?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told the bytes of the NAR that are done. */
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
}

export interface SpooledNar {
  readonly content: CacheContent;
  readonly fileHash: Hash;
  readonly fileSizeBytes: number;
  readonly narSizeBytes: number;
  readonly listing: NarListing;
}

/**
 * Compresses a NAR, to a file where it is large, and checks it on the way: form, size and hash.
 * @throws {DevshellError} `STORE_HASH_MISMATCH`, `STORE_SIZE_MISMATCH`, `NAR_…`, and what compressing throws
 */
export async function spoolNar(
  info: IncomingPathInfo,
  nar: AsyncIterable<Uint8Array>,
  options: SpoolOptions,
): Promise<SpooledNar> {
  const check = new NarCheck(info, options);
  // Not compressed it is the NAR itself, which is hashed already.
  const running = options.compression === "none" ? undefined : hashStream("sha256");
  const isSmall = info.narSizeBytes > 0 && info.narSizeBytes <= SMALL_BYTES;
  const held: Buffer[] = [];
  let fileSizeBytes = 0;
  const file = isSmall ? undefined : await options.spool.open();
  const source = check.pass(nar);
  const expectedBytes = isSmall ? info.narSizeBytes : undefined;
  for await (const chunk of compress(options.compression, source, { ...options, expectedBytes })) {
    running?.update(chunk);
    fileSizeBytes += chunk.length;
    if (file === undefined) held.push(chunk);
    else
      await file.handle.writeFile(chunk).catch((error: unknown) => {
        throw writeError(file.path, error);
      });
  }
  return {
    content:
      file === undefined ? { bytes: Buffer.concat(held) } : { file: file.path, sizeBytes: fileSizeBytes },
    fileHash: running?.digest() ?? info.narHash,
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
