import { readFileSync } from "node:fs";
import { open, stat, type FileHandle } from "node:fs/promises";
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { DevshellError } from "../core/index.ts";

/** What a server, or a file, answered. */
export interface Answer {
  readonly body: AsyncIterable<Buffer>;
  /** Where in the whole the body begins. */
  readonly offset: number;
  /** Size of the whole, where known. */
  readonly totalBytes: number | undefined;
  /** Where it came from, after redirects. */
  readonly url: string;
  /** Where the server says the very same thing will always be: `Link: <…>; rel="immutable"`. */
  readonly immutableUrl?: string | undefined;
  readonly close: () => void;
}

export interface OpenUrlOptions {
  /** Where in the whole to begin; the answer says where it did. */
  readonly offset?: number | undefined;
  readonly method?: "GET" | "HEAD" | undefined;
  /** Secrets, too: they are for this host alone, not for those that it redirects to. */
  readonly headers?: RequestHeaders | undefined;
  readonly connectTimeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Beside the usual ones. */
export type RequestHeaders = Readonly<Record<string, string>> | MakeHeaders;

/** Made anew for each request: they may hold a signature of the time and the URL. */
export type MakeHeaders = (method: string, url: URL) => Readonly<Record<string, string>>;

const CONNECT_TIMEOUT_MS = 15_000;
const STALL_TIMEOUT_MS = 60_000;
const HEADERS_TIMEOUT_MS = 120_000;
const MAX_REDIRECTS = 20;
const MAX_DROPPED_BYTES = 64 << 10;
const BUFFER_BYTES = 1 << 20;

/** A failure that may pass: worth another try. */
export class PassingError extends Error {
  readonly retryAfterMs: number | undefined;
  constructor(message: string, retryAfterMs?: number) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * Asks once for a URL (`http:`, `https:`, `file:`); redirects are followed.
 * @throws {DevshellError} `FETCH_NOT_FOUND`, `FETCH_FORBIDDEN`, `FETCH_FAILED`, `FETCH_SCHEME`, `FETCH_URL`;
 *   {@link PassingError} and errors of the system's where another try may help
 */
export async function openUrl(url: string, options: OpenUrlOptions): Promise<Answer> {
  const parsed = parseUrl(url);
  switch (parsed.protocol) {
    case "file:":
      return openFile(parsed, options.offset ?? 0);
    case "http:":
    case "https:":
      return openHttp(parsed, options);
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

export function parseUrl(url: string, base?: URL): URL {
  try {
    return new URL(url, base);
  } catch (cause) {
    throw new DevshellError("FETCH_URL", `unable to download '${url}': it is not a URL`, { cause });
  }
}

async function openFile(url: URL, offset: number): Promise<Answer> {
  let file: FileHandle;
  try {
    const path = fileURLToPath(url);
    // Before it is opened: a pipe would wait for its writer.
    const entry = await stat(path);
    if (!entry.isFile()) throw new Error(`'${path}' is no regular file`);
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
    url: url.href,
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

async function openHttp(start: URL, options: OpenUrlOptions): Promise<Answer> {
  let url = start;
  let immutableUrl: string | undefined;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const response = await requestOnce(
      url,
      url.host === start.host ? options : { ...options, headers: undefined },
    );
    immutableUrl = immutableLink(response) ?? immutableUrl;
    const status = response.statusCode ?? 0;
    if (status >= 300 && status < 400 && response.headers.location !== undefined) {
      dropBody(response, options.method);
      const next = parseUrl(response.headers.location, url);
      if (next.protocol !== "http:" && next.protocol !== "https:")
        throw new DevshellError(
          "FETCH_SCHEME",
          `unable to download '${start.href}': redirected to '${next.href}', which is not http`,
        );
      url = next;
      continue;
    }
    const answer = answerOf({ start: start.href, final: url.href }, response, status, options.offset ?? 0);
    return { ...answer, immutableUrl };
  }
  throw new DevshellError("FETCH_FAILED", `unable to download '${start.href}': too many redirects`);
}

/** Read away where it is short, so that the connection can be used again; else cut: it may have no end. */
export function dropBody(response: IncomingMessage, method = "GET"): void {
  const length = method === "HEAD" ? 0 : decimalHeader(response.headers["content-length"]);
  if (length !== undefined && length <= MAX_DROPPED_BYTES) response.resume();
  else response.destroy();
}

const IMMUTABLE = /^\s*<([^>]*)>; rel="immutable"\s*$/i;

function immutableLink({ headers }: IncomingMessage): string | undefined {
  const links = [headers["link"], headers["x-amz-meta-link"]].flat();
  return links.map((link) => IMMUTABLE.exec(link ?? "")?.[1]).find((link) => link !== undefined);
}

function answerOf(
  { start: url, final }: { readonly start: string; readonly final: string },
  response: IncomingMessage,
  status: number,
  offset: number,
): Answer {
  const close = (): void => void response.destroy();
  const length = decimalHeader(response.headers["content-length"]);
  if (status === 200) return { body: response, offset: 0, totalBytes: length, url: final, close };
  if (status === 206) {
    const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(response.headers["content-range"] ?? "");
    if (range !== null && Number(range[1]) === offset)
      return {
        body: response,
        offset,
        totalBytes: length === undefined ? undefined : offset + length,
        url: final,
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
      return { body: nothing(), offset, totalBytes: offset, url: final, close: () => undefined };
    return { body: restart(), offset: 0, totalBytes: undefined, url: final, close: () => undefined };
  }
  if (status === 404 || status === 410) throw notFound(url, described, undefined);
  if (status === 403 || status === 401)
    throw new DevshellError("FETCH_FORBIDDEN", `unable to download '${url}': ${described}`);
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

function requestOnce(url: URL, options: OpenUrlOptions): Promise<IncomingMessage> {
  const { offset = 0, method = "GET", headers } = options;
  return sendRequest(url, {
    ...options,
    method,
    headers: {
      "accept-encoding": "identity",
      ...(offset > 0 && { range: `bytes=${offset}-` }),
      ...(typeof headers === "function" ? headers(method, url) : headers),
    },
  });
}

export interface SendOptions {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  /** What is sent; it is destroyed where the request fails. */
  readonly body?: Readable | undefined;
  readonly connectTimeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Sends one request. @throws {DevshellError} `FETCH_FAILED`; what {@link isPassing} knows */
export function sendRequest(url: URL, options: SendOptions): Promise<IncomingMessage> {
  const { method, headers, body, signal, connectTimeoutMs = CONNECT_TIMEOUT_MS } = options;
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const send = url.protocol === "https:" ? httpsRequest : httpRequest;
  const client = send(
    url,
    {
      method,
      agent: agentFor(url.protocol),
      signal,
      headers: { "user-agent": "devshell", ...headers },
    },
    (response) => {
      clearTimeout(deadline);
      client.setTimeout(STALL_TIMEOUT_MS);
      resolve(response);
    },
  );
  const giveUp = (): void => void client.destroy(new PassingError("the server does not answer"));
  client.setTimeout(connectTimeoutMs);
  client.on("timeout", giveUp);
  // A header that comes a byte now and then is no answer, either.
  const deadline = body === undefined ? setTimeout(giveUp, HEADERS_TIMEOUT_MS) : undefined;
  client.on("error", (error) => {
    clearTimeout(deadline);
    body?.destroy();
    reject(isPassing(error) || signal?.aborted === true ? error : lasting(url, error));
  });
  if (body === undefined) client.end();
  else {
    // What takes long to send is no silent server.
    client.on("socket", () => client.setTimeout(STALL_TIMEOUT_MS));
    body.on("error", (error) => client.destroy(error));
    body.pipe(client);
  }
  return promise;
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

/** Whether another try may help: nothing that a wrong name or certificate is cured by. */
export function isPassing(error: unknown): error is Error {
  if (error instanceof PassingError) return true;
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return false;
  return PASSING_CODES.has(error.code);
}

/** No such host, no trusted certificate, nothing that speaks HTTP. */
function lasting(url: URL, error: Error): DevshellError {
  return new DevshellError("FETCH_FAILED", `unable to download '${url.href}': ${error.message}`, {
    hint: "is the address right, and is there a network?",
    cause: error,
  });
}

export function decimalHeader(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function notFound(url: string, why: string, cause: unknown): DevshellError {
  return new DevshellError("FETCH_NOT_FOUND", `unable to download '${url}': ${why}`, { cause });
}
