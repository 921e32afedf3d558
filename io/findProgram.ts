import { accessSync, constants, statSync } from "node:fs";

/** Directories tried after PATH: a caller's PATH may hold store tools only. */
const USUAL = ["/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin", "/run/current-system/sw/bin"];

const found = new Map<string, string | undefined>();

/** Finds a program of the host, PATH first; `undefined` where there is none. Remembered for the process. */
export function findProgram(name: string): string | undefined {
  if (found.has(name)) return found.get(name);
  const directories = [
    ...(process.env["PATH"] ?? "").split(":").filter((dir) => dir.startsWith("/")),
    ...USUAL,
  ];
  const program = directories.map((directory) => `${directory}/${name}`).find(isExecutable);
  found.set(name, program);
  return program;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
