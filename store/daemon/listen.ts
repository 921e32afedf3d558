import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { DevshellError } from "../../core/index.ts";
import { peerCredentials, type PeerCredentials } from "../local/socketCalls.ts";
import { shortSocketPath } from "../remote/daemonClient/daemonAddress.ts";

export interface ListenOptions {
  readonly socketPath: string;
  /** Given a connection of which nothing has been read. */
  readonly onConnection: (socket: Socket, peer: PeerCredentials | undefined) => void;
  readonly onListening?: (() => void) | undefined;
  readonly signal: AbortSignal;
}

/** Anyone may connect; who may do what is decided by who it is. */
const SOCKET_MODE = 0o666;

/**
 * Listens on a Unix socket, or on the one that systemd hands over, until the signal is aborted.
 * @throws {DevshellError} `DAEMON_SOCKET`
 */
export async function listen({
  socketPath,
  onConnection,
  onListening,
  signal,
}: ListenOptions): Promise<void> {
  signal.throwIfAborted();
  const server = createServer({ pauseOnConnect: true }, (socket) => onConnection(socket, peerOf(socket)));
  const closed = new Promise<void>((resolve, reject) => {
    server.once("close", resolve);
    server.once("error", (cause) =>
      reject(
        new DevshellError("DAEMON_SOCKET", `cannot listen on '${socketPath}': ${cause.message}`, { cause }),
      ),
    );
  });
  // Connections that others serve by now are not waited for.
  const stopped = new Promise<void>((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  try {
    if (isActivated()) await started(server, closed, () => server.listen({ fd: FIRST_FD }));
    else {
      mkdirSync(dirname(socketPath), { recursive: true, mode: 0o755 });
      rmSync(socketPath, { force: true });
      using short = shortSocketPath(socketPath);
      await started(server, closed, () => server.listen({ path: short.path }));
      chmodSync(socketPath, SOCKET_MODE);
    }
    onListening?.();
    await Promise.race([stopped, closed]);
  } finally {
    server.close();
  }
}

async function started(server: Server, closed: Promise<void>, start: () => void): Promise<void> {
  const listening = new Promise<void>((resolve) => server.once("listening", resolve));
  start();
  await Promise.race([listening, closed]);
}

const FIRST_FD = 3;

/** Whether systemd listens already and hands over its socket. */
function isActivated(): boolean {
  return process.env["LISTEN_FDS"] === "1" && process.env["LISTEN_PID"] === String(process.pid);
}

/** Node does not say whose socket it is; the kernel does, by the descriptor. */
function peerOf(socket: Socket): PeerCredentials | undefined {
  const handle = (socket as unknown as { readonly _handle?: { readonly fd?: unknown } | null })._handle;
  return typeof handle?.fd === "number" && handle.fd >= 0 ? peerCredentials(handle.fd) : undefined;
}
