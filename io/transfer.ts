import { open, rm, stat, type FileHandle } from "node:fs/promises";
import { DevshellError, fsPath, hashStream, type Hash, type HashAlgorithm, shownUrl } from "../core/index.ts";
import { openUrl, type Answer, type RequestHeaders } from "./openUrl.ts";
import { withRetries, type RetryOptions } from "./retry.ts";
import { PassingError, type ConnectionOptions } from "./sendRequest.ts";

export interface TransferOptions extends Pick<RetryOptions, "signal" | "onRetry"> {
  readonly onProgress?: ((doneBytes: number, totalBytes: number | undefined) => void) | undefined;
  /** Told the address of what is asked for, where it has one. */
  readonly onUrl?: ((url: string) => void) | undefined;
}

export interface TransferRequest extends TransferOptions, ConnectionOptions {
  /** `http:`, `https:` or `file:`. */
  readonly url: string;
  /** More is refused: servers are not trusted to end. */
  readonly maxBytes: number;
  readonly attempts?: number | undefined;
  readonly headers?: RequestHeaders | undefined;
  /** As {@link openUrl} has it. */
  readonly isDecoded?: boolean | undefined;
}

export interface UnhashedDownloadRequest extends TransferRequest {
  /** Where the bytes go. What is there already is taken as the transfer's beginning. */
  readonly file: string;
  /**
   * Told how many of the file's bytes are written, fewer than before where the server began anew, and the last of them,
   * which are for whoever is told to keep.
   */
  readonly onWritten?: ((writtenBytes: number, last: readonly Buffer[]) => void) | undefined;
}

export interface DownloadRequest extends UnhashedDownloadRequest {
  readonly hash: HashAlgorithm;
  /** Of what is known already: where the server still has the same, nothing is downloaded (`isUnchanged`). */
  readonly etag?: string | undefined;
}

export interface UnhashedDownloadResult {
  readonly sizeBytes: number;
  readonly immutableUrl?: string | undefined;
  readonly etag?: string | undefined;
  readonly isUnchanged?: boolean | undefined;
}

export interface DownloadResult extends UnhashedDownloadResult {
  readonly hash: Hash;
}

const BUFFER_BYTES = 1 << 20;
const PACE_WINDOW_MS = 60_000;
const LEAST_BYTES_IN_WINDOW = 60;
/** What arrives is gathered to this much: each write is a thread's errand. */
const WRITE_BYTES = 512 << 10;
/** What comes slowly is kept for the next run all the same. */
const WRITE_INTERVAL_MS = 100;

/** The server answered that it does not have or give the thing (as opposed to failing to answer). */
export function isNotFound(error: unknown): boolean {
  return (
    error instanceof DevshellError && (error.code === "FETCH_NOT_FOUND" || error.code === "FETCH_FORBIDDEN")
  );
}

/**
 * Downloads to a file, continuing what an earlier run left there, and hashes all of it.
 * On failure the partial file stays, for the next run to continue.
 * @throws {DevshellError} `FETCH_NOT_FOUND`, `FETCH_FORBIDDEN`, `FETCH_UNAUTHORIZED`, `FETCH_FAILED`, `FETCH_TOO_LARGE`
 */
export async function downloadToFile(request: DownloadRequest): Promise<DownloadResult> {
  let running = hashStream(request.hash);
  const result = await download(request, {
    restart: () => (running = hashStream(request.hash)),
    update: (chunk) => running.update(chunk),
  });
  return { ...result, hash: running.digest() };
}

/** As {@link downloadToFile}, for those who check what they get in another way. */
export function downloadUnhashed(request: UnhashedDownloadRequest): Promise<UnhashedDownloadResult> {
  return download(request, undefined);
}

/** Sees all bytes of a file once, from the first on, whatever is retried. */
interface Observer {
  restart(): unknown;
  update(chunk: Uint8Array): void;
}

async function download(
  request: UnhashedDownloadRequest,
  observer: Observer | undefined,
): Promise<UnhashedDownloadResult> {
  await using handle = await openForAppend(request.file).catch((error: unknown) => {
    throw unwritable(request, error);
  });
  const { file } = handle;
  let seenBytes = 0;
  const see = (chunk: Uint8Array): void => {
    observer?.update(chunk);
    seenBytes += chunk.length;
  };
  const restart = (): void => {
    observer?.restart();
    seenBytes = 0;
  };
  return await downloading(request, async (moved) => {
    let offset = await keptBytes(file, request);
    if (observer !== undefined && offset !== seenBytes) {
      restart();
      await readBytes(file, offset, see, request.signal);
    }
    request.onWritten?.(offset, []);
    const answer = await openUrl(request.url, { ...request, offset });
    if (answer.offset !== offset) {
      // The server does not continue: from the beginning.
      await file.truncate(0);
      restart();
      offset = 0;
      request.onWritten?.(0, []);
    }
    let pending: Buffer[] = [];
    let pendingBytes = 0;
    let writtenMs = 0;
    const write = async (): Promise<void> => {
      const chunks = pending;
      const sizeBytes = pendingBytes;
      pending = [];
      pendingBytes = 0;
      await writeAll(file, chunks, sizeBytes, offset).catch(async (error: unknown) => {
        // A full disk needs the room more than the next run needs the beginning.
        await file.truncate(0);
        throw unwritable(request, error);
      });
      offset += sizeBytes;
      writtenMs = performance.now();
      request.onWritten?.(offset, chunks);
    };
    try {
      for await (const chunk of received(answer, request, offset, moved)) {
        see(chunk);
        pending.push(chunk);
        pendingBytes += chunk.length;
        if (pendingBytes >= WRITE_BYTES || performance.now() - writtenMs >= WRITE_INTERVAL_MS) await write();
      }
    } finally {
      // Also of a transfer that was cut: the next try continues there.
      if (pendingBytes > 0) await write();
    }
    const { immutableUrl, etag, isUnchanged } = answer;
    return { sizeBytes: offset, immutableUrl, etag, isUnchanged };
  });
}

/**
 * Fetches a small thing whole.
 * @throws {DevshellError} as {@link downloadToFile}
 */
export async function fetchBytes(request: TransferRequest): Promise<Buffer> {
  return transfer(request, async (body) => {
    const chunks: Buffer[] = [];
    for await (const chunk of body) chunks.push(chunk);
    return Buffer.concat(chunks);
  });
}

/**
 * Hands the bytes to `use` as they come, and again from the first one where the transfer fails for a passing reason.
 * @throws {DevshellError} as {@link downloadToFile}; what `use` throws
 */
export async function transfer<T>(
  request: TransferRequest,
  use: (body: AsyncIterable<Buffer>) => Promise<T>,
): Promise<T> {
  return downloading(request, async (moved) => {
    const answer = await openUrl(request.url, request);
    try {
      return await use(received(answer, request, 0, moved));
    } finally {
      answer.close();
    }
  });
}

/**
 * Asks whether something is there, without its bytes.
 * @throws {DevshellError} `FETCH_FORBIDDEN`, `FETCH_FAILED` where that is not known
 */
export async function probeUrl(request: Omit<TransferRequest, "maxBytes">): Promise<boolean> {
  const asked = { ...request, maxBytes: 0 };
  try {
    return await downloading(asked, async () => {
      (await openUrl(request.url, { ...request, method: "HEAD" })).close();
      return true;
    });
  } catch (error) {
    if (error instanceof DevshellError && error.code === "FETCH_NOT_FOUND") return false;
    throw error;
  }
}

/**
 * Where a URL leads in the end, so that several things can be asked of one place.
 * @throws {DevshellError} as {@link downloadToFile}
 */
export async function followRedirects(request: Omit<TransferRequest, "maxBytes">): Promise<string> {
  return downloading({ ...request, maxBytes: 0 }, async () => {
    const answer = await openUrl(request.url, { ...request, method: "HEAD" });
    answer.close();
    return answer.url;
  });
}

async function* received(
  answer: Answer,
  request: TransferRequest,
  start: number,
  moved: (doneBytes: number) => void,
): AsyncGenerator<Buffer> {
  let done = start;
  const pace = new Pace();
  try {
    if (answer.totalBytes !== undefined && answer.totalBytes > request.maxBytes)
      throw tooLarge(request.url, answer.totalBytes, request.maxBytes);
    request.onProgress?.(done, answer.totalBytes);
    pace.wait();
    for await (const chunk of answer.body) {
      request.signal?.throwIfAborted();
      pace.take(chunk.length);
      done += chunk.length;
      if (done > request.maxBytes) throw tooLarge(request.url, done, request.maxBytes);
      yield chunk;
      moved(done);
      request.onProgress?.(done, answer.totalBytes);
      pace.wait();
    }
    if (answer.totalBytes !== undefined && done !== answer.totalBytes)
      throw new PassingError(`the connection ended after ${done} of ${answer.totalBytes} bytes`);
  } finally {
    answer.close();
  }
}

/** Notices who sends a byte now and then so as not to be taken for silent; who reads slowly is no fault of theirs. */
class Pace {
  #askedMs = 0;
  #waitedMs = 0;
  #sizeBytes = 0;

  wait(): void {
    this.#askedMs = performance.now();
  }

  /** @throws {PassingError} */
  take(sizeBytes: number): void {
    this.#waitedMs += performance.now() - this.#askedMs;
    this.#sizeBytes += sizeBytes;
    if (this.#waitedMs < PACE_WINDOW_MS) return;
    if (this.#sizeBytes < LEAST_BYTES_IN_WINDOW)
      throw new PassingError("the server sends less than a byte a second");
    this.#waitedMs = 0;
    this.#sizeBytes = 0;
  }
}

function downloading<T>(
  request: TransferRequest,
  attempt: (moved: (doneBytes: number) => void) => Promise<T>,
): Promise<T> {
  const hint = "check the network and try again; what has arrived is kept";
  return withRetries(`unable to download '${shownUrl(request.url)}'`, hint, request, attempt);
}

async function openForAppend(path: string): Promise<{ readonly file: FileHandle } & AsyncDisposable> {
  // "r+" keeps what is there; "w+" only where nothing is.
  const exists = await stat(fsPath(path)).then(
    (entry) => entry.isFile(),
    () => false,
  );
  if (!exists) await rm(fsPath(path), { force: true, recursive: true });
  const file = await open(fsPath(path), exists ? "r+" : "wx+", 0o644);
  return { file, [Symbol.asyncDispose]: () => file.close() };
}

/** How much of the transfer is there; more than there may be is nothing. */
async function keptBytes(file: FileHandle, request: TransferRequest): Promise<number> {
  const { size } = await file.stat();
  if (size <= request.maxBytes) return size;
  await file.truncate(0);
  return 0;
}

async function readBytes(
  file: FileHandle,
  sizeBytes: number,
  see: (chunk: Uint8Array) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const buffer = Buffer.allocUnsafe(Math.min(BUFFER_BYTES, Math.max(sizeBytes, 1)));
  for (let at = 0; at < sizeBytes;) {
    signal?.throwIfAborted();
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, sizeBytes - at), at);
    if (bytesRead === 0) throw new PassingError("what has arrived was changed by another process");
    see(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
}

async function writeAll(
  file: FileHandle,
  chunks: readonly Buffer[],
  sizeBytes: number,
  position: number,
): Promise<void> {
  let { bytesWritten: written } = await file.writev(chunks, position);
  if (written === sizeBytes) return;
  // The system may write less than it was given: on a disk that is nearly full, and after a signal.
  const bytes = Buffer.concat(chunks, sizeBytes);
  while (written < sizeBytes)
    written += (await file.write(bytes, written, sizeBytes - written, position + written)).bytesWritten;
}

function unwritable({ url, file }: UnhashedDownloadRequest, error: unknown): unknown {
  if (!(error instanceof Error) || !("code" in error)) return error;
  const isFull = error.code === "ENOSPC" || error.code === "EDQUOT";
  const why = isFull ? "no space is left on the disk" : error.message;
  return new DevshellError(
    "FETCH_UNWRITABLE",
    `unable to download '${shownUrl(url)}': cannot write "${file}": ${why}`,
    {
      hint: isFull ? "make room there and try again; `devshell gc` frees the store's disk" : undefined,
      cause: error,
    },
  );
}

function tooLarge(url: string, sizeBytes: number, maxBytes: number): DevshellError {
  return new DevshellError(
    "FETCH_TOO_LARGE",
    `unable to download '${shownUrl(url)}': it has at least ${sizeBytes} bytes, more than the ${maxBytes} allowed`,
  );
}
