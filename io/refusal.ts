import type { IncomingMessage } from "node:http";
import { DevshellError } from "../core/index.ts";
import { PassingError } from "./sendRequest.ts";

/** What is read of a server's explanation, and how much of it is shown. */
const MAX_BODY_BYTES = 1 << 16;
const MAX_REASON_LENGTH = 500;
const MAX_READ_MS = 5_000;
/** Nobody is kept waiting longer than this by a server that says when to come again. */
const MAX_WAIT_MS = 60_000;

/** Codes of S3 by which it does not say "not here" but "not so": its 403 means both. */
const WRONG_CREDENTIALS =
  /^(?:InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|InvalidSecurity|AuthorizationHeaderMalformed|AccountProblem|NotSignedUp|TokenRefreshRequired)$/;
/** Its codes for what passes, whatever the status. */
const PASSING_CODE =
  /^(?:IncompleteBody|InternalError|InternalFailure|RequestTimeout|RequestTimeTooSkewed|RequestThrottled|SlowDown|ServiceUnavailable|Throttling|ThrottledException)$/;

/** What a server says beside its status. */
export interface Refusal {
  /** `HTTP error 403 ('Forbidden')` */
  readonly described: string;
  /** S3's own word for it; "" where there is none. */
  readonly code: string;
  /** What its operator wrote for people; "" where that is nothing, or a page. */
  readonly reason: string;
}

/** Reads what a server says as it refuses; the answer is used up. */
export async function readRefusal(response: IncomingMessage): Promise<Refusal> {
  const { statusCode = 0, statusMessage } = response;
  const described = `HTTP error ${statusCode}${statusMessage ? ` ('${statusMessage}')` : ""}`;
  let body = "";
  const deadline = setTimeout(() => response.destroy(), MAX_READ_MS);
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      body += chunk.toString("latin1");
      if (body.length > MAX_BODY_BYTES) break;
    }
  } catch {
    // The status is known.
  } finally {
    clearTimeout(deadline);
  }
  if (/<html|<!doctype html/i.test(body)) return { described, code: "", reason: "" };
  const isS3 = /^\s*(?:<\?xml[^>]*>\s*)?<Error>/.test(body);
  const element = (name: string): string =>
    isS3 ? (new RegExp(`<${name}>([^<]*)</${name}>`).exec(body)?.[1] ?? "") : "";
  const code = element("Code");
  const reason = code === "" ? body : [code, element("Message")].filter((text) => text !== "").join(": ");
  return {
    described,
    code,
    reason: reason
      .slice(0, MAX_REASON_LENGTH)
      .replaceAll(/[^\x20-\x7e]+/g, " ")
      .trim(),
  };
}

/**
 * The error for a refusal that other requests would meet as well, or that passes.
 * @param failing begins the message, e.g. `unable to download 'https://…'`
 * @returns `FETCH_UNAUTHORIZED`, {@link PassingError}; `undefined` for what only the caller can name
 */
export function commonRefusal(
  failing: string,
  response: IncomingMessage,
  refusal: Refusal,
): Error | undefined {
  const { described, code, reason } = refusal;
  const status = response.statusCode ?? 0;
  const isLasting = status === 501 || status === 505 || status === 511;
  if (PASSING_CODE.test(code) || status === 408 || status === 429 || (status >= 500 && !isLasting))
    return new PassingError(described, waitOf(response.headers["retry-after"]));
  if (WRONG_CREDENTIALS.test(code))
    return new DevshellError("FETCH_UNAUTHORIZED", `${failing}: ${described}`, {
      hint: `it says: ${reason}`,
    });
  if (status === 407)
    return new DevshellError("FETCH_UNAUTHORIZED", `${failing}: ${described}`, {
      hint: "the proxy wants to know who you are: http_proxy=http://USER:PASSWORD@HOST:PORT",
    });
  if (status === 401)
    return new DevshellError("FETCH_UNAUTHORIZED", `${failing}: ${described}`, {
      hint: `it wants to know who you are: name the host and a password in the file of the setting netrc-file${reason === "" ? "" : `; it says: ${reason}`}`,
    });
  return undefined;
}

export function decimalHeader(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** Seconds, or a date. */
function waitOf(text: string | undefined): number | undefined {
  const seconds = decimalHeader(text);
  const waitMs = seconds === undefined ? Date.parse(text ?? "") - Date.now() : seconds * 1000;
  return Number.isNaN(waitMs) ? undefined : Math.min(Math.max(waitMs, 0), MAX_WAIT_MS);
}
