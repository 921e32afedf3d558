import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { createConnection } from "node:net";
import { basename, dirname } from "node:path";
import { DevshellError, bytesOfText } from "../../../core/index.ts";
import { connectSync, socketPair } from "../../local/socketCalls.ts";
import { BlockingChannel } from "../../protocol/blockingChannel.ts";
import { KnownHostsFile } from "../../ssh/knownHostsFile.ts";
import type { DaemonAddress } from "../../types.ts";
import type { Connection } from "./daemonClient.ts";

const MAX_SOCKET_PATH = 107;

/** Connects to a daemon, for requests that are waited for. @throws {DevshellError} `DAEMON_UNREACHABLE` */
export async function openConnection(address: DaemonAddress): Promise<Connection> {
  if (address.kind === "socket") return await connectSocket(address.path);
  const words = wordsOf(address);
  const child = spawn(address.program, words.args, { stdio: ["pipe", "pipe", "inherit"] });
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", (cause) => {
      words.forget();
      reject(unreachable(address, cause));
    });
  });
  return {
    input: child.stdout,
    output: child.stdin,
    close: () => {
      child.stdin.destroy();
      child.stdout.destroy();
      child.kill();
      words.forget();
    },
  };
}

/** The program's arguments; what they name is gone once it is forgotten. */
function wordsOf({ args, knownHosts }: Extract<DaemonAddress, { readonly kind: "command" }>): {
  readonly args: readonly string[];
  readonly forget: () => void;
} {
  if (knownHosts === undefined) return { args, forget: () => undefined };
  const file = new KnownHostsFile(knownHosts);
  // ssh takes the first of several.
  const [host = "", ...rest] = args;
  return { args: [host, `-oUserKnownHostsFile=${file.path}`, ...rest], forget: () => file[Symbol.dispose]() };
}

async function connectSocket(path: string): Promise<Connection> {
  const short = shortSocketPath(path);
  try {
    const socket = createConnection({ path: short.path });
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", (cause) => reject(unreachable({ kind: "socket", path }, cause)));
    });
    return { input: socket, output: socket, close: () => void socket.destroy() };
  } finally {
    short[Symbol.dispose]();
  }
}

/** Connects to a daemon, for requests during which everything stands still. @throws {DevshellError} `DAEMON_UNREACHABLE` */
export function openChannel(address: DaemonAddress): BlockingChannel {
  if (address.kind === "socket") {
    const fd = connectSync(bytesOfText(address.path));
    if (fd < 0) throw unreachable(address);
    return new BlockingChannel(fd);
  }
  const pair = socketPair();
  if (pair === undefined) throw unreachable(address);
  const [ours, theirs] = pair;
  try {
    const words = wordsOf(address);
    const child = spawn(address.program, words.args, { stdio: [theirs, theirs, "inherit"] });
    // That it could not be started is seen where its greeting is waited for.
    child.once("error", () => undefined);
    child.unref();
    return new BlockingChannel(ours, () => {
      child.kill();
      words.forget();
    });
  } finally {
    closeSync(theirs);
  }
}

/** A name for a socket that fits into an address: through its directory's descriptor where the path is too long. */
export function shortSocketPath(path: string): { readonly path: string } & Disposable {
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH) return { path, [Symbol.dispose]: () => undefined };
  const directory = openSync(dirname(path), "r");
  return {
    path: `/proc/self/fd/${directory}/${basename(path)}`,
    [Symbol.dispose]: () => closeSync(directory),
  };
}

function unreachable(address: DaemonAddress, cause?: Error): DevshellError {
  const where = address.kind === "socket" ? `at '${address.path}'` : `by '${address.program}'`;
  const why = cause === undefined ? "nobody answers" : cause.message;
  return new DevshellError("DAEMON_UNREACHABLE", `cannot connect to the daemon ${where}: ${why}`, {
    cause,
    hint: "is it running? `NIX_REMOTE=local` uses a store of your own",
  });
}
