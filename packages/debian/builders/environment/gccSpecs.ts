import { DevshellError } from "../../../../core/index.ts";
import type { DebianArchitecture } from "../architecture.ts";
import type { RunProgram } from "./runProgram.ts";
import { isDirectory, writeNode, type Tree } from "./mergeTree.ts";

/**
 * Writes `specs` beside each gcc: the compiler takes the environment as its system root, links with the store's
 * loader and a run path to the environment's libraries. No wrapper, no variables.
 */
export function writeGccSpecs(
  tree: Tree,
  architecture: DebianArchitecture,
  loader: string,
  run: RunProgram,
): void {
  const { triplet } = architecture;
  const directory = `/usr/lib/gcc/${triplet}`;
  if (!isDirectory(tree, directory)) return;
  for (const path of tree.nodes.keys()) {
    if (!path.startsWith(`${directory}/`) || path.indexOf("/", directory.length + 1) >= 0) continue;
    const version = path.slice(directory.length + 1);
    const driver = `/usr/bin/${triplet}-gcc-${version}`;
    if (!isDirectory(tree, path) || tree.nodes.get(driver)?.kind !== "file") continue;
    const specs = run(driver, ["-dumpspecs"]);
    if (specs === undefined)
      throw new DevshellError(
        "DEBIAN_HOOK_FAILED",
        `Cannot make the environment: "${driver} -dumpspecs" failed`,
      );
    writeNode(tree, `${path}/specs`, relocateSpecs(specs, tree.root, architecture, loader));
  }
}

/** @param dumped what `gcc -dumpspecs` prints: `*name:` lines, each followed by its text and an empty line */
export function relocateSpecs(
  dumped: string,
  root: string,
  { triplet, interpreter }: DebianArchitecture,
  loader: string,
): string {
  const specs = parseSpecs(dumped);
  const libraries = `${root}/usr/lib/${triplet}`;
  const change = (name: string, edit: (old: string) => string): void => {
    specs.set(name, edit(specs.get(name) ?? ""));
  };
  change("self_spec", (old) => `${old} %{!-sysroot=*:--sysroot=${root}}`);
  change("link", (old) => {
    const runPath = `%{!static:%{!static-pie:%{!r:-rpath ${libraries}}}}`;
    return `${old.replaceAll(interpreter, loader)} ${runPath} %{-sysroot=*:--sysroot=%*}`;
  });
  change("startfile_prefix_spec", () => `${libraries}/ ${root}/usr/lib/`);
  return [...specs].map(([name, text]) => `*${name}:\n${text}\n`).join("\n");
}

function parseSpecs(dumped: string): Map<string, string> {
  const specs = new Map<string, string>();
  let name: string | undefined;
  for (const line of dumped.split("\n")) {
    const head = /^\*(.+):$/.exec(line);
    if (head !== null) {
      name = head[1] ?? "";
      specs.set(name, "");
    } else if (name !== undefined && line !== "") {
      const known = specs.get(name);
      specs.set(name, known === undefined || known === "" ? line : `${known}\n${line}`);
    }
  }
  return specs;
}
