import type { ByteString } from "../../core/index.ts";
import { failure } from "../builtins/define.ts";
import { treeRequest, treeValue } from "../builtins/fetch.ts";
import {
  AttrSet,
  NO_POS,
  Thunk,
  call1,
  canonicalPath,
  delay,
  force,
  forceAttrs,
  isFunctionValue,
  makeString,
  pathUse,
  updateAttrs,
  watchNames,
  type Runtime,
  type Slot,
  type Value,
} from "../value/index.ts";
import type { FlakeAttributes } from "./flakeReference.ts";
import { findInput, isFollowed, sortedInputs, type LockNode } from "./lockFile.ts";
import { relativePathOf } from "./reference.ts";
import type { LockedFlake } from "./types.ts";

/** A node's tree in the store, and where in it the flake lies. */
interface FlakeTree {
  readonly sourceInfo: AttrSet;
  /** As Nix writes it: `…-source/./sub`. */
  readonly outPath: ByteString;
  /** The store path that `outPath` refers to. */
  readonly storePath: ByteString;
  /** Whether it may have changes that are not committed: `sourceInfo` then has other names. */
  readonly isWorkTree: boolean;
}

/** Names of `sourceInfo` that say whether a work tree has such changes. */
const NAMES_OF_STATE: ReadonlySet<string> = new Set([
  "rev",
  "shortRev",
  "revCount",
  "dirtyRev",
  "dirtyShortRev",
]);

/** A locked flake's value: its outputs, with `inputs`, `outPath`, `sourceInfo` and the like. @throws EvalError */
export function callFlake(runtime: Runtime, locked: LockedFlake): AttrSet {
  const value = force(new FlakeGraph(runtime, locked).resultOf(locked.lock));
  if (!(value instanceof AttrSet)) throw new Error("a flake is no set");
  return value;
}

/** The flakes of a lock file, each made when it is first asked for. */
class FlakeGraph {
  readonly #runtime: Runtime;
  readonly #locked: LockedFlake;
  readonly #trees = new Map<LockNode, FlakeTree>();
  readonly #results = new Map<LockNode, Slot>();

  constructor(runtime: Runtime, locked: LockedFlake) {
    this.#runtime = runtime;
    this.#locked = locked;
  }

  resultOf(node: LockNode): Slot {
    const known = this.#results.get(node);
    if (known !== undefined) return known;
    const result = delay(() => this.#compute(node));
    this.#results.set(node, result);
    return result;
  }

  #compute(node: LockNode): Value {
    const tree = this.#treeOf(node);
    const { outPath, storePath, sourceInfo } = tree;
    const own = new Map<string, Slot>([
      ["sourceInfo", watched(tree, sourceInfo)],
      ["outPath", toldOf(storePath, makeString(outPath, new Set([storePath])))],
    ]);
    if (node.pin?.isFlake === false) return watched(tree, updateAttrs(sourceInfo, AttrSet.fromMap(own)));
    const file = canonicalPath(`${outPath}/flake.nix`);
    const flake = forceAttrs(
      this.#runtime.importFile(file, NO_POS),
      NO_POS,
      `while evaluating the flake '${outPath}'`,
    );
    const makeOutputs = force(flake.get("outputs") ?? null);
    if (!isFunctionValue(makeOutputs)) throw failure(`flake '${outPath}' has outputs that are no function`);
    const inputs = new Map<string, Slot>();
    for (const [name, edge] of sortedInputs(node))
      inputs.set(
        name,
        delay(() => {
          const target = isFollowed(edge) ? findInput(this.#locked.lock, edge) : edge;
          if (target === undefined) throw failure(`lock file has no input '${(edge as string[]).join("/")}'`);
          return force(this.resultOf(target));
        }),
      );
    const argument = AttrSet.fromMap(new Map(inputs).set("self", this.resultOf(node)));
    const outputs = new Thunk(() => call1(makeOutputs, argument, NO_POS), null);
    own.set("inputs", AttrSet.fromMap(inputs)).set("outputs", outputs).set("_type", "flake");
    const made = forceAttrs(outputs, NO_POS, "while evaluating the outputs of a flake");
    return watched(tree, updateAttrs(updateAttrs(made, sourceInfo), AttrSet.fromMap(own)));
  }

  #treeOf(node: LockNode): FlakeTree {
    const known = this.#trees.get(node);
    if (known !== undefined) return known;
    const directory = this.#locked.directories.get(node);
    const tree = directory === undefined ? this.#pinnedTree(node) : this.#fetchedTree(node, directory);
    this.#trees.set(node, tree);
    return tree;
  }

  /** What locking fetched: it may be more than the lock says, as a work tree is. */
  #fetchedTree(node: LockNode, directory: ByteString): FlakeTree {
    const { storeDir } = this.#runtime.host;
    const storePath = `${storeDir}/${directory.slice(storeDir.length + 1).split("/")[0] ?? ""}`;
    const { flake, isUnwritten } = this.#locked;
    const attributes: FlakeAttributes = new Map((node.pin?.locked ?? flake.locked).attributes);
    if (attributes.get("type") === "git" && !attributes.has("submodules"))
      attributes.set("submodules", false);
    if (node.pin === undefined && isUnwritten)
      for (const name of ["rev", "revCount"]) attributes.delete(name);
    return {
      sourceInfo: this.#treeSet({ storePath, attributes }),
      storePath,
      outPath: directory,
      isWorkTree: attributes.get("type") === "git",
    };
  }

  #pinnedTree(node: LockNode): FlakeTree {
    const { pin } = node;
    if (pin === undefined) throw new Error("a lock file's root is always fetched");
    const { locked } = pin;
    const relative = relativePathOf(locked);
    if (relative !== undefined) {
      const parent = findInput(this.#locked.lock, pin.parent ?? []);
      if (parent === undefined) throw failure("lock file has a relative input without its parent");
      return inTree(this.#treeOf(parent), relative, locked.dir);
    }
    const request = treeRequest(this.#runtime, locked.attributes, "fetchTree");
    const result = this.#runtime.host.fetch({ ...request, isFinal: true });
    const { storePath } = result;
    const outPath = locked.dir === "" ? storePath : `${storePath}/${locked.dir}`;
    return { sourceInfo: this.#treeSet(result), storePath, outPath, isWorkTree: false };
  }

  #treeSet(result: Parameters<typeof treeValue>[0]): AttrSet {
    const value = treeValue(result, false);
    if (!(value instanceof AttrSet)) throw new Error("a fetched tree is no set");
    const { storePath } = result;
    const { host } = this.#runtime;
    return value.mapSlots((name, slot) => {
      if (!name.startsWith("lastModified") || host.useTime === undefined) return toldOf(storePath, slot);
      return new Thunk(() => {
        host.useTime?.(storePath);
        return force(toldOf(storePath, slot));
      }, null);
    });
  }
}

/** A flake within its parent's tree. */
function inTree(parent: FlakeTree, path: ByteString, dir: ByteString): FlakeTree {
  const base = path === "" ? parent.outPath : `${parent.outPath}/${path}`;
  const real = canonicalPath(base);
  if (real !== parent.storePath && !real.startsWith(`${parent.storePath}/`))
    throw failure(`relative path '${path}' points outside of its flake's tree '${parent.storePath}'`);
  return { ...parent, outPath: dir === "" ? base : `${base}/${dir}` };
}

/** A set with the names of a tree's `sourceInfo`; where these are asked for, who asks is told of. */
function watched({ storePath, isWorkTree }: FlakeTree, set: AttrSet): AttrSet {
  const { tell } = pathUse;
  return isWorkTree && tell !== undefined ? watchNames(set, NAMES_OF_STATE, () => tell(storePath)) : set;
}

/** What tells which tree a flake is; where that is asked, who asks is told of. */
function toldOf(storePath: ByteString, slot: Slot): Slot {
  if (pathUse.tell === undefined) return slot;
  return new Thunk(() => {
    pathUse.tell?.(storePath);
    return force(slot);
  }, null);
}
