import { closeSync, openSync } from "node:fs";
import { createRequire } from "node:module";
import { fsPath, type ByteString } from "../../core/index.ts";

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
/** Bytes of an address's path, its ending NUL included. */
const MAX_ADDRESS_BYTES = 108;

/** Who is at the other end of a socket, as the kernel saw it connect. */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

interface SocketCalls {
  socket(domain: number, type: number, protocol: number): number;
  connect(fd: number, address: Buffer, length: number): number;
  socketpair(domain: number, type: number, protocol: number, fds: Buffer): number;
  close(fd: number): number;
  pipe2(fds: Buffer, flags: number): number;
  getsockopt(fd: number, level: number, option: number, value: Buffer, length: Buffer): number;
}

/** A blocking connection to a Unix socket, which Node has not; -1 when nobody listens or koffi is missing. */
export function connectSync(path: ByteString): number {
  const calls = socketCalls();
  if (calls === undefined) return -1;
  let directory: number;
  try {
    directory = openSync(fsPath(path.slice(0, path.lastIndexOf("/")) || "/"), "r");
  } catch {
    return -1;
  }
  try {
    // Through /proc: an address holds 107 bytes, a path may be longer.
    const alias = `/proc/self/fd/${directory}/${path.slice(path.lastIndexOf("/") + 1)}`;
    if (alias.length >= MAX_ADDRESS_BYTES) return -1;
    const address = Buffer.alloc(2 + MAX_ADDRESS_BYTES);
    address.writeUInt16LE(AF_UNIX, 0);
    address.write(alias, 2, "latin1");
    const fd = calls.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (calls.connect(fd, address, 2 + alias.length + 1) === 0) return fd;
    closeSync(fd);
    return -1;
  } finally {
    closeSync(directory);
  }
}

/** Two blocking descriptors, connected to each other; `undefined` when koffi is missing. */
export function socketPair(): readonly [number, number] | undefined {
  const calls = socketCalls();
  const fds = Buffer.alloc(8);
  if (calls?.socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) !== 0) return undefined;
  return [fds.readInt32LE(0), fds.readInt32LE(4)];
}

/** A pipe, its reading end first, which programs do not inherit; `undefined` when koffi is missing. */
export function openPipe(): readonly [number, number] | undefined {
  const fds = Buffer.alloc(8);
  if (socketCalls()?.pipe2(fds, SOCK_CLOEXEC) !== 0) return undefined;
  return [fds.readInt32LE(0), fds.readInt32LE(4)];
}

/** Closes what was opened here: Node warns where a thread closes what it did not open by Node's means. */
export function closeDescriptor(fd: number): void {
  socketCalls()?.close(fd);
}

/** @returns `undefined` when koffi is missing, or the descriptor is no Unix socket */
export function peerCredentials(fd: number): PeerCredentials | undefined {
  const value = Buffer.alloc(12);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(value.length);
  if (socketCalls()?.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, value, length) !== 0) return undefined;
  if (length.readUInt32LE() !== value.length) return undefined;
  const [pid, uid, gid] = [value.readInt32LE(0), value.readUInt32LE(4), value.readUInt32LE(8)];
  // The kernel knows no one: the other end is of another user namespace, or it is no connection.
  return uid === 0xffffffff ? undefined : { pid, uid, gid };
}

let loaded: { readonly calls: SocketCalls | undefined } | undefined;

/** Whether {@link connectSync} can connect at all: koffi is there. */
export function canConnect(): boolean {
  return socketCalls() !== undefined;
}

function socketCalls(): SocketCalls | undefined {
  loaded ??= { calls: loadSocketCalls() };
  return loaded.calls;
}

function loadSocketCalls(): SocketCalls | undefined {
  try {
    const koffi = createRequire(import.meta.url)("koffi") as {
      load(file: null): { func(prototype: string): unknown };
    };
    const library = koffi.load(null);
    return {
      socket: library.func("int socket(int domain, int type, int protocol)") as SocketCalls["socket"],
      connect: library.func(
        "int connect(int fd, const void *address, unsigned int length)",
      ) as SocketCalls["connect"],
      socketpair: library.func(
        "int socketpair(int domain, int type, int protocol, void *fds)",
      ) as SocketCalls["socketpair"],
      pipe2: library.func("int pipe2(void *fds, int flags)") as SocketCalls["pipe2"],
      close: library.func("int close(int fd)") as SocketCalls["close"],
      getsockopt: library.func(
        "int getsockopt(int fd, int level, int option, void *value, void *length)",
      ) as SocketCalls["getsockopt"],
    };
  } catch {
    return undefined;
  }
}
