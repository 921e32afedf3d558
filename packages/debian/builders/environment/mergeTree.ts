import {
  copyFileSync,
  linkSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { posix } from "node:path";
import { DevshellError, fsPath } from "../../../../core/index.ts";
import { HIDDEN_DIRECTORY, readManifest, type ManifestEntry, type ManifestFile } from "../manifest.ts";

/** What lies where in an environment that is being made. */
export interface Tree {
  /** The environment's directory, without a trailing slash. */
  readonly root: string;
  readonly nodes: Map<string, TreeNode>;
}

export type TreeNode =
  | { readonly kind: "directory" }
  | { readonly kind: "link"; readonly target: string; readonly owner: string }
  | { readonly kind: "file"; readonly file: ManifestFile; readonly owner: string };

/** Top-level names that point into the merged /usr. */
const MERGED = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] as const;
/** What PATH shows. */
const PROGRAM_DIRECTORY = /^\/usr\/(?:s?bin|games)\/[^/]+$/;
const MAX_LINKS = 40;
const NO_LINK_ERRORS = new Set(["EXDEV", "EMLINK", "EPERM", "ENOTSUP", "EOPNOTSUPP", "EACCES"]);

/**
 * Joins packages into one tree: directories are real, files are hard links to the packages' (copies where the file
 * system refuses), links are made anew. Programs that were setuid are left out: they cannot work and would hide the
 * machine's.
 * @throws {DevshellError} `DEBIAN_FILE_CONFLICT` where two packages differ about a file
 */
export function mergeTree(root: string, packages: readonly string[]): Tree {
  const tree: Tree = { root, nodes: new Map([["/", { kind: "directory" }]]) };
  mkdirSync(fsPath(root), { recursive: true });
  for (const packagePath of packages) {
    const aliases = new Map<string, string>();
    for (const entry of readManifest(packagePath)) {
      const parent = posix.dirname(entry.path);
      const place = posix.join(aliases.get(parent) ?? parent, posix.basename(entry.path));
      addEntry(tree, packagePath, entry, place, aliases);
    }
  }
  makeDirectory(tree, "/usr");
  for (const name of ["bin", "sbin", "lib", "lib64"]) makeDirectory(tree, `/usr/${name}`);
  for (const name of MERGED)
    if (isDirectory(tree, `/usr/${name}`)) makeLink(tree, `/${name}`, `usr/${name}`, "devshell");
  return tree;
}

export function isDirectory(tree: Tree, path: string): boolean {
  return tree.nodes.get(path)?.kind === "directory";
}

/** Makes a directory and those above it. */
function makeDirectory(tree: Tree, path: string): void {
  if (tree.nodes.get(path)?.kind === "directory") return;
  makeDirectory(tree, posix.dirname(path));
  mkdirSync(fsPath(tree.root + path), { recursive: true });
  tree.nodes.set(path, { kind: "directory" });
}

/** Removes a file or link; never what a hard link shares. */
export function removeNode(tree: Tree, place: string): void {
  rmSync(fsPath(tree.root + place), { force: true });
  tree.nodes.delete(place);
}

/** Writes a file of the environment's own in place of what is there (a link's or package's content stays whole). */
export function writeNode(tree: Tree, path: string, content: string, isExecutable = false): void {
  const known = tree.nodes.get(path);
  if (known?.kind === "directory") throw new Error(`${path} is a directory`);
  // The entry keeps its place in the map: callers may be walking it.
  if (known !== undefined) rmSync(fsPath(tree.root + path), { force: true });
  makeDirectory(tree, posix.dirname(path));
  writeFileSync(fsPath(tree.root + path), content, {
    encoding: "latin1",
    mode: isExecutable ? 0o555 : 0o444,
  });
  const file: ManifestFile = {
    kind: "file",
    path,
    isExecutable,
    wasSetId: false,
    isScript: content.startsWith("#!"),
    isText: true,
    sizeBytes: content.length,
  };
  tree.nodes.set(path, { kind: "file", file, owner: "devshell" });
}

/** Makes a symbolic link unless something is there already. */
export function makeLink(tree: Tree, path: string, target: string, owner: string): boolean {
  if (tree.nodes.has(path)) return false;
  makeDirectory(tree, posix.dirname(path));
  symlinkSync(fsPath(target), fsPath(tree.root + path));
  tree.nodes.set(path, { kind: "link", target, owner });
  return true;
}

/** Follows links in the tree, in every component. `undefined` where the way ends or leaves the tree. */
export function resolveInTree(tree: Tree, path: string): string | undefined {
  let left = path.split("/").filter((part) => part !== "");
  let at = "/";
  for (let links = 0; left.length > 0;) {
    const [part = "", ...rest] = left;
    left = rest;
    if (part === "..") {
      at = posix.dirname(at);
      continue;
    }
    const next = posix.join(at, part);
    const node = tree.nodes.get(next);
    if (node === undefined) return undefined;
    if (node.kind === "link") {
      if (++links > MAX_LINKS || node.target.startsWith("/")) return undefined;
      left = [...node.target.split("/").filter((name) => name !== "" && name !== "."), ...left];
    } else at = next;
  }
  return at;
}

function addEntry(
  tree: Tree,
  packagePath: string,
  entry: ManifestEntry,
  place: string,
  aliases: Map<string, string>,
): void {
  const known = tree.nodes.get(place);
  switch (entry.kind) {
    case "directory":
      addDirectory(tree, packagePath, entry.path, place, known, aliases);
      return;
    case "link":
      // As dpkg does, a directory that is there wins over a link to one.
      if (known?.kind === "directory") return;
      if (known?.kind === "link" && known.target === entry.target) return;
      if (known !== undefined && !replaces(tree, packagePath, known, place)) return;
      symlinkSync(fsPath(entry.target), fsPath(tree.root + place));
      tree.nodes.set(place, { kind: "link", target: entry.target, owner: packagePath });
      return;
    case "file":
      if (entry.wasSetId && PROGRAM_DIRECTORY.test(place)) return;
      if (known !== undefined) {
        if (known.kind === "file" && isSameFile(known, packagePath, entry)) return;
        if (!replaces(tree, packagePath, known, place)) return;
      }
      linkOrCopy(packagePath + entry.path, tree.root + place);
      tree.nodes.set(place, { kind: "file", file: { ...entry, path: place }, owner: packagePath });
  }
}

function addDirectory(
  tree: Tree,
  packagePath: string,
  path: string,
  place: string,
  known: TreeNode | undefined,
  aliases: Map<string, string>,
): void {
  if (known === undefined) {
    mkdirSync(fsPath(tree.root + place));
    tree.nodes.set(place, { kind: "directory" });
  } else if (known.kind === "link") {
    // As dpkg does: what goes into the directory goes where the link points.
    const target = resolveInTree(tree, place);
    if (target === undefined || !isDirectory(tree, target)) throw conflict(place, known.owner, packagePath);
    aliases.set(path, target);
    return;
  } else if (known.kind === "file") throw conflict(place, known.owner, packagePath);
  if (place !== path) aliases.set(path, place);
}

function isSameFile(
  known: Extract<TreeNode, { kind: "file" }>,
  packagePath: string,
  entry: ManifestFile,
): boolean {
  if (known.file.sizeBytes !== entry.sizeBytes) return false;
  return readFileSync(fsPath(known.owner + known.file.path)).equals(
    readFileSync(fsPath(packagePath + entry.path)),
  );
}

/**
 * Settles who owns a path that two packages have: one that says it replaces the other. Removes the old entry and
 * returns true where the new one wins.
 */
function replaces(tree: Tree, packagePath: string, known: TreeNode, place: string): boolean {
  if (known.kind === "directory") throw conflict(place, "another package", packagePath);
  const mine = readControl(packagePath);
  const theirs = readControl(known.owner);
  if (theirs.replaces.has(mine.name)) return false;
  if (!mine.replaces.has(theirs.name)) throw conflict(place, known.owner, packagePath);
  removeNode(tree, place);
  return true;
}

function readControl(packagePath: string): { readonly name: string; readonly replaces: ReadonlySet<string> } {
  const text = readFileSync(fsPath(`${packagePath}/${HIDDEN_DIRECTORY}/control`), "latin1").replace(
    /\n[ \t]+/g,
    " ",
  );
  const field = (name: string): string => new RegExp(`^${name}:[ \t]*(.*)$`, "im").exec(text)?.[1] ?? "";
  const names = field("Replaces")
    .split(",")
    .map((name) => name.trim().replace(/[\s(:].*$/s, ""));
  return { name: field("Package").trim(), replaces: new Set(names.filter((name) => name !== "")) };
}

function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(fsPath(from), fsPath(to));
  } catch (error) {
    if (!(error instanceof Error) || !NO_LINK_ERRORS.has((error as NodeJS.ErrnoException).code ?? ""))
      throw error;
    copyFileSync(fsPath(from), fsPath(to));
  }
}

function conflict(place: string, first: string, second: string): DevshellError {
  return new DevshellError(
    "DEBIAN_FILE_CONFLICT",
    `Cannot join packages: "${place}" differs between "${posix.basename(first)}" and "${posix.basename(second)}"`,
    { hint: "leave one of them out, or put them into two environments" },
  );
}

/** Takes note of what a program has put into a directory (not below it). */
export function adoptDirectory(tree: Tree, directory: string): void {
  if (!isDirectory(tree, directory)) return;
  for (const entry of readdirSync(fsPath(tree.root + directory), {
    withFileTypes: true,
    encoding: "latin1",
  })) {
    const path = `${directory}/${entry.name}`;
    if (tree.nodes.has(path) || !entry.isFile()) continue;
    const file = { isExecutable: false, wasSetId: false, isScript: false, isText: false, sizeBytes: 0 };
    tree.nodes.set(path, { kind: "file", file: { kind: "file", path, ...file }, owner: "devshell" });
  }
}
