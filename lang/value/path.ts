import type { ByteString } from "../../core/index.ts";

/** Removes `.`, `..`, doubled and trailing slashes of an absolute path, without looking at the disk. */
export function canonicalPath(path: ByteString): ByteString {
  if (!/\/(\.{0,2}(\/|$))/.test(path)) return path;
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") parts.pop();
    else parts.push(part);
  }
  return `/${parts.join("/")}`;
}
