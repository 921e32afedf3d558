import type { ByteString } from "../../core/index.ts";
import {
  AttrSet,
  NO_POS,
  PathValue,
  Thunk,
  call1,
  force,
  forceAttrs,
  forceString,
  forceStringNoContext,
  isFunctionValue,
  makeString,
  textOf,
  updateAttrs,
  type Env,
  type Runtime,
  type Slot,
  type Value,
} from "../value/index.ts";
import { failure } from "./define.ts";
import { treeRequest, treeValue } from "./fetch.ts";
import { fetchInput } from "./fetchInput.ts";
import { formatFlakeReference, parseFlakeReference, type FlakeAttributes } from "./flakeReference.ts";
import { parseLockFile, type LockFile, type LockNode } from "./lockFile.ts";

/** What a flake's tree is, and where in it the flake lies. */
interface FlakeTree {
  readonly sourceInfo: AttrSet;
  /** As the lock file writes it: `…-source/./sub`. */
  readonly outPath: ByteString;
  /** The store path that `outPath` refers to. */
  readonly storePath: ByteString;
}

const NO_INPUTS: LockFile = {
  root: "root",
  nodes: new Map([["root", { inputs: new Map(), isFlake: true }]]),
};

/** `builtins.getFlake`: the outputs of a flake, with its inputs as `flake.lock` pins them. @throws EvalError */
export function getFlake(runtime: Runtime, argument: Slot): Value {
  const value = force(argument);
  const text =
    value instanceof PathValue
      ? value.path
      : forceStringNoContext(value, NO_POS, "while evaluating the argument passed to builtins.getFlake");
  const attributes = parseFlakeReference(text);
  const dir = takeDir(attributes);
  if (runtime.settings.isPure && !fetchInput(attributes).isLocked)
    throw failure(
      `cannot call 'getFlake' on unlocked flake reference '${text}', at «none»:0 (use --impure to override)`,
    );
  const tree = fetchFlakeTree(runtime, attributes, dir, "getFlake");
  const flake = readFlake(runtime, tree, formatFlakeReference(attributes));
  const lockPath = canonical(`${tree.outPath}/flake.lock`);
  const lock =
    runtime.host.fileType(lockPath) === undefined
      ? NO_INPUTS
      : parseLockFile(runtime.host.readFile(lockPath), lockPath);
  checkLock(flake, lock, text);
  return force(new FlakeGraph(runtime, lock, tree).resultOf(lock.root));
}

/** The flakes of a lock file, each made when it is first asked for. */
class FlakeGraph {
  readonly #runtime: Runtime;
  readonly #lock: LockFile;
  readonly #trees = new Map<string, FlakeTree>();
  readonly #results = new Map<string, Slot>();

  constructor(runtime: Runtime, lock: LockFile, root: FlakeTree) {
    this.#runtime = runtime;
    this.#lock = lock;
    this.#trees.set(lock.root, root);
  }

  resultOf(name: string): Slot {
    const known = this.#results.get(name);
    if (known !== undefined) return known;
    const result = later(() => this.#compute(name));
    this.#results.set(name, result);
    return result;
  }

  #compute(name: string): Value {
    const node = this.#node(name);
    const tree = this.#treeOf(name);
    const outPath = makeString(tree.outPath, new Set([tree.storePath]));
    const own = new Map<string, Slot>([
      ["sourceInfo", tree.sourceInfo],
      ["outPath", outPath],
    ]);
    if (!node.isFlake) return updateAttrs(tree.sourceInfo, AttrSet.fromMap(own));
    const flake = readFlake(this.#runtime, tree, tree.outPath);
    const inputs = new Map<string, Slot>();
    for (const [input, target] of node.inputs)
      inputs.set(
        input,
        later(() => force(this.resultOf(this.#follow(target)))),
      );
    const makeOutputs = force(flake.get("outputs") ?? null);
    if (!isFunctionValue(makeOutputs))
      throw failure(`flake '${tree.outPath}' has outputs that are no function`);
    const argument = AttrSet.fromMap(new Map(inputs).set("self", this.resultOf(name)));
    const outputs = later(() => call1(makeOutputs, argument, NO_POS));
    own.set("inputs", AttrSet.fromMap(inputs)).set("outputs", outputs).set("_type", "flake");
    const made = forceAttrs(outputs, NO_POS, "while evaluating the outputs of a flake");
    return updateAttrs(updateAttrs(made, tree.sourceInfo), AttrSet.fromMap(own));
  }

  #treeOf(name: string): FlakeTree {
    const known = this.#trees.get(name);
    if (known !== undefined) return known;
    const node = this.#node(name);
    if (node.locked === undefined) throw failure(`lock file has no locked reference of '${name}'`);
    const attributes: FlakeAttributes = new Map(node.locked);
    const dir = takeDir(attributes);
    const path = attributes.get("path");
    const isRelative = attributes.get("type") === "path" && typeof path === "string" && !path.startsWith("/");
    const tree = isRelative
      ? this.#relativeTree(node, path, dir)
      : fetchFlakeTree(this.#runtime, attributes, dir, "fetchTree", true);
    this.#trees.set(name, tree);
    return tree;
  }

  /** A flake within its parent's tree. */
  #relativeTree(node: LockNode, path: ByteString, dir: ByteString): FlakeTree {
    const parent = this.#treeOf(this.#follow(node.parent ?? []));
    const base = path === "" ? parent.outPath : `${parent.outPath}/${path}`;
    const real = canonical(base);
    if (real !== parent.storePath && !real.startsWith(`${parent.storePath}/`))
      throw failure(`relative path '${path}' points outside of its flake's tree '${parent.storePath}'`);
    return { ...parent, outPath: dir === "" ? base : `${base}/${dir}` };
  }

  /** A node's name, or a path of inputs from the root. */
  #follow(target: string | readonly string[], depth = 0): string {
    if (typeof target === "string") return target;
    if (depth > 256) throw failure("lock file has inputs that follow each other in a circle");
    let name = this.#lock.root;
    for (const step of target) {
      const next = this.#node(name).inputs.get(step);
      if (next === undefined) throw failure(`lock file has no input '${step}' of '${name}'`);
      name = this.#follow(next, depth + 1);
    }
    return name;
  }

  #node(name: string): LockNode {
    const node = this.#lock.nodes.get(name);
    if (node === undefined) throw failure(`lock file references missing node '${name}'`);
    return node;
  }
}

function fetchFlakeTree(
  runtime: Runtime,
  attributes: FlakeAttributes,
  dir: ByteString,
  who: string,
  isFinal = false,
): FlakeTree {
  const request = treeRequest(runtime, attributes, who);
  const result = runtime.host.fetch({ ...request, isFinal });
  const sourceInfo = treeValue(result, false);
  if (!(sourceInfo instanceof AttrSet)) throw new Error("a fetched tree is no set");
  const { storePath } = result;
  return { sourceInfo, storePath, outPath: dir === "" ? storePath : `${storePath}/${dir}` };
}

function readFlake(runtime: Runtime, tree: FlakeTree, shown: string): AttrSet {
  const file = canonical(`${tree.outPath}/flake.nix`);
  if (!file.startsWith(`${tree.storePath}/`) || runtime.host.fileType(file) === undefined)
    throw failure(`source tree referenced by '${shown}' does not contain a '/flake.nix' file`);
  const flake = forceAttrs(runtime.importFile(file, NO_POS), NO_POS, `while evaluating the flake '${shown}'`);
  if (flake.get("outputs") === undefined) throw failure(`flake '${shown}' lacks attribute 'outputs'`);
  return flake;
}

/** Inputs that `flake.lock` does not pin would have to be looked up: locking is not there yet. */
function checkLock(flake: AttrSet, lock: LockFile, shown: string): void {
  const locked = lock.nodes.get(lock.root)?.inputs ?? new Map<string, unknown>();
  const inputs = flake.get("inputs");
  const refuse = (name: string): never => {
    throw failure(
      `cannot use input '${name}' of flake '${shown}': flake.lock does not pin it as flake.nix asks, and locking is not built yet`,
    );
  };
  if (inputs !== undefined)
    forceAttrs(inputs, NO_POS, "while evaluating the inputs of a flake").forEachSorted((name, slot) => {
      const target = locked.get(name);
      if (target === undefined) return refuse(name);
      const url = forceAttrs(slot, NO_POS, `while evaluating flake input '${name}'`).get("url");
      if (url === undefined || typeof target !== "string") return undefined;
      const text = textOf(forceString(url, NO_POS, `while evaluating the URL of flake input '${name}'`));
      const original = lock.nodes.get(target)?.original;
      if (original === undefined || RELATIVE.test(text)) return undefined;
      if (isSame(parseFlakeReference(text), original)) return undefined;
      return refuse(name);
    });
  const outputs = force(flake.get("outputs") ?? null);
  const formals = isFunctionValue(outputs) && "code" in outputs ? (outputs.code.formals ?? []) : [];
  for (const { name } of formals) if (name !== "self" && !locked.has(name)) refuse(name);
  const asked = new Set(formals.map(({ name }) => name));
  if (inputs !== undefined)
    forceAttrs(inputs, NO_POS, "while evaluating the inputs of a flake").forEachSorted((name) =>
      asked.add(name),
    );
  for (const name of locked.keys()) if (!asked.has(name)) refuse(name);
}

/** A place within the flake's own tree. */
const RELATIVE = /^\.{1,2}(?:\/|$)|^path:(?!\/)/;

function isSame(a: FlakeAttributes, b: FlakeAttributes): boolean {
  return a.size === b.size && [...a].every(([name, value]) => b.get(name) === value);
}

function takeDir(attributes: FlakeAttributes): ByteString {
  const dir = attributes.get("dir");
  attributes.delete("dir");
  return typeof dir === "string" ? dir.replace(/^\/+|\/+$/g, "") : "";
}

function canonical(path: ByteString): ByteString {
  const parts: ByteString[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

function later(compute: () => Value): Thunk {
  return new Thunk(runLater, [compute]);
}

function runLater([compute]: Env): Value {
  return (compute as () => Value)();
}
