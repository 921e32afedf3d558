import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Readable } from "node:stream";
import { DevshellError, shownUrl } from "../core/index.ts";
import { agentFor, type AgentOptions } from "./agents.ts";

/** How servers are reached; what is not said is as usual. */
export interface ConnectionOptions extends AgentOptions {
  /** How long an answer's beginning may take; 0: for ever. */
  readonly connectTimeoutMs?: number | undefined;
  /** How long nothing may come in the middle of one; 0: for ever. */
  readonly stallTimeoutMs?: number | undefined;
}

export interface SendOptions extends ConnectionOptions {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  /** What is sent; it is destroyed where the request fails. */
  readonly body?: Readable | undefined;
  readonly signal?: AbortSignal | undefined;
}

const CONNECT_TIMEOUT_MS = 15_000;
const STALL_TIMEOUT_MS = 60_000;
const HEADERS_TIMEOUT_MS = 120_000;

/** A failure that may pass: worth another try. */
export class PassingError extends Error {
  readonly retryAfterMs: number | undefined;
  constructor(message: string, retryAfterMs?: number) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}

/** Sends one request. @throws {DevshellError} `FETCH_FAILED`, `FETCH_CERTIFICATES`; what {@link isPassing} knows */
export function sendRequest(url: URL, options: SendOptions): Promise<IncomingMessage> {
  const { method, headers, body, signal } = options;
  const { connectTimeoutMs = CONNECT_TIMEOUT_MS, stallTimeoutMs = STALL_TIMEOUT_MS } = options;
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const send = url.protocol === "https:" ? httpsRequest : httpRequest;
  const client = send(
    url,
    {
      method,
      agent: agentFor(url.protocol, options),
      signal,
      headers: { "user-agent": "devshell", ...headers },
    },
    (response) => {
      clearTimeout(deadline);
      client.setTimeout(stallTimeoutMs);
      answer = response;
      resolve(response);
    },
  );
  let answer: IncomingMessage | undefined;
  // Whoever reads the answer hears why it ends.
  const giveUp = (): void => {
    if (answer === undefined) client.destroy(new PassingError("the server does not answer"));
    else answer.destroy(new PassingError(`nothing has come for ${stallTimeoutMs / 1000} s`));
  };
  client.setTimeout(connectTimeoutMs);
  client.on("timeout", giveUp);
  // A header that comes a byte now and then is no answer, either. Who waits for a free connection is not late yet.
  let deadline: NodeJS.Timeout | undefined;
  if (body === undefined)
    client.once("socket", () => {
      deadline = setTimeout(giveUp, Math.max(HEADERS_TIMEOUT_MS, connectTimeoutMs));
    });
  client.on("error", (error) => {
    clearTimeout(deadline);
    body?.destroy();
    reject(isPassing(error) || signal?.aborted === true ? error : lasting(url, error));
  });
  if (body === undefined) client.end();
  else {
    // What takes long to send is no silent server.
    client.on("socket", () => client.setTimeout(stallTimeoutMs));
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
  // Cut off within an answer's first lines, or within a chunk.
  "HPE_INVALID_CONSTANT",
  "HPE_INVALID_EOF_STATE",
  "ERR_STREAM_PREMATURE_CLOSE",
  "ERR_SSL_UNEXPECTED_EOF_WHILE_READING",
]);

/** Whether another try may help: nothing that a wrong name or certificate is cured by. */
export function isPassing(error: unknown): error is Error {
  if (error instanceof PassingError) return true;
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return false;
  return PASSING_CODES.has(error.code);
}

/** No such host, no trusted certificate, nothing that speaks HTTP. */
function lasting(url: URL, error: Error): DevshellError {
  return new DevshellError("FETCH_FAILED", `unable to download '${shownUrl(url.href)}': ${error.message}`, {
    hint: remedyFor(error),
    cause: error,
  });
}

function remedyFor(error: Error): string {
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  if (/^(?:UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_SELF_SIGNED_|CERT_)/.test(code))
    return "is its authority among those that are trusted? the setting ssl-cert-file names a file of them";
  return error.message.startsWith("Failed to establish tunnel")
    ? "does the proxy that https_proxy names let you through? it may want http://USER:PASSWORD@HOST:PORT"
    : "is the address right, and is there a network?";
}
