import { accessSync, constants, statSync } from "node:fs";

/** Directories tried after PATH: a caller's PATH may hold store tools only. */
const USUAL = ["/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin", "/run/current-system/sw/bin"];

const found = new Map<string, string | undefined>();

/** Finds a program of the host, PATH first; `undefined` where there is none. Remembered for the process. */
export function findProgram(name: string): string | undefined {
  if (found.has(name)) return found.get(name);
  const program = findInPath(name, `${process.env["PATH"] ?? ""}:${USUAL.join(":")}`);
  found.set(name, program);
  return program;
}

/** The first program of a name in a PATH; relative directories are left out. */
export function findInPath(name: string, path: string): string | undefined {
  return path
    .split(":")
    .filter((directory) => directory.startsWith("/"))
    .map((directory) => `${directory}/${name}`)
    .find(isProgram);
}

/** Whether a path is a file that may be executed. */
export function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
