import { createReadStream } from "node:fs";
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { DevshellError, fsPath, type ByteString, shownUrl } from "../core/index.ts";
import { dropBody, mayBeTold, parseUrl, type MakeHeaders } from "./openUrl.ts";
import { commonRefusal, readRefusal } from "./refusal.ts";
import { withRetries } from "./retry.ts";
import { sendRequest, type ConnectionOptions } from "./sendRequest.ts";
import type { TransferOptions } from "./transfer.ts";

/** What is sent: it can be read again where a try fails. */
export type UploadContent =
  | { readonly bytes: Uint8Array }
  | {
      readonly file: ByteString;
      readonly sizeBytes: number;
      /** Where in the file it begins. */
      readonly offset?: number | undefined;
    };

export interface UploadRequest extends TransferOptions, ConnectionOptions {
  /** `http:` or `https:`. */
  readonly url: string;
  readonly contentType: string;
  /** How the content is compressed, for the server to say so to those who ask for it. */
  readonly contentEncoding?: string | undefined;
  readonly content: UploadContent;
  readonly attempts?: number | undefined;
  readonly headers?: MakeHeaders | undefined;
}

export interface SendContentRequest extends UploadRequest {
  readonly method: "PUT" | "POST" | "DELETE";
}

export interface ServerReply {
  readonly etag: string | undefined;
  /** As much of it as a reply to an upload may have. */
  readonly body: string;
}

const MAX_REDIRECTS = 5;
const BUFFER_BYTES = 1 << 18;
const MAX_REPLY_BYTES = 1 << 20;

/**
 * Puts content where a URL says (`PUT`).
 * @throws {DevshellError} `UPLOAD_REFUSED` with the server's answer, `FETCH_UNAUTHORIZED`, `FETCH_FAILED` where it
 *   gives none
 */
export async function upload(request: UploadRequest): Promise<void> {
  await sendContent({ ...request, method: "PUT" });
}

/**
 * Sends content, and again where that fails for a passing reason.
 * @throws {DevshellError} as {@link upload}
 */
export async function sendContent(request: SendContentRequest): Promise<ServerReply> {
  const start = parseUrl(request.url);
  if (start.protocol !== "http:" && start.protocol !== "https:")
    throw new DevshellError("FETCH_SCHEME", `uploading to '${shownUrl(request.url)}' is not supported`);
  const hint = "check the network and try again";
  return await withRetries(failing(request), hint, request, () => sendOnce(start, request));
}

async function sendOnce(start: URL, request: SendContentRequest): Promise<ServerReply> {
  const { method, contentType, contentEncoding, signal, content } = request;
  const { connectTimeoutMs, stallTimeoutMs, certificateFile, maxConnections } = request;
  let url = start;
  let { headers } = request;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const body = bodyOf(request);
    try {
      const response = await sendRequest(url, {
        method,
        headers: {
          "content-type": contentType,
          ...(contentEncoding !== undefined && { "content-encoding": contentEncoding }),
          "content-length": String(sizeOf(content)),
          ...headers?.(method, url),
        },
        body,
        connectTimeoutMs,
        stallTimeoutMs,
        certificateFile,
        maxConnections,
        signal,
      });
      // Only these two keep the method and what is sent.
      const { location } = response.headers;
      if ((response.statusCode !== 307 && response.statusCode !== 308) || location === undefined)
        return await readReply(request, response);
      dropBody(response);
      const next = parseUrl(location, url);
      if (!mayBeTold(url, next)) headers = undefined;
      url = next;
    } finally {
      // A server may answer before it has heard all.
      body.destroy();
    }
  }
  throw new DevshellError("UPLOAD_REFUSED", `${failing(request)}: too many redirects`);
}

async function readReply(request: SendContentRequest, response: IncomingMessage): Promise<ServerReply> {
  const status = response.statusCode ?? 0;
  if (status >= 200 && status < 300) {
    let body = "";
    for await (const chunk of response as AsyncIterable<Buffer>) {
      body += chunk.toString("latin1");
      if (body.length > MAX_REPLY_BYTES) break;
    }
    return { etag: response.headers.etag, body };
  }
  const refusal = await readRefusal(response);
  const common = commonRefusal(failing(request), response, refusal);
  if (common !== undefined) throw common;
  const { described, reason } = refusal;
  throw new DevshellError("UPLOAD_REFUSED", `${failing(request)}: ${described}`, {
    hint: reason === "" ? "does the server take files by PUT, and from you?" : `it says: ${reason}`,
  });
}

function failing({ url }: UploadRequest): string {
  return `unable to upload to '${shownUrl(url)}'`;
}

function sizeOf(content: UploadContent): number {
  return "bytes" in content ? content.bytes.length : content.sizeBytes;
}

function bodyOf({ content, onProgress }: UploadRequest): Readable {
  const source = readableOf(content);
  if (onProgress === undefined) return source;
  return Readable.from(counted(source, (doneBytes) => onProgress(doneBytes, sizeOf(content))));
}

function readableOf(content: UploadContent): Readable {
  if ("bytes" in content) return Readable.from([content.bytes]);
  const { file, sizeBytes, offset = 0 } = content;
  if (sizeBytes === 0) return Readable.from([]);
  const end = offset + sizeBytes - 1;
  return createReadStream(fsPath(file), { start: offset, end, highWaterMark: BUFFER_BYTES });
}

async function* counted(
  source: AsyncIterable<Uint8Array>,
  tell: (doneBytes: number) => void,
): AsyncIterable<Uint8Array> {
  let doneBytes = 0;
  for await (const chunk of source) {
    yield chunk;
    tell((doneBytes += chunk.length));
  }
}
