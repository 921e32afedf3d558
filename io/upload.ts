import { createReadStream } from "node:fs";
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { DevshellError, fsPath, type ByteString } from "../core/index.ts";
import { PassingError, decimalHeader, dropBody, parseUrl, sendRequest, type MakeHeaders } from "./openUrl.ts";
import { withRetries } from "./retry.ts";
import type { TransferOptions } from "./transfer.ts";

/** What is sent: it can be read again where a try fails. */
export type UploadContent =
  | { readonly bytes: Uint8Array }
  | { readonly file: ByteString; readonly sizeBytes: number };

export interface UploadRequest extends TransferOptions {
  /** `http:` or `https:`. */
  readonly url: string;
  readonly contentType: string;
  readonly content: UploadContent;
  readonly attempts?: number | undefined;
  readonly headers?: MakeHeaders | undefined;
}

const MAX_REDIRECTS = 5;
const BUFFER_BYTES = 1 << 18;
/** A server's explanation of a refusal, as far as it is shown. */
const MAX_REASON_BYTES = 500;

/**
 * Puts content where a URL says (`PUT`).
 * @throws {DevshellError} `UPLOAD_REFUSED` with the server's answer, `FETCH_FAILED` where it gives none
 */
export async function upload(request: UploadRequest): Promise<void> {
  const start = parseUrl(request.url);
  if (start.protocol !== "http:" && start.protocol !== "https:")
    throw new DevshellError("FETCH_SCHEME", `uploading to '${request.url}' is not supported`);
  const hint = "check the network and try again";
  await withRetries(`unable to upload to '${request.url}'`, hint, request, () => putOnce(start, request));
}

async function putOnce(start: URL, request: UploadRequest): Promise<void> {
  let url = start;
  let { headers } = request;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const body = bodyOf(request);
    try {
      const response = await sendRequest(url, {
        method: "PUT",
        headers: {
          "content-type": request.contentType,
          "content-length": String(sizeOf(request.content)),
          ...headers?.("PUT", url),
        },
        body,
        signal: request.signal,
      });
      // Only these two keep the method and what is sent.
      const { location } = response.headers;
      if ((response.statusCode !== 307 && response.statusCode !== 308) || location === undefined)
        return await readAnswer(request.url, response);
      dropBody(response);
      const next = parseUrl(location, url);
      if (next.host !== url.host) headers = undefined;
      url = next;
    } finally {
      // A server may answer before it has heard all.
      body.destroy();
    }
  }
  throw new DevshellError("UPLOAD_REFUSED", `unable to upload to '${request.url}': too many redirects`);
}

async function readAnswer(url: string, response: IncomingMessage): Promise<void> {
  const reason = await readReason(response);
  const { statusCode: status = 0, statusMessage } = response;
  if (status >= 200 && status < 300) return;
  const described = `HTTP error ${status}${statusMessage ? ` ('${statusMessage}')` : ""}`;
  if (status === 408 || status === 429 || status >= 500) {
    const retryAfter = decimalHeader(response.headers["retry-after"]);
    throw new PassingError(described, retryAfter === undefined ? undefined : Math.min(retryAfter, 60) * 1000);
  }
  throw new DevshellError("UPLOAD_REFUSED", `unable to upload to '${url}': ${described}`, {
    hint: reason === "" ? "does the server take files by PUT, and from you?" : `it says: ${reason}`,
  });
}

function sizeOf(content: UploadContent): number {
  return "bytes" in content ? content.bytes.length : content.sizeBytes;
}

function bodyOf({ content, onProgress }: UploadRequest): Readable {
  const source =
    "bytes" in content
      ? Readable.from([content.bytes])
      : createReadStream(fsPath(content.file), { highWaterMark: BUFFER_BYTES });
  if (onProgress === undefined) return source;
  return Readable.from(counted(source, (doneBytes) => onProgress(doneBytes, sizeOf(content))));
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

async function readReason(response: IncomingMessage): Promise<string> {
  let reason = "";
  for await (const chunk of response as AsyncIterable<Buffer>) {
    if (reason.length < MAX_REASON_BYTES) reason += chunk.toString("latin1");
    if (reason.length > 1 << 16) break;
  }
  return reason
    .slice(0, MAX_REASON_BYTES)
    .replaceAll(/[^\x20-\x7e]+/g, " ")
    .trim();
}
