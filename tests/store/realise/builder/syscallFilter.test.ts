import { describe, expect, it } from "vitest";
import { syscallFilter, type FilteredArchitecture } from "../../../../store/realise/builder/syscallFilter.ts";

const ALLOWED = "allowed";

interface Call {
  readonly audit: number;
  readonly number: number;
  readonly args?: readonly number[];
}

/** Runs a filter as the kernel does. */
function decide(architecture: FilteredArchitecture, { audit, number, args = [] }: Call): string {
  const program = syscallFilter(architecture);
  const data = Buffer.alloc(64);
  data.writeUInt32LE(number >>> 0, 0);
  data.writeUInt32LE(audit >>> 0, 4);
  for (const [index, value] of args.entries()) data.writeBigUInt64LE(BigInt(value), 16 + 8 * index);
  let accumulator = 0;
  for (let at = 0; at < program.length / 8; at++) {
    const operand = program.readUInt32LE(at * 8 + 4);
    const jump = (isTrue: boolean): number => program.readUInt8(at * 8 + (isTrue ? 2 : 3));
    switch (program.readUInt16LE(at * 8)) {
      case 0x20:
        accumulator = data.readUInt32LE(operand);
        break;
      case 0x54:
        accumulator = (accumulator & operand) >>> 0;
        break;
      case 0x15:
        at += jump(accumulator === operand);
        break;
      case 0x45:
        at += jump((accumulator & operand) !== 0);
        break;
      case 0x06:
        if (operand === 0x7fff0000) return ALLOWED;
        return operand === 0x80000000 ? "killed" : `error ${operand & 0xffff}`;
      default:
        throw new Error(`instruction ${at} is unknown`);
    }
  }
  throw new Error("the filter has no end");
}

const X86_64 = 0xc000003e;
const I386 = 0x40000003;
const AARCH64 = 0xc00000b7;
const ARM = 0x40000028;
const X32 = 0x40000000;
const [EPERM, ENOTSUP] = ["error 1", "error 95"];

/** Where `chmod`, `fchmod`, `fchmodat`, `mknodat`, `openat` and `getxattr` are, from the kernel's own tables. */
const NUMBERS: readonly (readonly [FilteredArchitecture, number, readonly (number | undefined)[]])[] = [
  ["x64", X86_64, [90, 91, 268, 259, 257, 191]],
  ["x64", I386, [15, 94, 306, 297, 295, 229]],
  ["arm64", AARCH64, [undefined, 52, 53, 33, 56, 8]],
  ["arm64", ARM, [15, 94, 333, 324, 322, 229]],
];

describe("the filter of builders' system calls", () => {
  it.each(NUMBERS)("refuses set-id bits and attributes on %s (%i)", (architecture, audit, numbers) => {
    const [chmod, fchmod, fchmodat, mknodat, openat, getxattr] = numbers;
    const ask = (number: number | undefined, ...args: number[]): string | undefined =>
      number === undefined ? undefined : decide(architecture, { audit, number, args });
    for (const mode of [0o4755, 0o2755, 0o6000]) {
      if (chmod !== undefined) expect(ask(chmod, 1, mode)).toBe(EPERM);
      expect(ask(fchmod, 1, mode)).toBe(EPERM);
      expect(ask(fchmodat, 1, 2, mode)).toBe(EPERM);
      expect(ask(452, 1, 2, mode)).toBe(EPERM);
      expect(ask(mknodat, 1, 2, mode)).toBe(EPERM);
      expect(ask(openat, 1, 2, 0o101, mode)).toBe(EPERM);
      expect(ask(openat, 1, 2, 0o20_200_002, mode)).toBe(EPERM);
      // Without a flag that makes a file this argument is whatever was there.
      expect(ask(openat, 1, 2, 0o2, mode)).toBe(ALLOWED);
    }
    for (const mode of [0o755, 0o1777]) {
      expect(ask(fchmod, 0o4000, mode)).toBe(ALLOWED);
      expect(ask(fchmodat, 1, 2, mode, 0o4000)).toBe(ALLOWED);
      expect(ask(openat, 1, 2, 0o101, mode)).toBe(ALLOWED);
    }
    for (const call of [getxattr, 464]) expect(ask(call, 1, 2)).toBe(ENOTSUP);
    expect([0, 1, 39, 60, 172, 400].map((number) => ask(number, 0o4755, 0o4755))).toEqual(
      Array.from({ length: 6 }, () => ALLOWED),
    );
  });

  it("knows x32's calls, and lets no unknown way to call pass", () => {
    expect(decide("x64", { audit: X86_64, number: X32 | 90, args: [1, 0o4755] })).toBe(EPERM);
    expect(decide("x64", { audit: X86_64, number: X32 | 188 })).toBe(ENOTSUP);
    expect(decide("x64", { audit: AARCH64, number: 0 })).toBe("killed");
    expect(decide("arm64", { audit: X86_64, number: 0 })).toBe("killed");
  });
});
