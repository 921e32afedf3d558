import { open, rm, stat, type FileHandle } from "node:fs/promises";
import { Agent as HttpAgent, get as httpGet, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, get as httpsGet } from "node:https";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { DevshellError, fsPath, hashStream, type Hash, type HashAlgorithm } from "../../core/index.ts";

export interface TransferOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((doneBytes: number, totalBytes: number | undefined) => void) | undefined;
  /** One line for each thing that went wrong and is tried again. */
  readonly onRetry?: ((message: string) => void) | undefined;
}

export interface TransferRequest extends TransferOptions {
  /** `http:`, `https:` or `file:`. */
  readonly url: string;
  /** More is refused: servers are not trusted to end. */
  readonly maxBytes: number;
  /** Total tries of a transfer that failed for a passing reason. */
  readonly attempts?: number | undefined;
  readonly connectTimeoutMs?: number | undefined;
}

export interface DownloadRequest extends TransferRequest {
  /** Where the bytes go. What is there already is taken as the transfer's beginning. */
  readonly file: string;
  readonly hash: HashAlgorithm;
}

export interface DownloadResult {
  readonly hash: Hash;
  readonly sizeBytes: number;
}

const DEFAULT_ATTEMPTS = 5;
const CONNECT_TIMEOUT_MS = 15_000;
const STALL_TIMEOUT_MS = 60_000;
const MAX_REDIRECTS = 20;
const FIRST_BACKOFF_MS = 250;
const BUFFER_BYTES = 1 << 20;
/** As much new data forgives earlier failures. */
const PROGRESS_BYTES = 1 << 20;

/** The server answered that the thing is not there (as opposed to failing to answer). */
export function isNotFound(error: unknown): boolean {
  return error instanceof DevshellError && error.code === "FETCH_NOT_FOUND";
}

/**
 * Downloads to a file, continuing what an earlier run left there, and hashes all of it.
 * On failure the partial file stays, for the next run to continue.
 * @throws {DevshellError} `FETCH_NOT_FOUND`, `FETCH_FAILED`, `FETCH_TOO_LARGE`
 */
export async function downloadToFile(request: DownloadRequest): Promise<DownloadResult> {
  await using handle = await openForAppend(request.file);
  return await withRetries(request, async (moved) => {
    const hash = hashStream(request.hash);
    const existing = await hashExisting(handle.file, hash, request);
    const answer = await openUrl(request.url, existing, request);
    let offset = existing;
    let running = hash;
    if (answer.offset !== existing) {
      // The server does not continue: from the beginning.
      await handle.file.truncate(0);
      offset = 0;
      running = hashStream(request.hash);
    }
    await pump(answer, request, offset, moved, async (chunk) => {
      running.update(chunk);
      await writeAll(handle.file, chunk, offset).catch(async (error: unknown) => {
        // A full disk needs the room more than the next run needs the beginning.
        await handle.file.truncate(0);
        throw error;
      });
      offset += chunk.length;
    });
    return { hash: running.digest(), sizeBytes: offset };
  });
}

/**
 * Fetches a small thing whole.
 * @throws {DevshellError} as {@link downloadToFile}
 */
export async function fetchBytes(request: TransferRequest): Promise<Buffer> {
  return withRetries(request, async (moved) => {
    const chunks: Buffer[] = [];
    const answer = await openUrl(request.url, 0, request);
    await pump(answer, request, 0, moved, (chunk) => void chunks.push(chunk));
    return Buffer.concat(chunks);
  });
}

interface Answer {
  readonly body: AsyncIterable<Buffer>;
  /** Where in the whole the body begins. */
  readonly offset: number;
  /** Size of the whole, where known. */
  readonly totalBytes: number | undefined;
  readonly close: () => void;
}

async function pump(
  answer: Answer,
  request: TransferRequest,
  start: number,
  moved: (doneBytes: number) => void,
  take: (chunk: Buffer) => Promise<void> | void,
): Promise<void> {
  let done = start;
  try {
    if (answer.totalBytes !== undefined && answer.totalBytes > request.maxBytes)
      throw tooLarge(request.url, answer.totalBytes, request.maxBytes);
    request.onProgress?.(done, answer.totalBytes);
    for await (const chunk of answer.body) {
      request.signal?.throwIfAborted();
      done += chunk.length;
      if (done > request.maxBytes) throw tooLarge(request.url, done, request.maxBytes);
      await take(chunk);
      moved(done);
      request.onProgress?.(done, answer.totalBytes);
    }
    if (answer.totalBytes !== undefined && done !== answer.totalBytes)
      throw new PassingError(`the connection ended after ${done} of ${answer.totalBytes} bytes`);
  } finally {
    answer.close();
  }
}

/** A failure that may pass: worth another try. */
class PassingError extends Error {
  readonly retryAfterMs: number | undefined;
  constructor(message: string, retryAfterMs?: number) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}

async function withRetries<T>(
  request: TransferRequest,
  attempt: (moved: (doneBytes: number) => void) => Promise<T>,
): Promise<T> {
  const attempts = request.attempts ?? DEFAULT_ATTEMPTS;
  // What moves on is not stuck: a transfer cut every few megabytes still ends.
  let furthest = 0;
  for (let failures = 0; ;) {
    try {
      return await attempt((doneBytes) => {
        if (doneBytes < furthest + PROGRESS_BYTES) return;
        furthest = doneBytes;
        failures = 0;
      });
    } catch (error) {
      request.signal?.throwIfAborted();
      const why = passingReason(error);
      if (why === undefined) throw error;
      failures++;
      if (failures >= attempts)
        throw new DevshellError("FETCH_FAILED", `unable to download '${request.url}': ${why}`, {
          cause: error,
          hint: "check the network and try again; what has arrived is kept",
        });
      const backoff = FIRST_BACKOFF_MS * 2 ** (failures - 1) * (0.75 + Math.random() / 2);
      const waitMs = Math.max(backoff, error instanceof PassingError ? (error.retryAfterMs ?? 0) : 0);
      request.onRetry?.(`unable to download '${request.url}': ${why}; retrying in ${Math.round(waitMs)} ms`);
      await sleep(waitMs, undefined, { signal: request.signal });
    }
  }
}

const PASSING_CODES = new Set([
  "ECONNRESET",
  "ECONNREFUSED",
  "ECONNABORTED",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EAI_AGAIN",
  "HPE_INVALID_CONSTANT",
]);

function passingReason(error: unknown): string | undefined {
  if (error instanceof PassingError) return error.message;
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return undefined;
  if (error instanceof AggregateError && error.message === "") {
    const [first] = error.errors as readonly unknown[];
    return passingReason(first);
  }
  return PASSING_CODES.has(error.code) ? error.message : undefined;
}

async function openUrl(url: string, offset: number, request: TransferRequest): Promise<Answer> {
  const parsed = parseUrl(url);
  switch (parsed.protocol) {
    case "file:":
      return openFile(parsed, offset);
    case "http:":
    case "https:":
      return openHttp(parsed, offset, request);
    default:
      throw new DevshellError(
        "FETCH_SCHEME",
        `unable to download '${url}': scheme '${parsed.protocol}' is unknown`,
        {
          hint: "http, https and file are supported",
        },
      );
  }
}

function parseUrl(url: string): URL {
  try {
    return new URL(url);
  } catch (cause) {
    throw new DevshellError("FETCH_URL", `unable to download '${url}': it is not a URL`, { cause });
  }
}

async function openFile(url: URL, offset: number): Promise<Answer> {
  const path = fileURLToPath(url);
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (cause) {
    throw notFound(url.href, cause instanceof Error ? cause.message : "absent", cause);
  }
  const { size } = await file.stat();
  const start = offset <= size ? offset : 0;
  return {
    body: file.createReadStream({ start, highWaterMark: BUFFER_BYTES, autoClose: true }),
    offset: start,
    totalBytes: size,
    close: () => void file.close().catch(() => undefined),
  };
}

/** Agents are shared by the process so that connections are used again; idle sockets do not hold it open. */
const agents = new Map<string, HttpAgent | HttpsAgent>();

function agentFor(protocol: string): HttpAgent | HttpsAgent {
  const existing = agents.get(protocol);
  if (existing !== undefined) return existing;
  const options = { keepAlive: true, maxSockets: 32, scheduling: "lifo", proxyEnv: process.env } as const;
  const certificates = process.env["NIX_SSL_CERT_FILE"] ?? process.env["SSL_CERT_FILE"];
  const agent =
    protocol === "http:"
      ? new HttpAgent(options)
      : new HttpsAgent({ ...options, ...readCertificates(certificates) });
  agents.set(protocol, agent);
  return agent;
}

function readCertificates(file: string | undefined): { ca?: string } {
  if (file === undefined || file === "" || file === "/no-cert-file.crt") return {};
  try {
    return { ca: readFileSync(file, "utf8") };
  } catch {
    return {};
  }
}

async function openHttp(start: URL, offset: number, request: TransferRequest): Promise<Answer> {
  let url = start;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const response = await requestOnce(url, offset, request);
    const status = response.statusCode ?? 0;
    if (status >= 300 && status < 400 && response.headers.location !== undefined) {
      response.resume();
      const next = parseUrl(new URL(response.headers.location, url).href);
      if (next.protocol !== "http:" && next.protocol !== "https:")
        throw new DevshellError(
          "FETCH_SCHEME",
          `unable to download '${start.href}': redirected to '${next.href}', which is not http`,
        );
      url = next;
      continue;
    }
    return answerOf(start.href, response, status, offset);
  }
  throw new DevshellError("FETCH_FAILED", `unable to download '${start.href}': too many redirects`);
}

function answerOf(url: string, response: IncomingMessage, status: number, offset: number): Answer {
  const close = (): void => void response.destroy();
  const length = decimalHeader(response.headers["content-length"]);
  if (status === 200) return { body: response, offset: 0, totalBytes: length, close };
  if (status === 206) {
    const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(response.headers["content-range"] ?? "");
    if (range !== null && Number(range[1]) === offset)
      return {
        body: response,
        offset,
        totalBytes: length === undefined ? undefined : offset + length,
        close,
      };
    close();
    throw new PassingError("the server continued at another place than asked");
  }
  close();
  const described = `HTTP error ${status}${response.statusMessage === "" ? "" : ` ('${response.statusMessage}')`}`;
  if (status === 416) {
    // Nothing after `offset`: all of it is here already, or the remote thing changed; the size says which.
    const total = /^bytes \*\/(\d+)$/.exec(response.headers["content-range"] ?? "")?.[1];
    if (total !== undefined && Number(total) === offset)
      return { body: nothing(), offset, totalBytes: offset, close: () => undefined };
    return { body: restart(), offset: 0, totalBytes: undefined, close: () => undefined };
  }
  if (status === 404 || status === 410 || status === 403 || status === 401)
    throw notFound(url, described, undefined);
  if (status === 408 || status === 429 || status >= 500) {
    const retryAfter = decimalHeader(response.headers["retry-after"]);
    throw new PassingError(described, retryAfter === undefined ? undefined : Math.min(retryAfter, 60) * 1000);
  }
  throw new DevshellError("FETCH_FAILED", `unable to download '${url}': ${described}`);
}

async function* nothing(): AsyncIterable<Buffer> {}

// oxlint-disable-next-line require-yield
async function* restart(): AsyncIterable<Buffer> {
  throw new PassingError("what an earlier run left does not fit");
}

function requestOnce(
  url: URL,
  offset: number,
  { signal, connectTimeoutMs = CONNECT_TIMEOUT_MS }: TransferRequest,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const get = url.protocol === "https:" ? httpsGet : httpGet;
  const client = get(
    url,
    {
      agent: agentFor(url.protocol),
      signal,
      headers: {
        "user-agent": "devshell",
        "accept-encoding": "identity",
        ...(offset > 0 && { range: `bytes=${offset}-` }),
      },
    },
    (response) => {
      client.setTimeout(STALL_TIMEOUT_MS);
      resolve(response);
    },
  );
  client.setTimeout(connectTimeoutMs);
  client.on("timeout", () => client.destroy(new PassingError("the server does not answer")));
  client.on("error", reject);
  return promise;
}

function decimalHeader(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
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

async function hashExisting(
  file: FileHandle,
  hash: { update(data: Uint8Array): void },
  request: TransferRequest,
): Promise<number> {
  const { size } = await file.stat();
  if (size > request.maxBytes) {
    await file.truncate(0);
    return 0;
  }
  const buffer = Buffer.allocUnsafe(Math.min(BUFFER_BYTES, Math.max(size, 1)));
  let at = 0;
  while (at < size) {
    request.signal?.throwIfAborted();
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, size - at), at);
    if (bytesRead === 0) break;
    hash.update(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
  return at;
}

async function writeAll(file: FileHandle, chunk: Buffer, position: number): Promise<void> {
  for (let written = 0; written < chunk.length;) {
    const { bytesWritten } = await file.write(chunk, written, chunk.length - written, position + written);
    written += bytesWritten;
  }
}

function notFound(url: string, why: string, cause: unknown): DevshellError {
  return new DevshellError("FETCH_NOT_FOUND", `unable to download '${url}': ${why}`, { cause });
}

function tooLarge(url: string, sizeBytes: number, maxBytes: number): DevshellError {
  return new DevshellError(
    "FETCH_TOO_LARGE",
    `unable to download '${url}': it has at least ${sizeBytes} bytes, more than the ${maxBytes} allowed`,
  );
}
