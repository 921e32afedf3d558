// viewSamples - reports as the CLI would make them, for tests of the environment view.
import type { ClosureReport, EnvironmentReport, VariableReport } from "../../cli/protocol/types.ts";

export const SECRET = "s3cr3t-n3v3r-sh0wn";
export const STORE = "/nix/store";

export function storePath(name: string, seed: number): string {
  const alphabet = "0123456789abcdfghijklmnpqrsvwxyz";
  let state = seed * 2654435761 + 12345;
  let hash = "";
  for (let index = 0; index < 32; index += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    hash += alphabet[state >>> 27];
  }
  return `${STORE}/${hash}-${name}`;
}

export function sampleVariables(): VariableReport[] {
  const spec = { by: "spec", position: { path: "/project/devshell.yaml", line: 4, column: 3 } } as const;
  const bins = ["gcc-12-12.2.0", "binutils-2.40", "cmake-3.25.1", "make-4.3", "coreutils-9.1"].map(
    (name, index) => `${storePath(name, index)}/bin`,
  );
  return [
    { name: "API_TOKEN", action: "set", value: SECRET, isSecret: true, origin: spec },
    {
      name: "CC",
      action: "set",
      value: "gcc",
      isSecret: false,
      origin: { by: "setup", detail: "gcc-wrapper" },
    },
    { name: "CFLAGS", action: "set", value: "-O2 -g -Wall", isSecret: false, origin: spec },
    {
      name: "DATABASE_URL",
      action: "set",
      value: `postgres://app:${SECRET}@localhost/app`,
      isSecret: false,
      origin: spec,
    },
    { name: "EMPTY", action: "set", value: "", isSecret: false, origin: spec },
    { name: "GREETING", action: "set", value: "hello\nworld", isSecret: false, origin: spec },
    { name: "LC_ALL", action: "unset", isSecret: false, origin: { by: "shellHook" } },
    {
      name: "NIX_CFLAGS_COMPILE",
      action: "set",
      value: `-isystem ${storePath("zlib-1.2.13-dev", 9)}/include -frandom-seed=abc`,
      isSecret: false,
      origin: { by: "derivation" },
    },
    {
      name: "PATH",
      action: "prepend",
      separator: ":",
      value: bins.join(":"),
      isSecret: false,
      origin: { by: "searchPath", detail: "gcc" },
    },
    {
      name: "PKG_CONFIG_PATH",
      action: "prepend",
      separator: ":",
      value: `${storePath("zlib-1.2.13-dev", 9)}/lib/pkgconfig`,
      isSecret: false,
      origin: { by: "searchPath", detail: "zlib" },
    },
    {
      name: "XDG_DATA_DIRS",
      action: "set",
      value: "/a/share:/b/share",
      isSecret: false,
      origin: { by: "devshell" },
    },
  ];
}

export function sampleReport(part: Partial<EnvironmentReport> = {}): EnvironmentReport {
  return {
    protocol: 1,
    state: "ready",
    id: "1".repeat(64),
    name: "hello-c",
    directory: "/project",
    selection: [],
    spec: { kind: "data", path: "/project/devshell.yaml", root: "/project" },
    drvPath: storePath("hello-c.drv", 77),
    storeDir: STORE,
    isPure: false,
    keep: [],
    variables: sampleVariables(),
    searchPaths: {
      programs: [`${storePath("gcc-12-12.2.0", 0)}/bin`, `${storePath("cmake-3.25.1", 2)}/bin`],
      headers: [`${storePath("zlib-1.2.13-dev", 9)}/include`],
      libraries: [`${storePath("zlib-1.2.13", 8)}/lib`],
      pkgConfig: [],
      compiler: `${storePath("gcc-12-12.2.0", 0)}/bin/gcc`,
    },
    scripts: [
      {
        name: "build",
        text: "cmake -B build\ncmake --build build",
        position: { path: "/project/devshell.yaml", line: 12, column: 3 },
      },
      { name: "login", text: `curl -H 'Authorization: ${SECRET}' https://example.org` },
    ],
    packages: ["gcc 12", "cmake", "zlib"],
    roots: [storePath("gcc-12-12.2.0", 0)],
    hook: { state: "none" },
    watch: ["/project/devshell.yaml"],
    warnings: [],
    durationMs: 12,
    ...part,
  };
}

/** Variables of all kinds, some thousands. */
export function manyVariables(count: number): VariableReport[] {
  return Array.from({ length: count }, (_, index): VariableReport => {
    const name = `VARIABLE_${String(index).padStart(5, "0")}`;
    const origin = { by: "searchPath", detail: `package-${index % 40}` } as const;
    if (index % 50 === 0) {
      const value = Array.from(
        { length: 8 },
        (__, part) => `${storePath(`lib-${part}`, index + part)}/lib`,
      ).join(":");
      return { name: `${name}_PATH`, action: "prepend", separator: ":", value, isSecret: false, origin };
    }
    return {
      name,
      action: "set",
      value: `${storePath(`value-${index}`, index)}/share`,
      isSecret: false,
      origin,
    };
  });
}

/** A tree with cross references, sizes from bytes to hundreds of MiB as in real closures. */
export function sampleClosure(count: number): ClosureReport {
  const known = [
    "gcc-12-12.2.0",
    "cmake-3.25.1",
    "glibc-2.36",
    "python3.11-3.11.2",
    "zlib-1.2.13",
    "binutils-2.40",
    "openssl-3.0.15",
    "perl-5.36.0",
  ];
  const names = Array.from(
    { length: count },
    (_, index) => known[index] ?? `package-${index}-1.${index % 9}`,
  );
  const paths = names.map((name, index) => storePath(name, index));
  const size = (index: number): number => Math.round((230 * 1024 * 1024) / (index + 1) ** 1.15 + 300);
  return {
    protocol: 1,
    storeDir: STORE,
    roots: paths.slice(0, 2),
    paths: names
      .map((name, index) => ({
        path: paths[index] ?? "",
        name,
        narSizeBytes: size(index),
        references: [2 * index + 1, 2 * index + 2, ...(index % 3 === 0 ? [7 * index + 5] : [2])].flatMap(
          (at) => (at > index ? (paths[at] ?? []) : []),
        ),
      }))
      .sort((a, b) => (a.path < b.path ? -1 : 1)),
  };
}

/** As of `<debian>`: a tree of links into packages, which it refers to only in part. */
export function linkedClosure(): ClosureReport {
  const [tree, gcc, binutils, libc] = [
    storePath("devshell-env", 1),
    storePath("gcc-12-12.2.0", 2),
    storePath("binutils-2.40", 3),
    storePath("libc6-2.36", 4),
  ] as const;
  const part = (path: string, narSizeBytes: number, references: readonly string[] = []) => ({
    path,
    name: path.slice(STORE.length + 34),
    narSizeBytes,
    references,
  });
  const linkedFrom = [gcc, binutils, libc];
  return {
    protocol: 1,
    storeDir: STORE,
    roots: [tree],
    paths: [
      { ...part(tree, 3800, [tree, libc]), ownSizeBytes: 3000, linkedFrom },
      part(gcc, 600, [libc]),
      part(binutils, 200, [libc]),
      part(libc, 100),
    ].sort((a, b) => (a.path < b.path ? -1 : 1)),
  };
}
