import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { syscallFilter } from "./syscallFilter.ts";

const PR_SET_SECCOMP = 22;
const SECCOMP_MODE_FILTER = 2n;
const EFAULT = 14;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const PR_SET_NO_NEW_PRIVS = 38;

/** The same on all processors. */
const LANDLOCK_CREATE_RULESET = 444;
const LANDLOCK_RESTRICT_SELF = 446;
const LANDLOCK_CREATE_RULESET_VERSION = 1n;
const LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET = 1n;
/** Since then sockets can be kept apart. */
const SCOPES_SINCE = 6;

interface Calls {
  prctl(option: number, a: bigint, b: bigint, c: bigint, d: bigint): number;
  syscall(number: number, a: bigint, b: bigint, c: bigint): number | bigint;
  close(fd: number): number;
  fcntl(fd: number, command: number, argument: number): number;
  addressOf(buffer: Buffer): bigint;
  errno(): number;
}

/**
 * Puts this thread, and all that it starts from now on, under the filter of builders' system calls, for good.
 * @returns why that cannot be done; `undefined` where it is
 */
export function filterCalls(): string | undefined {
  if (process.arch !== "x64" && process.arch !== "arm64")
    return `system calls of ${process.arch} are not known`;
  const calls = load();
  if (calls === undefined) return "koffi cannot be loaded";
  const filter = syscallFilter(process.arch);
  // struct sock_fprog: how many instructions, and where.
  const program = Buffer.allocUnsafeSlow(16).fill(0);
  program.writeUInt16LE(filter.length / 8, 0);
  program.writeBigUInt64LE(calls.addressOf(filter), 8);
  const isDone =
    calls.prctl(PR_SET_NO_NEW_PRIVS, 1n, 0n, 0n, 0n) === 0 &&
    calls.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, calls.addressOf(program), 0n, 0n) === 0;
  return isDone ? undefined : `the kernel refuses it (error ${calls.errno()})`;
}

/** Has programs that this process starts not inherit what it has open. @returns whether that could be done */
export function hideFiles(): boolean {
  const calls = load();
  if (calls === undefined) return false;
  for (const name of readdirSync("/proc/self/fd"))
    if (Number(name) > 2) calls.fcntl(Number(name), F_SETFD, FD_CLOEXEC);
  return true;
}

/** Why {@link filterCalls} would fail, as far as that is known without doing it. */
export function filterObstacle(): string | undefined {
  if (process.arch !== "x64" && process.arch !== "arm64")
    return `system calls of ${process.arch} are not known`;
  const calls = load();
  if (calls === undefined) return "koffi cannot be loaded";
  // No filter lies at 0: a kernel that has filters complains of that.
  calls.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, 0n, 0n, 0n);
  const error = calls.errno();
  return error === EFAULT ? undefined : `the kernel refuses it (error ${error})`;
}

/** Whether the kernel can do what {@link scopeSockets} asks of it. */
export function canScopeSockets(): boolean {
  const version = load()?.syscall(LANDLOCK_CREATE_RULESET, 0n, 0n, LANDLOCK_CREATE_RULESET_VERSION);
  return version !== undefined && Number(version) >= SCOPES_SINCE;
}

/**
 * Keeps this thread, and all that it starts from now on, from abstract sockets of others; these belong to a network,
 * which builders of fixed outputs have in common.
 * @returns whether the kernel can do that
 */
export function scopeSockets(): boolean {
  const calls = load();
  if (calls === undefined || !canScopeSockets()) return false;
  // struct landlock_ruleset_attr: what is handled of files, of networks, and what is scoped.
  const attributes = Buffer.allocUnsafeSlow(24).fill(0);
  attributes.writeBigUInt64LE(LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET, 16);
  const size = BigInt(attributes.length);
  const ruleset = Number(calls.syscall(LANDLOCK_CREATE_RULESET, calls.addressOf(attributes), size, 0n));
  if (ruleset < 0) return false;
  try {
    return Number(calls.syscall(LANDLOCK_RESTRICT_SELF, BigInt(ruleset), 0n, 0n)) === 0;
  } finally {
    // Node warns where a thread closes what it did not open by Node's means.
    calls.close(ruleset);
  }
}

let loaded: { readonly calls: Calls | undefined } | undefined;

function load(): Calls | undefined {
  loaded ??= { calls: loadCalls() };
  return loaded.calls;
}

function loadCalls(): Calls | undefined {
  try {
    const koffi = createRequire(import.meta.url)("koffi") as {
      load(file: null): { func(prototype: string): unknown };
      address(buffer: Buffer): bigint;
      errno(): number;
    };
    const libc = koffi.load(null);
    return {
      prctl: libc.func(
        "int prctl(int option, uint64_t a, uint64_t b, uint64_t c, uint64_t d)",
      ) as Calls["prctl"],
      syscall: libc.func("long syscall(long number, uint64_t a, uint64_t b, uint64_t c)") as Calls["syscall"],
      fcntl: libc.func("int fcntl(int fd, int command, int argument)") as Calls["fcntl"],
      close: libc.func("int close(int fd)") as Calls["close"],
      addressOf: (buffer) => koffi.address(buffer),
      errno: () => koffi.errno(),
    };
  } catch {
    return undefined;
  }
}
