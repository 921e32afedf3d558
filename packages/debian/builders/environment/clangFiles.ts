import type { DebianArchitecture } from "../architecture.ts";
import { isDirectory, resolveInTree, writeNode, type Tree } from "./mergeTree.ts";

/** The first whose driver, and so clangd, reads a configuration file beside it. */
const FIRST_WITH_CONFIGURATION = 16;

/**
 * Shows clangd the environment's headers. It takes the directory of the first `clang` or `gcc` on PATH for the
 * compiler's own, wherever it was installed itself: there it reads `clang.cfg`. One of the environment's own that is too
 * old for this gets a wrapper with variables, which are for clangd alone: a compiler for another machine must not see
 * them.
 */
export function writeClangFiles(tree: Tree, architecture: DebianArchitecture): void {
  if (!isDirectory(tree, "/usr/include")) return;
  const llvm = [...tree.nodes.keys()].filter(
    (path) => /^\/usr\/lib\/llvm-\d+\/bin$/.test(path) && isDirectory(tree, path),
  );
  for (const directory of ["/usr/bin", ...llvm])
    for (const name of ["clang.cfg", "clang++.cfg"])
      writeNode(tree, `${directory}/${name}`, `--sysroot=${tree.root}\n`);
  for (const directory of llvm) {
    const version = Number(/\d+/.exec(directory)?.[0]);
    const program = `${directory}/clangd`;
    if (version >= FIRST_WITH_CONFIGURATION || resolveInTree(tree, program) === undefined) continue;
    writeNode(tree, `/usr/bin/clangd-${version}`, clangdWrapper(tree, architecture, program), true);
  }
}

function clangdWrapper(tree: Tree, { triplet }: DebianArchitecture, program: string): string {
  const system = [`/usr/include/${triplet}`, "/usr/include"].map((path) => tree.root + path);
  const add = (variable: string, directories: readonly string[]): string =>
    `export ${variable}="\${${variable}:+$${variable}:}${directories.join(":")}"`;
  // C++'s own come first: they go on to C's by `#include_next`.
  return `#!/bin/sh
# clangd with this environment's headers.
${add("C_INCLUDE_PATH", system)}
${add("CPLUS_INCLUDE_PATH", [...cplusplusDirectories(tree, triplet), ...system])}
exec ${tree.root}${program} "$@"
`;
}

/** Those of the newest libstdc++. */
function cplusplusDirectories(tree: Tree, triplet: string): string[] {
  const versions = [...tree.nodes.keys()].flatMap((path) => {
    const version = /^\/usr\/include\/c\+\+\/(\d+)$/.exec(path)?.[1];
    return version === undefined ? [] : [Number(version)];
  });
  if (versions.length === 0) return [];
  const own = `/usr/include/c++/${Math.max(...versions)}`;
  return [own, own.replace("/c++/", `/${triplet}/c++/`), `${own}/backward`].map((path) => tree.root + path);
}
