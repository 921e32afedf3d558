import { existsSync } from "node:fs";
import type { ByteString } from "../../core/index.ts";
import type { CapturedVariable } from "../types.ts";

/** Variable → directories below an input, for compilers and tools that no wrapper tells where inputs are. */
const SEARCH_PATHS: readonly (readonly [name: string, directories: readonly string[]])[] = [
  ["C_INCLUDE_PATH", ["include"]],
  ["CPLUS_INCLUDE_PATH", ["include"]],
  ["LIBRARY_PATH", ["lib"]],
  ["PKG_CONFIG_PATH", ["lib/pkgconfig", "share/pkgconfig"]],
  ["CMAKE_PREFIX_PATH", ["lib/cmake", "share/cmake"]],
  ["ACLOCAL_PATH", ["share/aclocal"]],
  ["MANPATH", ["share/man"]],
  ["XDG_DATA_DIRS", ["share"]],
];

/** Arrays of nixpkgs' setup that hold every input, propagated ones included, nearest first. */
const INPUT_ARRAYS = [
  "pkgsBuildBuild",
  "pkgsBuildHost",
  "pkgsBuildTarget",
  "pkgsHostHost",
  "pkgsHostTarget",
  "pkgsTargetTarget",
];

/**
 * Search paths that unwrapped compilers, language servers and build systems understand, from the environment's
 * inputs. What the setup exported itself stays as it is. Inputs with a whole `usr` tree are left out: their tools
 * find it through a sysroot, and `include` paths of a C library beside it break them.
 */
export function developerSearchPaths(
  variables: ReadonlyMap<string, CapturedVariable>,
  storeDir: string,
  physicalPath: (path: string) => string,
): Map<string, ByteString> {
  const inputs = inputPaths(variables, storeDir).filter((path) => !existsSync(physicalPath(`${path}/usr`)));
  const result = new Map<string, ByteString>();
  for (const [name, directories] of SEARCH_PATHS) {
    if (variables.get(name)?.kind === "exported") continue;
    const found = inputs.flatMap((input) =>
      directories
        .map((directory) => `${input}/${directory}`)
        .filter((path) => existsSync(physicalPath(path)))
        .map((path) => (name === "CMAKE_PREFIX_PATH" ? input : path)),
    );
    if (found.length > 0) result.set(name, [...new Set(found)].join(":"));
  }
  return result;
}

function inputPaths(variables: ReadonlyMap<string, CapturedVariable>, storeDir: string): string[] {
  const listed = INPUT_ARRAYS.flatMap((name) => {
    const variable = variables.get(name);
    return variable?.kind === "array" ? variable.value : [];
  });
  const words =
    listed.length > 0
      ? listed
      : ["nativeBuildInputs", "buildInputs", "propagatedNativeBuildInputs", "propagatedBuildInputs"].flatMap(
          (name) => {
            const variable = variables.get(name);
            if (variable?.kind === "array") return variable.value;
            return variable?.kind === "exported" || variable?.kind === "var"
              ? variable.value.split(/\s+/)
              : [];
          },
        );
  return [...new Set(words.filter((word) => word.startsWith(`${storeDir}/`)))];
}
