import { createRequire } from "node:module";
import { syscallFilter } from "./syscallFilter.ts";

const PR_SET_SECCOMP = 22;
const SECCOMP_MODE_FILTER = 2;
const PR_SET_NO_NEW_PRIVS = 38;

type Prctl = (option: number, value: number, pointer: Buffer | null, c: number, d: number) => number;

interface Koffi {
  load(file: null): { func(prototype: string): unknown };
  address(buffer: Buffer): bigint;
  errno(): number;
}

/**
 * Puts this thread, and all that it starts from now on, under the filter of builders' system calls, for good.
 * @returns why that cannot be done; `undefined` where it is
 */
export function filterCalls(): string | undefined {
  if (process.arch !== "x64" && process.arch !== "arm64")
    return `system calls of ${process.arch} are not known`;
  let koffi: Koffi;
  let prctl: Prctl;
  try {
    koffi = createRequire(import.meta.url)("koffi") as Koffi;
    prctl = koffi
      .load(null)
      .func(
        "int prctl(int option, unsigned long value, const void *pointer, unsigned long c, unsigned long d)",
      ) as Prctl;
  } catch {
    return "koffi cannot be loaded";
  }
  const filter = syscallFilter(process.arch);
  // struct sock_fprog: how many instructions, and where.
  const program = Buffer.alloc(16);
  program.writeUInt16LE(filter.length / 8, 0);
  program.writeBigUInt64LE(koffi.address(filter), 8);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, null, 0, 0) !== 0) return `the kernel refuses it (error ${koffi.errno()})`;
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) !== 0)
    return `the kernel refuses it (error ${koffi.errno()})`;
  return undefined;
}
