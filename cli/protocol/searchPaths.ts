import { accessSync, constants, readdirSync, statSync } from "node:fs";
import type { SearchPathsReport, VariableReport } from "./types.ts";

/** The first of these on PATH is the compiler; in one directory the first of the list. */
const COMPILERS = ["cc", "gcc", "clang"];

/** The directories that the environment adds, by what is looked for in them. */
export function describeSearchPaths(
  variables: readonly VariableReport[],
  storeDir: string,
): SearchPathsReport {
  const valueOf = new Map(
    variables.flatMap((variable) =>
      variable.action === "unset" ? [] : [[variable.name, variable.value] as const],
    ),
  );
  const elements = (...names: string[]): string[] =>
    names.flatMap((name) => (valueOf.get(name) ?? "").split(":"));
  const words = (...names: string[]): string[] =>
    names.flatMap((name) => (valueOf.get(name) ?? "").split(/\s+/));
  const programs = directories(elements("PATH"));
  const compiler = programs
    .flatMap((directory) => COMPILERS.map((name) => `${directory}/${name}`))
    .find(isProgram);
  const trees = programs
    .filter((path) => path.startsWith(`${storeDir}/`) && path.endsWith("/usr/bin"))
    .map((path) => describeTree(path.slice(0, -"/bin".length)));
  return {
    programs,
    headers: directories([
      ...elements("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH"),
      ...argumentsOf(words("NIX_CFLAGS_COMPILE"), ["-isystem", "-I"]),
      ...trees.flatMap(({ headers }) => headers),
    ]),
    libraries: directories([
      ...elements("LIBRARY_PATH"),
      ...argumentsOf(words("NIX_LDFLAGS"), ["-L"]),
      ...trees.flatMap(({ libraries }) => libraries),
    ]),
    pkgConfig: directories([...elements("PKG_CONFIG_PATH"), ...trees.flatMap(({ pkgConfig }) => pkgConfig)]),
    ...(compiler !== undefined && { compiler }),
  };
}

/** What the tools of a whole `usr` tree find in it without being told. */
function describeTree(usr: string): Pick<SearchPathsReport, "headers" | "libraries" | "pkgConfig"> {
  const libraries = [...architecturesIn(`${usr}/lib`), `${usr}/lib`];
  return {
    headers: [...architecturesIn(`${usr}/include`), `${usr}/include`].filter(isDirectory),
    libraries: libraries.filter(isDirectory),
    pkgConfig: [...libraries, `${usr}/share`].map((path) => `${path}/pkgconfig`).filter(isDirectory),
  };
}

/** Debian's directories for one architecture: `x86_64-linux-gnu`. */
function architecturesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => /^[a-z0-9_]+-linux-[a-z0-9]+$/.test(name))
      .map((name) => `${directory}/${name}`);
  } catch {
    return [];
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** What follows one of the flags, as a word of its own or joined. */
function argumentsOf(words: readonly string[], flags: readonly string[]): string[] {
  return words.flatMap((word, n) => {
    const flag = flags.find((known) => word.startsWith(known));
    if (flag === undefined) return [];
    return word === flag ? (words[n + 1] ?? []) : word.slice(flag.length);
  });
}

function directories(paths: readonly string[]): string[] {
  return [...new Set(paths.filter((path) => path.startsWith("/")))];
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
