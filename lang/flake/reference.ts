import type { ByteString } from "../../core/index.ts";
import { failure } from "../builtins/define.ts";
import { fetchInput } from "./fetchInput.ts";
import { formatFlakeReference, type FlakeAttributes } from "./flakeReference.ts";

/** A tree and where in it a flake lies. */
export interface FlakeReference {
  /** `type`, `url`, `owner`, `rev`, …, without `dir`. */
  readonly attributes: FlakeAttributes;
  /** The flake's directory within its tree, "" for the tree's own. */
  readonly dir: ByteString;
}

/** Takes attributes apart, as a parsed URL or a lock file gives them. @throws EvalError */
export function flakeReference(given: FlakeAttributes): FlakeReference {
  const attributes: FlakeAttributes = new Map(given);
  const dir = attributes.get("dir");
  attributes.delete("dir");
  if (dir !== undefined && typeof dir !== "string") throw failure("input attribute 'dir' is not a string");
  if (attributes.get("type") === "indirect") checkId(attributes);
  return { attributes: fetchInput(attributes).attributes, dir: dir ?? "" };
}

/** All of a reference's attributes, `dir` among them where it is not empty. */
export function attributesOf({ attributes, dir }: FlakeReference): FlakeAttributes {
  return dir === "" ? new Map(attributes) : new Map(attributes).set("dir", dir);
}

/** The URL form. */
export function showReference(reference: FlakeReference): string {
  return formatFlakeReference(attributesOf(reference));
}

export function isSameReference(a: FlakeReference, b: FlakeReference): boolean {
  return a.dir === b.dir && isSameAttributes(a.attributes, b.attributes);
}

export function isSameAttributes(a: FlakeAttributes, b: FlakeAttributes): boolean {
  return a.size === b.size && [...a].every(([name, value]) => b.get(name) === value);
}

/** Old lock files repeat `dir` in the URL: such a reference is the same as one that does not. */
export function canonicalReference(reference: FlakeReference): FlakeReference {
  const url = reference.attributes.get("url");
  if (typeof url !== "string" || reference.dir === "") return reference;
  const mark = url.indexOf("?");
  if (mark < 0) return reference;
  const location = url.slice(0, mark);
  const query = url.slice(mark + 1);
  const parameters = query.split("&").filter((parameter) => parameter !== `dir=${reference.dir}`);
  const rest = parameters.length === 0 ? location : `${location}?${parameters.join("&")}`;
  return { dir: reference.dir, attributes: new Map(reference.attributes).set("url", rest) };
}

/** The path of a `path:` reference that lies in the tree of the flake that names it. */
export function relativePathOf({ attributes }: FlakeReference): ByteString | undefined {
  if (attributes.get("type") !== "path") return undefined;
  const path = attributes.get("path");
  return typeof path === "string" && !path.startsWith("/") ? path : undefined;
}

/** Always the same tree: it has a revision, or the hash of its content. */
export function isLockedReference({ attributes }: FlakeReference): boolean {
  return fetchInput(attributes).isLocked;
}

function checkId(attributes: FlakeAttributes): void {
  const id = attributes.get("id");
  if (typeof id === "string" && !/^[a-zA-Z][a-zA-Z0-9_-]*$/.test(id))
    throw failure(`'${id}' is not a valid flake ID`);
}
