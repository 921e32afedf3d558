import { fstatSync } from "node:fs";
import { readPart, writePart } from "./elfFile.ts";

const MAX_LOADER_BYTES = 16 << 20;

/** Whether a file is glibc's dynamic loader itself, by its name in the tree. */
export function isLoaderPath(path: string): boolean {
  return /\/(?:ld-linux[^/]*\.so\.\d+|ld-\d[^/]*\.so)$/.test(path);
}

/**
 * Makes the loader forget the machine's libraries: its cache, its preload file and its default directories are
 * overwritten, at equal length, with names that do not exist.
 * @returns how many strings were overwritten
 */
export function patchLoader(fd: number, triplet: string): number {
  const size = fstatSync(fd).size;
  const bytes = size > MAX_LOADER_BYTES ? undefined : readPart(fd, 0, size);
  if (bytes === undefined) throw new Error("The loader is too large to patch");
  const directories = (root: string, usr: string): string =>
    [`${root}/${triplet}/`, `${usr}/${triplet}/`, `${root}/`, `${usr}/`].join("\0");
  const changes: readonly (readonly [string, string])[] = [
    ["/etc/ld.so.cache\0", "/nonexistent/ldc\0"],
    ["/etc/ld.so.preload\0", "/nonexistent/ldpre\0"],
    [`${directories("/lib", "/usr/lib")}\0`, `${directories("/non", "/non/lib")}\0`],
  ];
  let count = 0;
  for (const [from, to] of changes) {
    if (from.length !== to.length) throw new Error(`"${from}" and "${to}" differ in length`);
    const replacement = Buffer.from(to, "latin1");
    for (
      let at = bytes.indexOf(from, 0, "latin1");
      at >= 0;
      at = bytes.indexOf(from, at + from.length, "latin1")
    ) {
      writePart(fd, at, replacement);
      count++;
    }
  }
  return count;
}
