import { lstatSync } from "node:fs";
import { fsPath, type ByteString } from "../core/index.ts";
import type { TrackedInput } from "./types.ts";

/** A tree of this machine that was copied into the store to be evaluated. */
interface CopiedTree {
  /** Where it lies outside of the store. */
  readonly root: ByteString;
  /** What of it was copied. */
  readonly entries: ReadonlySet<ByteString>;
  /** Of that, what evaluation read. */
  readonly read: Set<ByteString>;
  /** Directories that it found: they are there as long as anything of theirs is. */
  readonly found: Set<ByteString>;
  /** Its place in the store, or anything else that depends on all of it, became part of the result. */
  isUsed: boolean;
}

/** Read without evaluation being asked, or deciding what is copied. */
const ALWAYS_READ = /\/(?:flake\.nix|flake\.lock|\.gitattributes|\.gitmodules)$|\/\.git(?:\/|$)/;

/**
 * What evaluation does with trees that were copied into the store. A change to a file that was never read changes no
 * more than the tree's place in the store: who does not use that place does not depend on the file.
 */
export class CopiedTrees {
  #storePrefix: string;
  readonly #trees = new Map<ByteString, CopiedTree>();
  #followed: CopiedTree | undefined;

  constructor(storeDir: string) {
    this.#storePrefix = `${storeDir}/`;
  }

  useStore(storeDir: string): void {
    this.#storePrefix = `${storeDir}/`;
  }

  add(storePath: ByteString, root: ByteString, entries: readonly ByteString[]): void {
    if (this.#trees.has(storePath)) return;
    const within = entries.filter((entry) => entry === root || entry.startsWith(`${root}/`));
    this.#trees.set(storePath, {
      root,
      entries: new Set(within),
      read: new Set(),
      found: new Set(),
      isUsed: false,
    });
  }

  /** Of this tree, only what is read counts. @param path in the store, in the tree */
  follow(path: ByteString): void {
    this.#followed = this.#find(path)?.tree;
  }

  forget(): void {
    this.#trees.clear();
    this.#followed = undefined;
  }

  /** A file was read. */
  read(path: ByteString): void {
    const found = this.#find(path);
    if (found !== undefined) found.tree.read.add(found.origin);
  }

  /** It was asked what there is at a path. */
  look(path: ByteString, type: string | undefined): void {
    const found = this.#find(path);
    if (found === undefined) return;
    if (found.origin === found.tree.root) return;
    if (type === "directory") found.tree.found.add(found.origin);
    else if (type === undefined) found.tree.isUsed = true;
    else found.tree.read.add(found.origin);
  }

  /** A path's own text, or all that it holds, matters. */
  use(path: ByteString): void {
    const found = this.#find(path);
    if (found !== undefined) found.tree.isUsed = true;
  }

  /**
   * Leaves out what the result does not depend on; adds what the way to it depends on.
   * @param isCopied whether an input was read for nothing but to copy a tree
   */
  reduce(
    inputs: readonly TrackedInput[],
    isCopied: (input: TrackedInput) => boolean,
  ): readonly TrackedInput[] {
    const tree = this.#followed;
    if (tree === undefined || tree.isUsed) return inputs;
    const counts = (input: TrackedInput): boolean =>
      input.kind === "variable" ||
      !isCopied(input) ||
      !tree.entries.has(input.path) ||
      tree.read.has(input.path) ||
      directoriesAbove(input.path, tree.root).some((path) => tree.found.has(path)) ||
      ALWAYS_READ.test(input.path);
    if ([...tree.read].some((path) => !tree.entries.has(path))) return inputs;
    const kept = inputs.filter(counts);
    const known = new Set(kept.map((input) => ("path" in input ? `${input.kind} ${input.path}` : "")));
    const ways = [...[...tree.read].map(parentOf), ...tree.found].flatMap((path) =>
      directoriesAbove(path, tree.root),
    );
    for (const path of new Set(ways)) {
      // A link where a directory was leads elsewhere.
      if (lstatSync(fsPath(path), { throwIfNoEntry: false })?.isDirectory() !== true) return inputs;
      if (!known.has(`direct ${path}`)) kept.push({ kind: "direct", path });
    }
    return kept;
  }

  #find(path: ByteString): { readonly tree: CopiedTree; readonly origin: ByteString } | undefined {
    if (this.#trees.size === 0 || !path.startsWith(this.#storePrefix)) return undefined;
    const slash = path.indexOf("/", this.#storePrefix.length);
    const tree = this.#trees.get(slash < 0 ? path : path.slice(0, slash));
    if (tree === undefined) return undefined;
    return { tree, origin: slash < 0 ? tree.root : tree.root + path.slice(slash) };
  }
}

/** The directories between a tree's root and a path of it, the path included. */
function directoriesAbove(path: ByteString, root: ByteString): ByteString[] {
  const directories: ByteString[] = [];
  for (let at = path; at.length > root.length; at = parentOf(at)) directories.push(at);
  return directories;
}

function parentOf(path: ByteString): ByteString {
  return path.slice(0, path.lastIndexOf("/"));
}
