/** What the builders must know of a Debian architecture. */
export interface DebianArchitecture {
  /** Debian's name, e.g. `amd64`. */
  readonly name: string;
  /** The multiarch triplet, e.g. `x86_64-linux-gnu`. */
  readonly triplet: string;
  /** `e_machine` of its ELF files. */
  readonly elfMachine: number;
  /** `PT_INTERP` as Debian's linker writes it. */
  readonly interpreter: string;
  /** The largest page a kernel of it may use: what appended segments are aligned to. */
  readonly pageBytes: number;
}

const ARCHITECTURES: readonly DebianArchitecture[] = [
  {
    name: "amd64",
    triplet: "x86_64-linux-gnu",
    elfMachine: 62,
    interpreter: "/lib64/ld-linux-x86-64.so.2",
    pageBytes: 4096,
  },
  {
    name: "arm64",
    triplet: "aarch64-linux-gnu",
    elfMachine: 183,
    interpreter: "/lib/ld-linux-aarch64.so.1",
    pageBytes: 65536,
  },
];

export function findArchitecture(name: string): DebianArchitecture | undefined {
  return ARCHITECTURES.find((architecture) => architecture.name === name);
}

/** Where libc6's dynamic loader lies in its store path. */
export function loaderPathIn(libc6Path: string, architecture: DebianArchitecture): string {
  const file = architecture.interpreter.slice(architecture.interpreter.lastIndexOf("/") + 1);
  return `${libc6Path}/usr/lib/${architecture.triplet}/${file}`;
}
