import { lstatSync, readlinkSync } from "node:fs";
import { dirname, normalize, resolve } from "node:path";
import { bytesOfText, fsPath, type ByteString } from "../../core/index.ts";
import { isInStore, splitStorePath, type DerivedPath, type StorePath } from "../../store/index.ts";

const MAX_LINKS = 1024;

/** The store path that a word names: itself, something inside it, or a link to it. */
export function storePathOf(storeDir: string, word: string): StorePath {
  return splitStorePath(storeDir, inStore(storeDir, word)).storePath;
}

/** `/nix/store/….drv!out,dev`, a path, or a link to one; a derivation alone means all its outputs. */
export function derivedPathOf(storeDir: string, word: string): DerivedPath {
  const at = word.lastIndexOf("!");
  const path = storePathOf(storeDir, at < 0 ? word : word.slice(0, at));
  const outputs = at < 0 ? undefined : word.slice(at + 1);
  if (!path.endsWith(".drv")) return { kind: "opaque", path };
  return {
    kind: "built",
    drvPath: path,
    outputs: outputs === undefined || outputs === "*" || outputs === "" ? "*" : outputs.split(","),
  };
}

/** Follows symlinks on the way until the path lies in the store; links inside the store stay as they are. */
export function inStore(storeDir: string, word: string): ByteString {
  let path = bytesOfText(resolve(word));
  for (let links = 0; links < MAX_LINKS && !isInStore(storeDir, path); links++) {
    const link = firstLink(path);
    if (link === undefined) break;
    const target = readlinkSync(fsPath(link), "latin1");
    path = normalize(
      `${target.startsWith("/") ? target : `${dirname(link)}/${target}`}${path.slice(link.length)}`,
    );
  }
  return path;
}

function firstLink(path: ByteString): ByteString | undefined {
  for (let end = path.indexOf("/", 1); ; end = path.indexOf("/", end + 1)) {
    const prefix = end < 0 ? path : path.slice(0, end);
    if (lstatSync(fsPath(prefix), { throwIfNoEntry: false })?.isSymbolicLink() === true) return prefix;
    if (end < 0) return undefined;
  }
}
