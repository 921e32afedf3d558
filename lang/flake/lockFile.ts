import { bytesOfText, textOfBytes, type ByteString, shownUrl } from "../../core/index.ts";
import { failure } from "../builtins/define.ts";
import { describeAttributes, type FlakeAttributes } from "./flakeReference.ts";
import {
  attributesOf,
  flakeReference,
  isLockedReference,
  relativePathOf,
  showReference,
  type FlakeReference,
} from "./reference.ts";

/** Names of inputs from the root flake on: `nixpkgs/lib`. */
export type InputPath = readonly string[];

/** A flake or tree in a lock file's graph; identity is what makes two inputs the same node. */
export interface LockNode {
  /** Input name → the node itself, or whose input it follows. */
  readonly inputs: Map<string, LockEdge>;
  /** `undefined` for the root. */
  readonly pin: LockPin | undefined;
}

export type LockEdge = LockNode | InputPath;

export interface LockPin {
  /** What was found. */
  readonly locked: FlakeReference;
  /** What was asked for. */
  readonly original: FlakeReference;
  readonly isFlake: boolean;
  /** The flake whose tree a relative path lies in. */
  readonly parent: InputPath | undefined;
}

export function isFollowed(edge: LockEdge): edge is InputPath {
  return Array.isArray(edge);
}

export function emptyLock(): LockNode {
  return { inputs: new Map(), pin: undefined };
}

const MAX_DEPTH = 1000;

/**
 * Reads a `flake.lock` of versions 5 to 7.
 * @param warn for entries that only their hash pins
 * @throws EvalError where a text is no lock file
 */
export function parseLockFile(
  bytes: ByteString,
  path: ByteString,
  warn: (message: string) => void,
): LockNode {
  let parsed: unknown;
  try {
    parsed = JSON.parse(textOfBytes(bytes));
  } catch (cause) {
    throw failure(`Could not parse '${path}': ${cause instanceof Error ? cause.message : "it is no JSON"}`);
  }
  const file = recordOf(parsed, path);
  const version = file.get("version") ?? 0;
  if (typeof version !== "number" || version < 5 || version > 7)
    throw failure(`lock file '${path}' has unsupported version ${JSON.stringify(version)}`);
  const rootName = file.get("root");
  if (typeof rootName !== "string") throw failure(`lock file '${path}' has no root`);
  const nodes = recordOf(file.get("nodes"), path);
  const root = emptyLock();
  const known = new Map<string, LockNode>([[bytesOfText(rootName), root]]);
  const visit = (node: LockNode, json: ReadonlyMap<string, unknown>, depth: number): void => {
    if (depth > MAX_DEPTH) throw failure(`lock file '${path}' is nested too deeply`);
    for (const [name, target] of recordOf(json.get("inputs") ?? {}, path)) {
      if (typeof target !== "string") {
        node.inputs.set(name, pathOf(target, path));
        continue;
      }
      const key = bytesOfText(target);
      if (key === bytesOfText(rootName)) throw failure("lock file contains cycle to root node");
      let child = known.get(key);
      if (child === undefined) {
        const entry = nodes.get(key);
        if (entry === undefined) throw failure(`lock file references missing node '${key}'`);
        const record = recordOf(entry, path);
        child = { inputs: new Map(), pin: pinOf(record, path, warn) };
        known.set(key, child);
        visit(child, record, depth + 1);
      }
      node.inputs.set(name, child);
    }
  };
  visit(root, recordOf(nodes.get(bytesOfText(rootName)) ?? {}, path), 0);
  return root;
}

function pinOf(
  node: ReadonlyMap<string, unknown>,
  path: ByteString,
  warn: (message: string) => void,
): LockPin {
  const part = (name: string): FlakeAttributes => {
    if (!node.has(name)) throw failure(`attribute '${name}' missing in lock file`);
    return readAttributes(node.get(name), path);
  };
  const pinned = part("locked");
  // of version 5
  if (node.has("info"))
    for (const [name, value] of readAttributes(node.get("info"), path)) pinned.set(name, value);
  const locked = flakeReference(pinned);
  const parent = node.get("parent");
  if (relativePathOf(locked) === undefined && !isLockedReference(locked)) {
    if (!locked.attributes.has("narHash"))
      throw failure(
        `Lock file contains unlocked input '${describeAttributes(locked.attributes)}'. Use '--allow-dirty-locks' to accept this lock file.`,
      );
    warn(
      `Lock file entry '${shownUrl(showReference(locked))}' is unlocked (e.g. lacks a Git revision) but is checked by NAR hash. This is not reproducible and will break after garbage collection or when shared.`,
    );
  }
  return {
    locked,
    original: flakeReference(part("original")),
    isFlake: node.get("flake") !== false,
    parent: parent === undefined ? undefined : pathOf(parent, path),
  };
}

function pathOf(value: unknown, path: ByteString): InputPath {
  if (!Array.isArray(value))
    throw failure(`lock file '${path}' has an input that is neither a name nor a path`);
  return value.map((step: unknown) => {
    if (typeof step !== "string")
      throw failure(`lock file '${path}' has a path of inputs that is not of strings`);
    return bytesOfText(step);
  });
}

/** A reference's attributes as a JSON object has them. @throws EvalError */
export function readAttributes(value: unknown, path: ByteString): FlakeAttributes {
  const attributes: FlakeAttributes = new Map();
  for (const [name, attribute] of recordOf(value, path)) {
    if (name === "__final") continue;
    if (typeof attribute === "string") attributes.set(name, bytesOfText(attribute));
    else if (typeof attribute === "boolean") attributes.set(name, attribute);
    else if (typeof attribute === "number" && Number.isSafeInteger(attribute) && attribute >= 0)
      attributes.set(name, BigInt(attribute));
    else throw failure(`'${path}' has an attribute '${name}' of an unsupported type`);
  }
  return attributes;
}

function recordOf(value: unknown, path: ByteString): Map<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw failure(`lock file '${path}' is not laid out as a lock file`);
  return new Map(Object.entries(value).map(([name, item]): [string, unknown] => [bytesOfText(name), item]));
}

/** JSON as data that keeps names that look like numbers in their place; objects are printed sorted. */
export type LockJson = string | bigint | boolean | readonly LockJson[] | ReadonlyMap<string, LockJson>;

/** A lock file as JSON, and the name of each node in it. */
export function lockJson(root: LockNode): {
  readonly json: ReadonlyMap<string, LockJson>;
  readonly names: ReadonlyMap<LockNode, string>;
} {
  const nodes = new Map<string, LockJson>();
  const names = new Map<LockNode, string>();
  const used = new Set<string>();
  const visit = (wanted: string, node: LockNode): string => {
    const known = names.get(node);
    if (known !== undefined) return known;
    let name = wanted;
    for (let count = 2; used.has(name); count++) name = `${wanted}_${count}`;
    used.add(name);
    names.set(node, name);
    const fields = new Map<string, LockJson>();
    if (node.inputs.size > 0) {
      const inputs = new Map<string, LockJson>();
      for (const [input, edge] of sortedInputs(node))
        inputs.set(input, isFollowed(edge) ? edge : visit(input, edge));
      fields.set("inputs", inputs);
    }
    if (node.pin !== undefined) {
      fields.set("original", attributesOf(node.pin.original)).set("locked", attributesOf(node.pin.locked));
      if (!node.pin.isFlake) fields.set("flake", false);
      if (node.pin.parent !== undefined) fields.set("parent", node.pin.parent);
    }
    nodes.set(name, fields);
    return name;
  };
  const name = visit("root", root);
  const json = new Map<string, LockJson>([
    ["version", 7n],
    ["root", name],
    ["nodes", nodes],
  ]);
  return { json, names };
}

/** The text of `flake.lock`. */
export function printLockFile(root: LockNode): ByteString {
  return `${printLockJson(lockJson(root).json)}\n`;
}

const COMPACT = "compact";

/** @param indent of its lines; "compact" for one line without spaces */
export function printLockJson(value: LockJson, indent = ""): ByteString {
  if (typeof value === "string") return bytesOfText(JSON.stringify(textOfBytes(value)));
  if (typeof value !== "object") return String(value);
  const isMap = value instanceof Map;
  const isCompact = indent === COMPACT;
  const inner = isCompact ? COMPACT : `${indent}  `;
  const colon = isCompact ? ":" : ": ";
  const items = isMap
    ? [...(value as ReadonlyMap<string, LockJson>)]
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, item]) => `${printLockJson(name, inner)}${colon}${printLockJson(item, inner)}`)
    : (value as readonly LockJson[]).map((item) => printLockJson(item, inner));
  const [open, close] = isMap ? "{}" : "[]";
  if (items.length === 0) return `${open}${close}`;
  return isCompact
    ? `${open}${items.join(",")}${close}`
    : `${open}\n${inner}${items.join(`,\n${inner}`)}\n${indent}${close}`;
}

export function sortedInputs(node: LockNode): [string, LockEdge][] {
  return [...node.inputs].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

export function showInputPath(path: InputPath): string {
  return path.join("/");
}

/** The node that a path of inputs leads to. @throws EvalError where inputs follow each other in a circle */
export function findInput(
  root: LockNode,
  path: InputPath,
  visited: readonly InputPath[] = [],
): LockNode | undefined {
  const shown = showInputPath(path);
  const seen = visited.findIndex((each) => showInputPath(each) === shown);
  if (seen >= 0)
    throw failure(
      `follow cycle detected: [${[...visited.slice(seen), path].map(showInputPath).join(" -> ")}]`,
    );
  const chain = [...visited, path];
  let node = root;
  for (const step of path) {
    const edge = node.inputs.get(step);
    const next = edge === undefined ? undefined : isFollowed(edge) ? findInput(root, edge, chain) : edge;
    if (next === undefined) return undefined;
    node = next;
  }
  return node;
}

/** Every input with its path from the root, nodes that several inputs share only once followed. */
export function allInputs(root: LockNode): [InputPath, LockEdge][] {
  const done = new Set<LockNode>();
  const found: [InputPath, LockEdge][] = [];
  const visit = (prefix: InputPath, node: LockNode): void => {
    if (done.has(node)) return;
    done.add(node);
    for (const [name, edge] of sortedInputs(node)) {
      const path = [...prefix, name];
      found.push([path, edge]);
      if (!isFollowed(edge)) visit(path, edge);
    }
  };
  visit([], root);
  return found.toSorted(([a], [b]) => comparePaths(a, b));
}

/** @throws EvalError where an input follows one that is not there */
export function checkFollows(root: LockNode): void {
  for (const [path, edge] of allInputs(root))
    if (isFollowed(edge) && edge.length > 0 && findInput(root, edge) === undefined)
      throw failure(`input '${showInputPath(path)}' follows a non-existent input '${showInputPath(edge)}'`);
}

export function comparePaths(a: InputPath, b: InputPath): number {
  for (let at = 0; at < a.length && at < b.length; at++) if (a[at] !== b[at]) return a[at]! < b[at]! ? -1 : 1;
  return a.length - b.length;
}
