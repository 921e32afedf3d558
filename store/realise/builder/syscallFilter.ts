/*
 * What builders may not ask of the kernel, as a program of classic BPF that the kernel runs before each call: nothing
 * may get the set-user-id or set-group-id bit, and extended attributes and access lists, which archives do not hold,
 * are not to be had. As Nix's filter (`filter-syscalls`), and also for files that are made with such a mode.
 */

/** Processors for which the calls' numbers are known, as Node names them. */
export type FilteredArchitecture = "x64" | "arm64";

type ModeCall =
  | "chmod"
  | "fchmod"
  | "fchmodat"
  | "fchmodat2"
  | "creat"
  | "mknod"
  | "mknodat"
  | "open"
  | "openat";
type AttributeCall =
  | "setxattr"
  | "lsetxattr"
  | "fsetxattr"
  | "getxattr"
  | "lgetxattr"
  | "fgetxattr"
  | "listxattr"
  | "llistxattr"
  | "flistxattr"
  | "setxattrat"
  | "getxattrat"
  | "listxattrat";

type Numbers = Readonly<Partial<Record<ModeCall | AttributeCall, number>>>;

/** One way in which programs of a processor number their calls. */
interface CallTable {
  /** `AUDIT_ARCH_…` of the kernel. */
  readonly audit: number;
  /** Bits of a number that count. */
  readonly mask?: number;
  readonly numbers: Numbers;
}

/** Newer calls have the same number everywhere. */
const COMMON: Numbers = { fchmodat2: 452, setxattrat: 463, getxattrat: 464, listxattrat: 465 };

/** Where a processor's nine older calls for attributes begin; they follow each other. */
function attributeCalls(first: number): Numbers {
  const names: readonly AttributeCall[] = [
    "setxattr",
    "lsetxattr",
    "fsetxattr",
    "getxattr",
    "lgetxattr",
    "fgetxattr",
    "listxattr",
    "llistxattr",
    "flistxattr",
  ];
  return Object.fromEntries(names.map((name, index) => [name, first + index]));
}

const X86_64: CallTable = {
  audit: 0xc000003e,
  // Without the mark of x32: its calls have the same numbers.
  mask: 0xbfffffff,
  numbers: {
    ...COMMON,
    ...attributeCalls(188),
    open: 2,
    creat: 85,
    chmod: 90,
    fchmod: 91,
    mknod: 133,
    openat: 257,
    mknodat: 259,
    fchmodat: 268,
  },
};

/** Those of 32 bits have much in common. */
const OF_32_BITS = { ...COMMON, ...attributeCalls(226), open: 5, creat: 8, mknod: 14, chmod: 15, fchmod: 94 };
const I386: CallTable = {
  audit: 0x40000003,
  numbers: { ...OF_32_BITS, openat: 295, mknodat: 297, fchmodat: 306 },
};
const ARM: CallTable = {
  audit: 0x40000028,
  numbers: { ...OF_32_BITS, openat: 322, mknodat: 324, fchmodat: 333 },
};

const AARCH64: CallTable = {
  audit: 0xc00000b7,
  numbers: { ...COMMON, ...attributeCalls(5), mknodat: 33, fchmod: 52, fchmodat: 53, openat: 56 },
};

const TABLES: Readonly<Record<FilteredArchitecture, readonly CallTable[]>> = {
  x64: [X86_64, I386],
  arm64: [AARCH64, ARM],
};

/** Which argument is the mode, and which are flags that say whether there is one. */
const MODE_CALLS: Readonly<Record<ModeCall, { readonly mode: number; readonly flags?: number }>> = {
  chmod: { mode: 1 },
  fchmod: { mode: 1 },
  fchmodat: { mode: 2 },
  fchmodat2: { mode: 2 },
  creat: { mode: 1 },
  mknod: { mode: 1 },
  mknodat: { mode: 2 },
  open: { mode: 2, flags: 1 },
  openat: { mode: 3, flags: 2 },
};

/** S_ISUID and S_ISGID. */
const SET_ID = 0o6000;
/** O_CREAT and what O_TMPFILE has alone. */
const MAKES_FILE = 0o100 | 0o20_000_000;

const EPERM = 1;
const ENOTSUP = 95;
const ALLOW = 0x7fff0000;
const KILL_PROCESS = 0x80000000;
const FAIL = 0x00050000;

/** Operations: load a word of what is known of the call, combine, compare, end. */
const LOAD = 0x20;
const AND = 0x54;
const JUMP_IF_EQUAL = 0x15;
const JUMP_IF_ANY = 0x45;
const RETURN = 0x06;

/** Where the kernel's description of a call has its number, its architecture, and (the lower half of) its arguments. */
const NUMBER_AT = 0;
const ARCHITECTURE_AT = 4;
const argumentAt = (index: number): number => 16 + 8 * index;

interface Instruction {
  readonly operation: number;
  readonly operand: number;
  /** Instructions to pass over. */
  readonly ifTrue?: number;
  readonly ifFalse?: number;
}

/** @returns the filter as the kernel reads it (`struct sock_filter[]`) */
export function syscallFilter(architecture: FilteredArchitecture): Buffer {
  const program: readonly Instruction[] = [
    { operation: LOAD, operand: ARCHITECTURE_AT },
    ...TABLES[architecture].flatMap((table) => {
      const rules = rulesOf(table);
      return [
        { operation: JUMP_IF_EQUAL, operand: table.audit, ifFalse: rules.length },
        ...rules,
      ] satisfies Instruction[];
    }),
    { operation: RETURN, operand: KILL_PROCESS },
  ];
  const bytes = Buffer.allocUnsafeSlow(program.length * 8);
  for (const [index, { operation, operand, ifTrue = 0, ifFalse = 0 }] of program.entries()) {
    bytes.writeUInt16LE(operation, index * 8);
    bytes.writeUInt8(ifTrue, index * 8 + 2);
    bytes.writeUInt8(ifFalse, index * 8 + 3);
    bytes.writeUInt32LE(operand, index * 8 + 4);
  }
  return bytes;
}

function rulesOf({ mask, numbers }: CallTable): readonly Instruction[] {
  const rules: Instruction[] = [{ operation: LOAD, operand: NUMBER_AT }];
  if (mask !== undefined) rules.push({ operation: AND, operand: mask });
  for (const [call, number] of Object.entries(numbers)) {
    const rule = isModeCall(call) ? refuseMode(call) : [{ operation: RETURN, operand: FAIL | ENOTSUP }];
    rules.push({ operation: JUMP_IF_EQUAL, operand: number, ifFalse: rule.length }, ...rule);
  }
  return [...rules, { operation: RETURN, operand: ALLOW }];
}

function refuseMode(call: ModeCall): readonly Instruction[] {
  const { mode, flags } = MODE_CALLS[call];
  const refusal: readonly Instruction[] = [
    { operation: LOAD, operand: argumentAt(mode) },
    { operation: JUMP_IF_ANY, operand: SET_ID, ifFalse: 1 },
    { operation: RETURN, operand: FAIL | EPERM },
  ];
  const made: readonly Instruction[] =
    flags === undefined
      ? []
      : [
          { operation: LOAD, operand: argumentAt(flags) },
          { operation: JUMP_IF_ANY, operand: MAKES_FILE, ifFalse: refusal.length },
        ];
  return [...made, ...refusal, { operation: RETURN, operand: ALLOW }];
}

function isModeCall(call: string): call is ModeCall {
  return Object.hasOwn(MODE_CALLS, call);
}
