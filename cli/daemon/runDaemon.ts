import { spawn, type ChildProcess } from "node:child_process";
import type { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { DevshellError } from "../../core/index.ts";
import { debianBuilders } from "../../packages/index.ts";
import {
  ClientTurns,
  clientLimits,
  authorise,
  forwardToDaemon,
  listen,
  resolveStoreSettings,
  serveConnection,
  socketPathOf,
  type PeerCredentials,
  type StoreSettings,
} from "../../store/index.ts";

export interface DaemonRequest {
  readonly settings: ReadonlyMap<string, string>;
  /** `--store`. */
  readonly store: string | undefined;
  /** Serves standard input and output instead of a socket. */
  readonly isStdio: boolean;
  readonly socketPath?: string | undefined;
  /** Unset: by who the client is. */
  readonly trust: "trusted" | "untrusted" | undefined;
  readonly say: (line: string) => void;
  /** Told once clients may come. */
  readonly onListening?: ((storeDir: string, socketPath: string) => void) | undefined;
}

/** What a process that serves one client is told. */
export interface ServeMessage {
  readonly settings: readonly (readonly [string, string])[];
  readonly store: string | undefined;
  readonly isTrusted: boolean;
  readonly isStranger: boolean;
}

/** `nix-daemon`, `nix daemon`, `devshell daemon`. @returns the exit status */
export async function runDaemon(request: DaemonRequest): Promise<number> {
  if (request.isStdio && request.socketPath !== undefined)
    throw new DevshellError("CLI_USAGE", "'--stdio' and '--socket-path' are incompatible");
  if (request.isStdio) await serveStdio(request);
  else await serveSocket(request);
  return 0;
}

/** Who speaks through a pipe has come through something that let him in: ssh, a shell. */
async function serveStdio({ settings, store, trust }: DaemonRequest): Promise<void> {
  const resolved = resolveStoreSettings(process.env, { overrides: settings, store });
  if (resolved.daemon !== undefined) {
    if (trust === "untrusted")
      throw new DevshellError(
        "CLI_NOT_BUILT",
        "Cannot serve a daemon's store to an untrusted client: only forwarding is built",
      );
    await forwardToDaemon(resolved.daemon.address, process.stdin, process.stdout);
    return;
  }
  await serveConnection(process.stdin, process.stdout, {
    settings: resolved,
    isTrusted: trust !== "untrusted",
    isStranger: trust === "untrusted" && process.geteuid?.() === 0,
    builtinBuilders: debianBuilders,
  });
  await new Promise((resolve) => process.stdout.write("", resolve));
  process.stdin.destroy();
}

async function serveSocket(request: DaemonRequest): Promise<void> {
  // A daemon opens the store itself, even where another one runs.
  const store = request.store ?? (process.env["NIX_REMOTE"] || "local");
  const settings = resolveStoreSettings(process.env, { overrides: request.settings, store });
  if (settings.daemon !== undefined)
    throw new DevshellError(
      "CLI_NOT_BUILT",
      `Cannot serve the store '${settings.daemon.url}': a daemon over a daemon is not built yet`,
      { hint: "unset NIX_REMOTE" },
    );
  const stop = new AbortController();
  const end = (): void => stop.abort();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(name, end);
  using workers = new Workers();
  const message = { settings: [...request.settings], store } as const;
  const socketPath = request.socketPath ?? socketPathOf(process.env, settings.stateDir);
  await listen({
    socketPath,
    signal: stop.signal,
    onListening: () => request.onListening?.(settings.storeDir, socketPath),
    onConnection: (socket, peer) =>
      accept(request, settings, { socket, peer }, (client) =>
        workers.serve(socket, peer?.uid, { ...message, ...client }),
      ),
  });
}

function accept(
  { trust, say }: DaemonRequest,
  settings: StoreSettings,
  { socket, peer }: { readonly socket: Socket; readonly peer: PeerCredentials | undefined },
  serve: (client: Pick<ServeMessage, "isTrusted" | "isStranger">) => void,
): void {
  socket.on("error", () => undefined);
  try {
    const client = trust === undefined ? authorise(peer, settings.config) : undefined;
    const isTrusted = client?.isTrusted ?? trust === "trusted";
    say(
      `accepted connection from pid ${peer?.pid ?? "<unknown>"}, user ${client?.userName ?? "<unknown>"}${isTrusted ? " (trusted)" : ""}`,
    );
    serve({ isTrusted, isStranger: !isTrusted && peer?.uid !== process.geteuid?.() });
  } catch (error) {
    say(`error: ${error instanceof Error ? error.message : String(error)}`);
    socket.destroy();
  }
}

/**
 * A process for each client: what it does is done in its own name (temporary roots, locks), and when it crashes nobody
 * else is harmed. One is kept ready, since starting takes longer than most requests.
 */
class Workers implements Disposable {
  readonly #turns = new ClientTurns(clientLimits());
  #spare: ChildProcess | undefined = startWorker();

  serve(socket: Socket, uid: number | undefined, message: ServeMessage): void {
    const isTaken = this.#turns.take(uid, (done) => {
      const worker = this.#spare?.connected === true ? this.#spare : startWorker();
      worker.once("exit", done);
      worker.once("error", done);
      worker.send(message, socket, (error) => {
        if (error === null) return;
        socket.destroy();
        worker.kill();
      });
      this.#spare = startWorker();
    });
    if (!isTaken) socket.destroy();
  }

  [Symbol.dispose](): void {
    this.#spare?.kill();
    this.#spare = undefined;
  }
}

function startWorker(): ChildProcess {
  const isSource = import.meta.url.endsWith(".ts");
  const file = isSource ? "./daemonConnection.worker.ts" : "./daemonConnection.worker.mjs";
  const worker = spawn(process.execPath, [fileURLToPath(new URL(file, import.meta.url))], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    cwd: "/",
    // Not ended with us: clients finish what they began.
    detached: true,
  });
  worker.on("error", () => undefined);
  worker.unref();
  worker.channel?.unref();
  return worker;
}
