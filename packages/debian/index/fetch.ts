import { createReadStream, statSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { DevshellError } from "../../../core/index.ts";

export interface Download extends AsyncDisposable {
  readonly body: Readable;
  readonly sizeBytes: number | undefined;
}

const MAX_REDIRECTS = 5;
const IDLE_TIMEOUT_MS = 30_000;
/** Proxies as the variables of the environment say (`http_proxy`, `https_proxy`, `no_proxy`). */
const AGENT_OPTIONS = { keepAlive: false, proxyEnv: process.env };
const httpAgent = new http.Agent(AGENT_OPTIONS);
const httpsAgent = new https.Agent(AGENT_OPTIONS);

/**
 * Opens a URL (`http`, `https` or `file`) for reading.
 * @throws {DevshellError} `DEBIAN_FETCH_FAILED`, or `DEBIAN_FETCH_MISSING` where the server says it has no such file
 */
export async function openUrl(url: string, method: "GET" | "HEAD" = "GET"): Promise<Download> {
  if (url.startsWith("file:")) return openFile(url);
  let at = url;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const response = await request(at, method);
    const status = response.statusCode ?? 0;
    const location = response.headers.location;
    if (status >= 300 && status < 400 && location !== undefined) {
      response.destroy();
      const next = new URL(location, at);
      if (!/^https?:$/.test(next.protocol) || (at.startsWith("https:") && next.protocol === "http:"))
        throw failed(url, `redirected to "${next.href}"`);
      at = next.href;
      continue;
    }
    if (status !== 200) {
      response.destroy();
      if (status === 404 || status === 410) throw missing(url, `status ${status}`);
      throw failed(url, `status ${status}`);
    }
    const length = Number(response.headers["content-length"] ?? Number.NaN);
    return {
      body: response,
      sizeBytes: Number.isSafeInteger(length) ? length : undefined,
      [Symbol.asyncDispose]: async () => void response.destroy(),
    };
  }
  throw failed(url, "too many redirects");
}

/** Reads all of it. @throws {DevshellError} as {@link openUrl}, also when it is longer than `maxBytes` */
export async function fetchBytes(url: string, maxBytes: number): Promise<Buffer> {
  await using download = await openUrl(url);
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of download.body as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > maxBytes) throw failed(url, `it is longer than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof DevshellError) throw error;
    throw failed(url, messageOf(error));
  }
  if (download.sizeBytes !== undefined && size !== download.sizeBytes)
    throw failed(url, `it ended after ${size} of ${download.sizeBytes} bytes`);
  return Buffer.concat(chunks);
}

export function failed(url: string, why: string): DevshellError {
  return new DevshellError("DEBIAN_FETCH_FAILED", `Cannot fetch "${url}": ${why}`, {
    hint: "is the mirror up? set DEVSHELL_DEBIAN_MIRROR to another one (several, separated by spaces, are tried in turn)",
  });
}

export function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return messageOf(error.errors[0]);
  return error instanceof Error ? error.message : String(error);
}

function missing(url: string, why: string): DevshellError {
  return new DevshellError("DEBIAN_FETCH_MISSING", `Cannot fetch "${url}": ${why}`, {
    hint: "the mirror does not have it: try another mirror or suite",
  });
}

function openFile(url: string): Download {
  const path = fileURLToPath(url);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw missing(url, "no such file");
  if (!stat.isFile()) throw failed(url, "it is no regular file");
  const body = createReadStream(path);
  return {
    body,
    sizeBytes: stat.size,
    [Symbol.asyncDispose]: async () => void body.destroy(),
  };
}

function request(url: string, method: "GET" | "HEAD"): Promise<http.IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>();
  const isTls = url.startsWith("https:");
  const sent = (isTls ? https : http).request(
    url,
    {
      method,
      agent: isTls ? httpsAgent : httpAgent,
      timeout: IDLE_TIMEOUT_MS,
      headers: { "user-agent": "devshell" },
    },
    resolve,
  );
  sent.on("timeout", () => sent.destroy(new Error(`no answer for ${IDLE_TIMEOUT_MS / 1000} seconds`)));
  sent.on("error", (error) => reject(failed(url, messageOf(error))));
  sent.end();
  return promise;
}
