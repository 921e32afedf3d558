import { createReadStream, statSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { Readable } from "node:stream";
import { DevshellError, fsPath, hashBytes, type ByteString, shownUrl } from "../../../core/index.ts";
import {
  compress,
  downloadToFile,
  downloadUnhashed,
  fetchBytes,
  isNotFound,
  parseUrl,
  mayBeTold,
  probeUrl,
  upload,
  type Compression,
  type ConnectionOptions,
  type DownloadRequest,
  type MakeHeaders,
  type TransferOptions,
  type UploadRequest,
} from "../../../io/index.ts";
import type {
  CacheContent,
  CacheFiles,
  DownloadedFile,
  ReadRequest,
  WantedFile,
  WriteOptions,
} from "./cacheFiles.ts";
import { FileLock } from "../../local/fileLock.ts";
import { absentFile, checkFile } from "./checkedFile.ts";
import { GrowingFile } from "./growingFile.ts";

const BUFFER_BYTES = 1 << 20;
/** Fetched again whole rather than continued: a file of its own would cost more. */
const SMALL_BYTES = 256 << 10;

export interface HttpFilesOptions {
  /** As messages name the cache. */
  readonly url: string;
  /** What names are appended to. */
  readonly base: string;
  /** Holds downloads, so that a later run continues them. */
  readonly downloadsDir: ByteString;
  readonly headers?: MakeHeaders | undefined;
  /** Tries of each transfer. */
  readonly attempts?: number | undefined;
  /** What is set here comes before what is usual. */
  readonly connection?: ConnectionOptions | undefined;
  /** How a file of this name is to be compressed for readers to whom the server says so. */
  readonly codingOf?: ((name: string) => Compression | undefined) | undefined;
  /** Adds or replaces a file; by one `PUT` unless said. */
  readonly put?: ((request: UploadRequest) => Promise<void>) | undefined;
}

/** The files of a binary cache on a web server; it is written by `PUT`. */
export class HttpFiles implements CacheFiles {
  readonly url: string;
  readonly scratchDir: ByteString;
  readonly isReadOnly: boolean;
  readonly #base: string;
  readonly #headers: MakeHeaders | undefined;
  /** Of every request. */
  readonly #common: ConnectionOptions & { readonly attempts: number | undefined };
  readonly #codingOf: (name: string) => Compression | undefined;
  readonly #put: (request: UploadRequest) => Promise<void>;

  constructor(options: HttpFilesOptions) {
    const { url, base, downloadsDir, headers, attempts, connection } = options;
    this.url = url;
    this.scratchDir = downloadsDir;
    this.#base = base;
    this.isReadOnly = !/^https?:/.test(base);
    this.#headers = headers;
    this.#common = { attempts, ...connection };
    this.#codingOf = options.codingOf ?? (() => undefined);
    this.#put = options.put ?? upload;
  }

  async read(name: string, request: ReadRequest): Promise<Buffer | undefined> {
    try {
      return await fetchBytes({
        ...request,
        ...this.#common,
        attempts: request.attempts ?? this.#common.attempts,
        url: this.#urlOf(name),
        headers: this.#headers,
        isDecoded: true,
      });
    } catch (error) {
      // Some servers, S3's among them, forbid what they do not have.
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async has(name: string, signal?: AbortSignal): Promise<boolean> {
    try {
      return await probeUrl({
        ...this.#common,
        url: this.#urlOf(name),
        headers: this.#headers,
        signal,
      });
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  async download(wanted: WantedFile, options: TransferOptions): Promise<DownloadedFile> {
    try {
      options.onUrl?.(shownUrl(this.#urlOf(wanted.url)));
      const isSmall = wanted.sizeBytes !== undefined && wanted.sizeBytes <= SMALL_BYTES;
      return isSmall
        ? await this.#downloadSmall(wanted, options)
        : await this.#downloadLarge(wanted, options);
    } catch (error) {
      if (isNotFound(error)) throw absentFile(this.url, wanted.url);
      throw error;
    }
  }

  async write(name: string, content: CacheContent, options: WriteOptions): Promise<void> {
    const coding = this.#codingOf(name);
    const isCoded = coding !== undefined && coding !== "none" && "bytes" in content;
    await this.#put({
      ...options,
      ...this.#common,
      url: this.#urlOf(name),
      content: isCoded ? { bytes: await compressed(coding, content.bytes, options.signal) } : content,
      ...(isCoded && { contentEncoding: coding }),
      headers: this.#headers,
    });
    if ("file" in content) await rm(fsPath(content.file), { force: true });
  }

  async #downloadSmall(wanted: WantedFile, options: TransferOptions): Promise<DownloadedFile> {
    const { url, maxBytes } = wanted;
    const bytes = await fetchBytes({
      ...options,
      ...this.#common,
      url: this.#urlOf(url),
      maxBytes,
      headers: this.#headersFor(url),
      isDecoded: true,
    });
    checkFile(this.url, wanted, hashBytes("sha256", bytes), bytes.length);
    return { chunks: Readable.from([bytes]), discard: () => Promise.resolve() };
  }

  async #downloadLarge(wanted: WantedFile, options: TransferOptions): Promise<DownloadedFile> {
    await mkdir(fsPath(this.scratchDir), { recursive: true });
    const lock = claimFile(`${this.scratchDir}/${wanted.key}`);
    try {
      const left = statSync(fsPath(lock.path), { throwIfNoEntry: false });
      const download =
        left === undefined || left.size === 0
          ? await this.#follow(wanted, lock.path, options)
          : await this.#continue(wanted, lock.path, options);
      return {
        chunks: heldUntilLeft(download.chunks, lock),
        discard: async () => {
          await download.discard();
          lock[Symbol.dispose]();
        },
      };
    } catch (error) {
      lock[Symbol.dispose]();
      throw error;
    }
  }

  /** Lets it be read while it arrives. */
  async #follow(wanted: WantedFile, file: ByteString, options: TransferOptions): Promise<DownloadedFile> {
    const stop = new AbortController();
    const { signal: given } = options;
    const growing = new GrowingFile(file);
    const request = {
      ...options,
      ...this.#requestFor(wanted, file),
      signal: given === undefined ? stop.signal : AbortSignal.any([given, stop.signal]),
      onWritten: (writtenBytes: number, last: readonly Buffer[]) => growing.grow(writtenBytes, last),
      onProgress: (doneBytes: number, totalBytes: number | undefined) => {
        growing.begin();
        options.onProgress?.(doneBytes, wanted.sizeBytes ?? totalBytes);
      },
    };
    const transfer = async (): Promise<void> => {
      const { sizeBytes, hash } =
        wanted.isHashedByReader === true
          ? { ...(await downloadUnhashed(request)), hash: undefined }
          : await downloadToFile({ ...request, hash: "sha256" });
      try {
        checkFile(this.url, wanted, hash, sizeBytes);
      } catch (error) {
        await rm(fsPath(file), { force: true });
        throw error;
      }
    };
    const ended = transfer().then(
      () => growing.end(),
      (error: unknown) => growing.fail(error),
    );
    await growing.begun;
    return {
      chunks: endingWith(growing.chunks(), stop),
      discard: async () => {
        stop.abort();
        await ended;
        await rm(fsPath(file), { force: true });
      },
    };
  }

  /**
   * Continues what an earlier run left; where that turns out wrong, it is fetched anew once, so that nothing of it may
   * be read before.
   */
  async #continue(wanted: WantedFile, file: ByteString, options: TransferOptions): Promise<DownloadedFile> {
    for (let isFirst = true; ; isFirst = false) {
      let resumedBytes: number | undefined;
      const { hash, sizeBytes } = await downloadToFile({
        ...options,
        ...this.#requestFor(wanted, file),
        hash: "sha256",
        onProgress: (doneBytes, totalBytes) => {
          resumedBytes ??= doneBytes;
          options.onProgress?.(doneBytes, wanted.sizeBytes ?? totalBytes);
        },
      });
      try {
        checkFile(this.url, wanted, hash, sizeBytes);
        break;
      } catch (error) {
        await rm(fsPath(file), { force: true });
        if (!isFirst || (resumedBytes ?? 0) === 0) throw error;
      }
    }
    return {
      chunks: chunksOf(file),
      discard: () => rm(fsPath(file), { force: true }),
    };
  }

  #requestFor({ url, maxBytes }: WantedFile, file: ByteString): Omit<DownloadRequest, "hash"> {
    return {
      ...this.#common,
      url: this.#urlOf(url),
      file,
      maxBytes,
      headers: this.#headersFor(url),
      isDecoded: true,
    };
  }

  /** @throws {DevshellError} `CACHE_INVALID` where a narinfo names something that is not on the web */
  #urlOf(name: string): string {
    if (/^https?:\/\//.test(name)) return name;
    if (/^[a-z][a-z0-9+.-]*:/i.test(name) || /(^|\/)\.\.(\/|$)/.test(name)) throw this.#leadsOut(name);
    const url = `${this.#base}/${name}`;
    // Escapes and backslashes lead upwards, too.
    const [{ pathname: top }, { pathname }] = [parseUrl(this.#base), parseUrl(url)];
    if (!pathname.startsWith(top.endsWith("/") ? top : `${top}/`)) throw this.#leadsOut(name);
    return url;
  }

  #leadsOut(name: string): DevshellError {
    return new DevshellError("CACHE_INVALID", `binary cache '${this.url}': '${name}' leads out of the cache`);
  }

  /** What the cache is told in confidence is not for other hosts, nor for the open. */
  #headersFor(name: string): MakeHeaders | undefined {
    return /^https?:\/\//.test(name) && !mayBeTold(parseUrl(this.#base), parseUrl(name))
      ? undefined
      : this.#headers;
  }
}

async function compressed(
  coding: Compression,
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of compress(coding, Readable.from([bytes]), { signal })) chunks.push(chunk);
  return Buffer.concat(chunks);
}

let claims = 0;

/** A file that nobody else downloads to: the one that a later run would continue, unless another process is at it. */
function claimFile(place: ByteString): FileLock {
  const usual = FileLock.tryAcquire(`${place}.nar`, "exclusive");
  return usual ?? FileLock.acquireSync(`${place}.${process.pid}.${++claims}.nar`, "exclusive");
}

/** Who leaves it in the middle may never discard it; who reads all of it does. */
async function* heldUntilLeft(chunks: AsyncIterable<Buffer>, lock: FileLock): AsyncIterable<Buffer> {
  let isWhole = false;
  try {
    yield* chunks;
    isWhole = true;
  } finally {
    if (!isWhole) lock[Symbol.dispose]();
  }
}

/** What nobody reads any more need not come to its end. */
async function* endingWith(chunks: AsyncIterable<Buffer>, transfer: AbortController): AsyncIterable<Buffer> {
  try {
    yield* chunks;
  } finally {
    transfer.abort();
  }
}

/** Opened when it is read: nobody may want it any more. */
async function* chunksOf(file: ByteString): AsyncIterable<Buffer> {
  for await (const chunk of createReadStream(fsPath(file), { highWaterMark: BUFFER_BYTES }))
    yield chunk as Buffer;
}
