import { textOfBytes, bytesOfText, type ByteString } from "../../core/index.ts";
import { failure } from "./define.ts";
import type { FlakeAttributes } from "./flakeReference.ts";

/** A `flake.lock` of versions 5 to 7. */
export interface LockFile {
  readonly root: string;
  readonly nodes: ReadonlyMap<string, LockNode>;
}

export interface LockNode {
  /** Input name → a node's name, or a path of inputs from the root (`follows`). */
  readonly inputs: ReadonlyMap<string, string | readonly string[]>;
  readonly isFlake: boolean;
  /** What was found; without it: the root. */
  readonly locked?: FlakeAttributes | undefined;
  /** What was asked for. */
  readonly original?: FlakeAttributes | undefined;
  /** The flake whose tree a relative path lies in, as a path of inputs from the root. */
  readonly parent?: readonly string[] | undefined;
}

/** @throws EvalError where a text is no lock file */
export function parseLockFile(bytes: ByteString, path: ByteString): LockFile {
  let parsed: unknown;
  try {
    parsed = JSON.parse(textOfBytes(bytes));
  } catch {
    throw failure(`cannot parse lock file '${path}': it is no JSON`);
  }
  const file = recordOf(parsed, path);
  const version = file.get("version");
  if (typeof version !== "number" || version < 5 || version > 7)
    throw failure(`lock file '${path}' has unsupported version ${String(version)}`);
  const root = file.get("root");
  if (typeof root !== "string") throw failure(`lock file '${path}' has no root`);
  const nodes = new Map<string, LockNode>();
  for (const [name, node] of recordOf(file.get("nodes"), path))
    nodes.set(name, parseNode(recordOf(node, path), path));
  if (!nodes.has(root)) throw failure(`lock file '${path}' references missing node '${root}'`);
  return { root, nodes };
}

function parseNode(node: ReadonlyMap<string, unknown>, path: ByteString): LockNode {
  const inputs = new Map<string, string | readonly string[]>();
  for (const [name, target] of recordOf(node.get("inputs") ?? {}, path))
    inputs.set(name, typeof target === "string" ? bytesOfText(target) : pathOf(target, path));
  const parent = node.get("parent");
  return {
    inputs,
    isFlake: node.get("flake") !== false,
    locked: node.has("locked") ? attributesOf(node.get("locked"), path) : undefined,
    original: node.has("original") ? attributesOf(node.get("original"), path) : undefined,
    parent: parent === undefined ? undefined : pathOf(parent, path),
  };
}

function pathOf(value: unknown, path: ByteString): string[] {
  if (!Array.isArray(value))
    throw failure(`lock file '${path}' has an input that is neither a name nor a path`);
  return value.map((step: unknown) => {
    if (typeof step !== "string")
      throw failure(`lock file '${path}' has a path of inputs that is not of strings`);
    return bytesOfText(step);
  });
}

function attributesOf(value: unknown, path: ByteString): FlakeAttributes {
  const attributes: FlakeAttributes = new Map();
  for (const [name, attribute] of recordOf(value, path)) {
    if (name === "__final") continue;
    if (typeof attribute === "string") attributes.set(name, bytesOfText(attribute));
    else if (typeof attribute === "boolean") attributes.set(name, attribute);
    else if (typeof attribute === "number" && Number.isSafeInteger(attribute) && attribute >= 0)
      attributes.set(name, BigInt(attribute));
    else throw failure(`lock file '${path}' has an attribute '${name}' of an unsupported type`);
  }
  return attributes;
}

function recordOf(value: unknown, path: ByteString): Map<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw failure(`lock file '${path}' is not laid out as a lock file`);
  return new Map(Object.entries(value).map(([name, item]): [string, unknown] => [bytesOfText(name), item]));
}
