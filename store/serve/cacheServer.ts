import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { lstatSync, rmSync } from "node:fs";
import { createConnection, type AddressInfo, type ListenOptions, type Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { DevshellError } from "../../core/index.ts";
import type { SecretKey } from "../format/narInfo.ts";
import { Semaphore } from "../realise/goals/semaphore.ts";
import { textAnswer, type Answer } from "./answer.ts";
import { CacheRoutes, type ServedStore } from "./cacheRoutes.ts";
import type { ServedCompression } from "./compressBody.ts";
import { listenUrl } from "./listenAddress.ts";
import { SendStopped, sendBody } from "./sendBody.ts";

export interface CacheServerOptions {
  readonly store: ServedStore;
  readonly listen: ListenOptions;
  /** Sign what is served, besides the signatures it has. */
  readonly secretKeys?: readonly SecretKey[] | undefined;
  /** Lower is asked first. */
  readonly priority?: number | undefined;
  readonly compression?: ServedCompression | undefined;
  readonly limits?: Partial<CacheServerLimits> | undefined;
  readonly onRequest?: ((request: ServedRequest) => void) | undefined;
}

export interface CacheServerLimits {
  /** More connections are refused. */
  readonly maxConnections: number;
  /** Files of the store that are open at once. */
  readonly maxOpenFiles: number;
  /** Bodies that are compressed, or decompressed, at once. */
  readonly maxCostly: number;
  /** How long a client may take for its request's headers, and for a chunk (128 KiB) of a body. */
  readonly stallMs: number;
  /** How long an unused connection is kept. */
  readonly idleMs: number;
}

/** A request that has been answered, for a log. */
export interface ServedRequest {
  readonly client: string;
  readonly method: string;
  readonly url: string;
  readonly status: number;
  readonly sentBytes: number;
  readonly durationMs: number;
  /** Why the answer did not reach its end. */
  readonly problem?: string | undefined;
}

/** As Nix's own cache and other servers of a store: before the default of 50. */
const DEFAULT_PRIORITY = 30;
const DEFAULT_LIMITS: CacheServerLimits = {
  maxConnections: 2048,
  maxOpenFiles: 64,
  maxCostly: 16,
  stallMs: 60_000,
  idleMs: 30_000,
};
/** Clients that come all at once wait to be let in, rather than try again a second later. */
const BACKLOG = 4096;
const IDLE_POLL_MS = 50;
const MAX_HEADER_BYTES = 16 << 10;

/** Serves a store as a binary cache over HTTP: nothing is written, and nothing is held whole in memory. */
export class CacheServer implements AsyncDisposable {
  readonly url: string;
  readonly #server: Server;

  private constructor(server: Server, url: string) {
    this.#server = server;
    this.url = url;
  }

  /** @throws {DevshellError} `LISTEN_FAILED` */
  static async start(options: CacheServerOptions): Promise<CacheServer> {
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    const server = createServer({
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: limits.stallMs,
      requestTimeout: limits.stallMs,
      keepAliveTimeout: limits.idleMs,
      connectionsCheckingInterval: Math.min(limits.stallMs, 5000),
    });
    server.maxConnections = limits.maxConnections;
    const files = new Semaphore(limits.maxOpenFiles);
    const costly = new Semaphore(limits.maxCostly);
    const routes = new CacheRoutes({
      store: options.store,
      secretKeys: options.secretKeys ?? [],
      priority: options.priority ?? DEFAULT_PRIORITY,
      compression: options.compression ?? "none",
      gate: (work) => files.run(work),
    });
    const handler = new RequestHandler(routes, costly, limits.stallMs, options.onRequest);
    const last = new WeakMap<Socket, Promise<void>>();
    server.on("request", (request, response) => {
      // Of what a client asks for in advance nothing is begun: each answer that waits would hold a buffer.
      const before = last.get(request.socket) ?? Promise.resolve();
      last.set(
        request.socket,
        before.then(() => handler.handle(request, response)),
      );
    });
    await removeStaleSocket(options.listen);
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error) => reject(listenFailure(options.listen, error)));
      server.listen({ backlog: BACKLOG, ...options.listen }, resolve);
    });
    return new CacheServer(server, listenUrl(server.address() as AddressInfo | string));
  }

  /** Takes no more connections, lets what is being sent reach its end, for at most `graceMs`. */
  async close(graceMs = 0): Promise<void> {
    const closed = new Promise<void>((resolve) => void this.#server.close(() => resolve()));
    const end = setTimeout(() => this.#server.closeAllConnections(), graceMs);
    // A connection may fall idle at any time, and would be kept for its next request.
    const idle = setInterval(() => this.#server.closeIdleConnections(), IDLE_POLL_MS);
    await closed;
    clearTimeout(end);
    clearInterval(idle);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

class RequestHandler {
  readonly #routes: CacheRoutes;
  readonly #costly: Semaphore;
  readonly #stallMs: number;
  readonly #onRequest: CacheServerOptions["onRequest"];

  constructor(
    routes: CacheRoutes,
    costly: Semaphore,
    stallMs: number,
    onRequest: CacheServerOptions["onRequest"],
  ) {
    this.#routes = routes;
    this.#costly = costly;
    this.#stallMs = stallMs;
    this.#onRequest = onRequest;
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.socket.destroyed) return;
    const started = performance.now();
    const client = request.socket.remoteAddress ?? "";
    // A client that goes is told by "close"; what a write to it meets is no news.
    response.on("error", () => undefined);
    let sentBytes = 0;
    let problem: string | undefined;
    // A request with a body is none of a cache's: it is not read, so the connection ends with it.
    const hasBody = request.headers["transfer-encoding"] !== undefined || bodyLength(request) > 0;
    try {
      const answer = hasBody ? textAnswer(413, "no body, please\n") : this.#routes.answer(request);
      if (hasBody) response.shouldKeepAlive = false;
      sentBytes = await this.#send(request, response, answer);
      if (hasBody) request.socket.destroySoon();
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
      if (response.headersSent || error instanceof SendStopped) response.destroy();
      else response.writeHead(500, { "content-type": "text/plain" }).end("internal error\n");
    }
    this.#onRequest?.({
      client,
      method: request.method ?? "",
      url: request.url ?? "",
      status: response.statusCode,
      sentBytes,
      durationMs: performance.now() - started,
      problem,
    });
  }

  async #send(request: IncomingMessage, response: ServerResponse, answer: Answer): Promise<number> {
    const { status, headers, body, sizeBytes } = answer;
    const length = sizeBytes === undefined ? {} : { "content-length": sizeBytes };
    const isEmpty = body === undefined || request.method === "HEAD";
    response.writeHead(status, { "x-content-type-options": "nosniff", ...headers, ...length });
    if (isEmpty) {
      response.end();
      return 0;
    }
    const gone = new AbortController();
    response.once("close", () => gone.abort(new SendStopped("the client has gone")));
    const send = (): Promise<number> => sendBody(response, body(gone.signal), this.#stallMs);
    const sentBytes = await (answer.isCostly === true ? this.#costly.run(send, gone.signal) : send());
    // The client must not take what came for all there is.
    if (sizeBytes !== undefined && sentBytes !== sizeBytes)
      throw new Error(`${sizeBytes} bytes were announced, but there are ${sentBytes}`);
    response.end();
    return sentBytes;
  }
}

function bodyLength(request: IncomingMessage): number {
  return Number(request.headers["content-length"] ?? "0");
}

/** What a server that was killed left where we are to listen. */
async function removeStaleSocket({ path }: ListenOptions): Promise<void> {
  if (path === undefined || lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return;
  const isStale = await new Promise<boolean>((resolve) => {
    const socket = createConnection(path);
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code === "ECONNREFUSED"));
    socket.once("connect", () => {
      socket.destroy();
      resolve(false);
    });
  });
  if (isStale) rmSync(path, { force: true });
}

function listenFailure(listen: ListenOptions, error: Error): DevshellError {
  const where = listen.path ?? `${listen.host ?? "*"}:${listen.port ?? ""}`;
  const { code } = error as NodeJS.ErrnoException;
  const why =
    code === "EADDRINUSE"
      ? "another program listens there"
      : code === "EACCES"
        ? "this user may not"
        : code === "EADDRNOTAVAIL"
          ? "this machine has no such address"
          : error.message;
  return new DevshellError("LISTEN_FAILED", `Cannot listen on "${where}": ${why}`, {
    cause: error,
    hint: "choose another place with --listen ADDRESS:PORT",
  });
}
