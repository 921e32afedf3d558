import { posix } from "node:path";
import { archiveError, show } from "./archiveError.ts";

/** Directories that Debian merged into /usr. */
const MERGED = new Set(["bin", "sbin", "lib", "lib32", "lib64", "libo32", "libx32"]);

/** Kernel and run-time places that are the machine's, whatever the tree: links to them stay as they are. */
const MACHINE = /^\/(?:dev|proc|sys|run|tmp)(?:\/|$)/;

/** Moves an absolute path of the tree into the merged /usr: `/lib/x` is `/usr/lib/x`. */
export function mergeUsr(path: string): string {
  const second = path.indexOf("/", 1);
  const first = path.slice(1, second < 0 ? undefined : second);
  return MERGED.has(first) ? `/usr${path}` : path;
}

/**
 * The absolute path in the tree that an archive's name stands for, before the merge of /usr.
 * @throws {DevshellError} `DEBIAN_ARCHIVE_INVALID` for a name that leaves the tree or cannot be one
 */
export function pathOfEntry(name: string): string {
  if (name === "" || name.includes("\0")) throw archiveError(`an entry has the name ${show(name)}`);
  const parts: string[] = [];
  for (const part of name.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") throw archiveError(`the name ${show(name)} leaves the tree`);
    if (part.length > 255) throw archiveError(`the name ${show(name)} is too long`);
    parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/**
 * What a symbolic link at `place` (its name in the archive, absolute) must say in the merged tree: relative, so that
 * it holds in the package's own path and in every environment. `undefined` where it would point at itself
 * (`/bin → usr/bin`).
 */
export function relocateLink(place: string, target: string): string | undefined {
  if (target === "" || target.includes("\0")) throw archiveError(`${show(place)} is a link to nothing`);
  if (target.startsWith("/") && MACHINE.test(target)) return target;
  const merged = mergeUsr(place);
  const absolute = mergeUsr(posix.resolve(posix.dirname(place), target));
  if (absolute === merged) return undefined;
  return posix.relative(posix.dirname(merged), absolute) || ".";
}
