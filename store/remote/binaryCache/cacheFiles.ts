import type { ByteString, Hash } from "../../../core/index.ts";
import type { TransferOptions } from "../../../io/index.ts";

/**
 * Where a binary cache's files lie: a directory, a web server. Names are relative to it: `nix-cache-info`,
 * `nar/<hash>.nar.xz`.
 */
export interface CacheFiles {
  /** As messages name the cache. */
  readonly url: string;
  /** Whether whoever can write needs nobody else's leave, where that is known. */
  readonly isTrusting?: boolean | undefined;
  /** Nothing can be written there by any means of ours. */
  readonly isReadOnly?: boolean | undefined;
  /** Where a file that will be added can be prepared; made when first needed. */
  readonly scratchDir: ByteString;
  /** @returns `undefined` where it is absent */
  read(name: string, request: ReadRequest): Promise<Buffer | undefined>;
  has(name: string, signal?: AbortSignal): Promise<boolean>;
  /** @throws {DevshellError} `CACHE_FILE_ABSENT`, `CACHE_INVALID` (perhaps only while it is read) */
  download(file: WantedFile, options: TransferOptions): Promise<DownloadedFile>;
  /** Adds or replaces a file: readers see all of it or none. A file given is used up. */
  write(name: string, content: CacheContent, options: WriteOptions): Promise<void>;
  /** Makes what a new cache has beside its files. */
  initialise?(): Promise<void>;
  /** Names in the cache's root; only some can tell. */
  list?(): Promise<readonly string[]>;
}

export interface ReadRequest {
  readonly maxBytes: number;
  readonly attempts?: number | undefined;
  readonly connectTimeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A compressed NAR as its narinfo announces it. */
export interface WantedFile {
  /** Relative, or for a web server absolute. */
  readonly url: string;
  readonly hash: Hash | undefined;
  /** Whoever reads it checks that very hash. */
  readonly isHashedByReader?: boolean | undefined;
  readonly sizeBytes: number | undefined;
  /** More is refused where no size is announced. */
  readonly maxBytes: number;
  /** Names what an earlier run left of it. */
  readonly key: string;
}

export interface DownloadedFile {
  readonly chunks: AsyncIterable<Buffer>;
  discard(): Promise<void>;
}

export type CacheContent =
  | { readonly bytes: Uint8Array }
  | { readonly file: ByteString; readonly sizeBytes: number };

export interface WriteOptions extends TransferOptions {
  readonly contentType: string;
}
