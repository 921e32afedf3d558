import { open, stat, type FileHandle } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { fileURLToPath } from "node:url";
import { DevshellError, shownUrl } from "../core/index.ts";
import { decompress, isCompression, type Compression } from "./decompress.ts";
import { commonRefusal, decimalHeader, readRefusal } from "./refusal.ts";
import { PassingError, sendRequest, type ConnectionOptions } from "./sendRequest.ts";

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
  /** What the server calls this state of the thing. */
  readonly etag?: string | undefined;
  /** It is what `etag` of the request says; the body is empty. */
  readonly isUnchanged?: boolean | undefined;
  readonly close: () => void;
}

export interface OpenUrlOptions extends ConnectionOptions {
  /** Where in the whole to begin; the answer says where it did. */
  readonly offset?: number | undefined;
  /** Of what is there already: the body is not wanted if it is the same. */
  readonly etag?: string | undefined;
  readonly method?: "GET" | "HEAD" | undefined;
  /** Secrets, too: they are for this host alone, not for those that it redirects to. */
  readonly headers?: RequestHeaders | undefined;
  /** What a server says it has compressed on the way (`Content-Encoding`) is given as it was before. */
  readonly isDecoded?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Beside the usual ones. */
export type RequestHeaders = Readonly<Record<string, string>> | MakeHeaders;

/** Made anew for each request: they may hold a signature of the time and the URL. */
export type MakeHeaders = (method: string, url: URL) => Readonly<Record<string, string>>;

const MAX_REDIRECTS = 20;
const MAX_DROPPED_BYTES = 64 << 10;
const BUFFER_BYTES = 1 << 20;

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
        `unable to download '${shownUrl(url)}': scheme '${parsed.protocol}' is unknown`,
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
    throw new DevshellError("FETCH_URL", `unable to download '${shownUrl(url)}': it is not a URL`, { cause });
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

async function openHttp(start: URL, options: OpenUrlOptions): Promise<Answer> {
  let url = start;
  let immutableUrl: string | undefined;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const response = await requestOnce(
      url,
      mayBeTold(start, url) ? options : { ...options, headers: undefined },
    );
    immutableUrl = immutableLink(response) ?? immutableUrl;
    const status = response.statusCode ?? 0;
    if (status >= 300 && status < 400 && response.headers.location !== undefined) {
      dropBody(response, options.method);
      const next = parseUrl(response.headers.location, url);
      if (next.protocol !== "http:" && next.protocol !== "https:")
        throw new DevshellError(
          "FETCH_SCHEME",
          `unable to download '${shownUrl(start.href)}': redirected to '${shownUrl(next.href)}', which is not http`,
        );
      url = next;
      continue;
    }
    if (status === 304 && options.etag !== undefined) {
      response.resume();
      return { ...emptyAnswer(url.href, 0), immutableUrl, etag: options.etag, isUnchanged: true };
    }
    const answer = await answerOf({ start: start.href, final: url.href }, response, options);
    return { ...answer, immutableUrl, etag: response.headers.etag };
  }
  throw new DevshellError("FETCH_FAILED", `unable to download '${shownUrl(start.href)}': too many redirects`);
}

/** Read away where it is short, so that the connection can be used again; else cut: it may have no end. */
export function dropBody(response: IncomingMessage, method = "GET"): void {
  const length = method === "HEAD" ? 0 : decimalHeader(response.headers["content-length"]);
  if (length !== undefined && length <= MAX_DROPPED_BYTES) response.resume();
  else response.destroy();
}

/** Whether secrets meant for one place may be told at another: one of the same server, and not in the open. */
export function mayBeTold(start: URL, url: URL): boolean {
  return url.host === start.host && (url.protocol === start.protocol || url.protocol === "https:");
}

const IMMUTABLE = /^\s*<([^>]*)>; rel="immutable"\s*$/i;

function immutableLink({ headers }: IncomingMessage): string | undefined {
  const links = [headers["link"], headers["x-amz-meta-link"]].flat();
  return links.map((link) => IMMUTABLE.exec(link ?? "")?.[1]).find((link) => link !== undefined);
}

async function answerOf(
  { start: url, final }: { readonly start: string; readonly final: string },
  response: IncomingMessage,
  { offset = 0, isDecoded = false, method }: OpenUrlOptions,
): Promise<Answer> {
  const status = response.statusCode ?? 0;
  // What has no more to come leaves its connection to others.
  const close = (): void => void (method === "HEAD" ? response.resume() : response.destroy());
  const length = decimalHeader(response.headers["content-length"]);
  const coding = isDecoded ? codingOf(url, response) : "none";
  if (status === 200 && coding !== "none")
    return { body: decompress(coding, response), offset: 0, totalBytes: undefined, url: final, close };
  if (status === 200) return { body: response, offset: 0, totalBytes: length, url: final, close };
  if (status === 206) {
    const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(response.headers["content-range"] ?? "");
    if (range !== null && Number(range[1]) === offset && coding === "none")
      return {
        body: response,
        offset,
        totalBytes: length === undefined ? undefined : offset + length,
        url: final,
        close,
      };
    close();
    // Places within what was compressed on the way are not places within what it was before.
    if (coding !== "none") return startingAgain(final);
    throw new PassingError("the server continued at another place than asked");
  }
  if (status === 416) {
    close();
    // Nothing after `offset`: all of it is here already, or the remote thing changed; the size says which.
    const total = /^bytes \*\/(\d+)$/.exec(response.headers["content-range"] ?? "")?.[1];
    if (total !== undefined && Number(total) === offset) return emptyAnswer(final, offset);
    return startingAgain(final);
  }
  const refusal = await readRefusal(response);
  const { described, reason } = refusal;
  const hint = reason === "" ? undefined : `it says: ${reason}`;
  const failing = `unable to download '${shownUrl(url)}'`;
  const common = commonRefusal(failing, response, refusal);
  if (common !== undefined) throw common;
  if (status === 404 || status === 410) throw notFound(url, described, undefined);
  throw new DevshellError(status === 403 ? "FETCH_FORBIDDEN" : "FETCH_FAILED", `${failing}: ${described}`, {
    hint,
  });
}

/** @throws {DevshellError} `FETCH_FAILED` */
function codingOf(url: string, response: IncomingMessage): Compression {
  const name = (response.headers["content-encoding"] ?? "").trim().toLowerCase();
  if (name === "" || name === "identity") return "none";
  const coding = name === "x-gzip" ? "gzip" : name;
  if (isCompression(coding)) return coding;
  response.destroy();
  throw new DevshellError(
    "FETCH_FAILED",
    `unable to download '${shownUrl(url)}': it is sent in the content coding '${name}', which is not built yet`,
  );
}

/** @param offset where nothing more comes after */
function emptyAnswer(url: string, offset: number): Answer {
  return { body: nothing(), offset, totalBytes: offset, url, close: () => undefined };
}

function startingAgain(url: string): Answer {
  return { body: restart(), offset: 0, totalBytes: undefined, url, close: () => undefined };
}

async function* nothing(): AsyncIterable<Buffer> {}

// oxlint-disable-next-line require-yield
async function* restart(): AsyncIterable<Buffer> {
  throw new PassingError("what an earlier run left does not fit");
}

function requestOnce(url: URL, options: OpenUrlOptions): Promise<IncomingMessage> {
  const { offset = 0, method = "GET", etag, headers } = options;
  return sendRequest(url, {
    ...options,
    method,
    headers: {
      "accept-encoding": "identity",
      ...(offset > 0 && { range: `bytes=${offset}-` }),
      ...(etag !== undefined && { "if-none-match": etag }),
      ...(typeof headers === "function" ? headers(method, url) : headers),
    },
  });
}

function notFound(url: string, why: string, cause: unknown): DevshellError {
  return new DevshellError("FETCH_NOT_FOUND", `unable to download '${shownUrl(url)}': ${why}`, { cause });
}
