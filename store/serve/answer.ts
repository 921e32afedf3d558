import type { IncomingMessage, OutgoingHttpHeaders } from "node:http";

/** What a request is answered with, before anything is sent. */
export interface Answer {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  /** Made only where it is sent; absent where there is none. */
  readonly body?: ((signal: AbortSignal) => AsyncIterable<Uint8Array>) | undefined;
  /** The body's length, where that is known before. */
  readonly sizeBytes?: number | undefined;
  /** Making the body is dear: few are made at once. */
  readonly isCostly?: boolean | undefined;
}

/** What never changes under its address may be kept for ever. */
export const FOR_EVER = "public, max-age=31536000, immutable";

export function textAnswer(
  status: number,
  text: string,
  headers: OutgoingHttpHeaders = {},
  contentType = "text/plain; charset=utf-8",
): Answer {
  const bytes = Buffer.from(text, "latin1");
  return {
    status,
    headers: { "content-type": contentType, ...headers },
    body: () => once(bytes),
    sizeBytes: bytes.length,
  };
}

/** Short, since what is missing may be there the next moment. */
export function notFound(what: string): Answer {
  return textAnswer(404, `${what}\n`, { "cache-control": "public, max-age=60" });
}

/** Whether the client has this very content already (`If-None-Match`). */
export function isKnown(request: IncomingMessage, etag: string): boolean {
  const known = request.headers["if-none-match"];
  if (known === undefined) return false;
  return known.split(",").some((tag) => {
    const bare = tag.trim().replace(/^W\//, "");
    return bare === "*" || bare === etag;
  });
}

/** The `Range` header, unless it is meant for another content (`If-Range`). */
export function rangeHeader(request: IncomingMessage, etag: string): string | undefined {
  const condition = request.headers["if-range"];
  return condition === undefined || condition === etag ? request.headers.range : undefined;
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
