import { formatHash, nameProblem, shownUrl, type ByteString, type Hash } from "../../core/index.ts";
import type { ContextElement, FetchRequest, FetchResult } from "../host.ts";
import {
  AttrSet,
  NO_POS,
  PathValue,
  Thunk,
  coerceToString,
  evalError,
  force,
  forceBool,
  forceAttrs,
  forceStringNoContext,
  isInteger,
  isStringValue,
  makeString,
  showType,
  type Env,
  type Pos,
  type Runtime,
  type Slot,
  type Value,
} from "../value/index.ts";
import { printJson } from "../print/index.ts";
import { define1, failure, type Definition } from "./define.ts";
import { fetchInput } from "../flake/fetchInput.ts";
import { parseFlakeReference, type FlakeAttributes } from "../flake/flakeReference.ts";
import { parseHashAllowEmpty } from "./hashes.ts";
import { isStorePath } from "./storePaths.ts";

type FetchAttributes = Map<ByteString, ByteString | bigint | boolean>;

export function fetchBuiltins(runtime: Runtime): readonly Definition[] {
  return [
    define1("fetchurl", "arg", "Downloads a file into the store.", (_, arg) =>
      fetchFile(runtime, arg, "fetchurl"),
    ),
    define1(
      "fetchTarball",
      "args",
      "Downloads and unpacks an archive into the store.",
      (_, args) => fetchFile(runtime, args, "fetchTarball"),
      { isGlobal: true },
    ),
    define1(
      "fetchGit",
      "args",
      "Copies a revision of a Git repository into the store.",
      (pos, args) => fetchTree(runtime, args, "fetchGit", pos),
      { isGlobal: true },
    ),
    define1(
      "fetchTree",
      "input",
      "Fetches a tree as a flake's input is fetched.",
      (pos, input) => fetchTree(runtime, input, "fetchTree", pos),
      { isGlobal: true, feature: "fetch-tree" },
    ),
    define1(
      "fetchMercurial",
      "args",
      "Copies a revision of a Mercurial repository into the store.",
      (_, args) => fetchMercurial(runtime, args),
      { isGlobal: true },
    ),
    define1(
      "fetchClosure",
      "args",
      "Copies a store path and its closure from a binary cache.",
      (_, args) => fetchClosure(runtime, args),
      { feature: "fetch-closure" },
    ),
  ];
}

function fetchFile(runtime: Runtime, argument: Slot, who: "fetchurl" | "fetchTarball"): Value {
  const value = force(argument);
  let url: string | undefined;
  let sha256: Hash | undefined;
  let name: string | undefined;
  if (value instanceof AttrSet) {
    value.forEachSorted((attribute, slot, pos) => {
      if (attribute === "url")
        url = forceStringNoContext(slot, pos, "while evaluating the url we should fetch");
      else if (attribute === "sha256")
        sha256 = parseHashAllowEmpty(
          forceStringNoContext(slot, pos, "while evaluating the sha256 of the content we should fetch"),
          "sha256",
          (message) => runtime.host.warn(message),
        );
      else if (attribute === "name")
        name = forceStringNoContext(slot, pos, "while evaluating the name of the content we should fetch");
      else throw failure(`unsupported argument '${attribute}' to '${who}'`);
    });
    if (url === undefined) throw failure("'url' argument required");
  } else url = forceStringNoContext(value, NO_POS, "while evaluating the url we should fetch");
  const storeName =
    name !== undefined && name !== ""
      ? name
      : who === "fetchTarball" && name === undefined
        ? "source"
        : url.slice(url.replace(/\/+$/, "").lastIndexOf("/") + 1).replace(/\/+$/, "");
  const problem = nameProblem(storeName);
  if (problem !== undefined) {
    const remedy =
      name !== undefined
        ? `Please change the value for the 'name' attribute passed to '${who}', so that it can create a valid store path.`
        : value instanceof AttrSet
          ? `Please add a valid 'name' attribute to the argument for '${who}', so that it can create a valid store path.`
          : `Please pass an attribute set with 'url' and 'name' attributes to '${who}',  so that it can create a valid store path.`;
    throw failure(`invalid store path name when fetching URL '${shownUrl(url)}': ${problem}. ${remedy}`);
  }
  if (runtime.settings.isPure && sha256 === undefined)
    throw failure(`in pure evaluation mode, '${who}' requires a 'sha256' argument`);
  const attributes: FetchAttributes = new Map<string, string>([
    ["url", url],
    ["name", storeName],
  ]);
  if (sha256 !== undefined) attributes.set("sha256", formatHash(sha256, "sri"));
  const kind = who === "fetchurl" ? "url" : "tarball";
  return pathString(runtime.host.fetch({ kind, attributes }).storePath);
}

function fetchTree(runtime: Runtime, argument: Slot, who: "fetchGit" | "fetchTree", pos: Pos): Value {
  const isGit = who === "fetchGit";
  let attributes: FlakeAttributes = new Map();
  const value = force(argument);
  if (value instanceof AttrSet) collectTreeAttributes(runtime, value, who, attributes);
  else {
    const url = coerceToString(
      runtime,
      value,
      new Set(),
      NO_POS,
      `while evaluating the first argument passed to '${who}'`,
      { copyToStore: false },
    );
    if (isGit) attributes.set("url", url).set("type", "git");
    else if (runtime.settings.features.has("flakes")) attributes = parseFlakeReference(url);
    else throw failure(`passing a string argument to '${who}' requires the 'flakes' experimental feature`);
  }
  if (isGit && !attributes.has("exportIgnore") && attributes.get("submodules") !== true)
    attributes.set("exportIgnore", true);
  const tree = runtime.host.fetch(treeRequest(runtime, attributes, who));
  runtime.host.useTime?.(tree.storePath);
  return treeValue(tree, isGit, pos);
}

/** What the host is asked for a tree; only what is locked, where evaluation is pure. @throws EvalError */
export function treeRequest(runtime: Runtime, given: FlakeAttributes, who: string): FetchRequest {
  const { attributes, reference, isLocked } = fetchInput(resolved(runtime, given));
  const url = attributes.get("url");
  if (attributes.get("type") !== "git" && typeof url === "string" && /^file:(?!\/)/.test(url))
    throw evalError(
      "eval",
      `tarball '${shownUrl(url)}' must use an absolute path. The 'file' scheme does not support relative paths.`,
      NO_POS,
      { frame: `while fetching the input '${shownUrl(reference)}'` },
    );
  if (runtime.settings.isPure && !isLocked) {
    if (!attributes.has("narHash"))
      throw failure(
        `in pure evaluation mode, '${who}' doesn't fetch unlocked input '${shownUrl(reference)}'`,
      );
    runtime.host.warn(
      `Input '${shownUrl(reference)}' is unlocked (e.g. lacks a Git revision) but is checked by NAR hash. This is not reproducible and will break after garbage collection or when shared.`,
    );
  }
  return { kind: attributes.get("type") === "git" ? "git" : "tree", attributes, reference };
}

/** What an indirect input stands for; where evaluation is pure, there are no registries. */
function resolved(runtime: Runtime, given: FlakeAttributes): FlakeAttributes {
  const { host, settings } = runtime;
  if (given.get("type") !== "indirect" || settings.isPure || host.resolveFlake === undefined) return given;
  return host.resolveFlake(fetchInput(given).attributes, "limited").attributes;
}

function collectTreeAttributes(
  runtime: Runtime,
  set: AttrSet,
  who: "fetchGit" | "fetchTree",
  attributes: FlakeAttributes,
): void {
  const isGit = who === "fetchGit";
  const typeSlot = set.get("type");
  if (typeSlot !== undefined && isGit) throw failure("unexpected argument 'type'");
  if (typeSlot === undefined && !isGit) throw failure(`argument 'type' is missing in call to '${who}'`);
  attributes.set(
    "type",
    typeSlot === undefined
      ? "git"
      : forceStringNoContext(
          typeSlot,
          set.posOf("type"),
          `while evaluating the \`type\` argument passed to '${who}'`,
        ),
  );
  set.forEachSorted((name, slot, pos) => {
    if (name === "type") return;
    const value = force(slot, pos);
    if (isStringValue(value) || value instanceof PathValue)
      attributes.set(name, coerceToString(runtime, value, new Set(), pos, "", { copyToStore: false }));
    else if (typeof value === "boolean") attributes.set(name, value);
    else if (isInteger(value)) {
      if (value < 0) throw failure(`negative value given for '${who}' argument '${name}': ${value}`);
      attributes.set(name, BigInt(value));
    } else if (name === "publicKeys") {
      if (!runtime.settings.features.has("verified-fetches"))
        throw failure(
          "experimental Nix feature 'verified-fetches' is disabled; add '--extra-experimental-features verified-fetches' to enable it",
        );
      attributes.set(name, printJson(runtime, value, new Set(), pos));
    } else
      throw evalError(
        "type",
        `argument '${name}' to '${who}' is ${showType(value)} while a string, Boolean or integer is expected`,
      );
  });
  if (attributes.get("type") === "git" && !isGit && !attributes.has("shallow"))
    attributes.set("shallow", true);
  if (!isGit && attributes.has("name")) throw failure(`argument 'name' isn’t supported in call to '${who}'`);
}

const NO_REVISION = "0".repeat(40);

function runCount([count]: Env): Value {
  return Number((count as () => bigint)());
}

/** The set a fetched tree is. @param hasFallback a working tree that is not committed gets a revision of zeros */
export function treeValue(result: FetchResult, hasFallback: boolean, pos: Pos = NO_POS): Value {
  const { storePath, attributes } = result;
  const values = new Map<string, Slot>([["outPath", pathString(storePath)]]);
  const copy = (name: string): void => {
    const value = attributes.get(name);
    if (value !== undefined) values.set(name, typeof value === "bigint" ? Number(value) : value);
  };
  copy("narHash");
  copy("submodules");
  const rev = attributes.get("rev") ?? (hasFallback ? NO_REVISION : undefined);
  if (typeof rev === "string") {
    values.set("rev", rev);
    values.set("shortRev", rev.slice(0, 7));
  }
  copy("revCount");
  if (result.revCount !== undefined) values.set("revCount", new Thunk(runCount, [result.revCount]));
  else if (!values.has("revCount") && hasFallback) values.set("revCount", 0);
  copy("dirtyRev");
  copy("dirtyShortRev");
  const lastModified = attributes.get("lastModified");
  if (typeof lastModified === "bigint") {
    values.set("lastModified", Number(lastModified));
    const date = new Date(Number(lastModified) * 1000).toISOString();
    values.set("lastModifiedDate", date.replace(/[-:T]/g, "").slice(0, 14));
  }
  const names = [...values.keys()];
  return AttrSet.of(
    names,
    [...values.values()],
    names.map(() => pos),
  );
}

function fetchMercurial(runtime: Runtime, argument: Slot): Value {
  const attributes: FetchAttributes = new Map([["name", "source"]]);
  const value = force(argument);
  const context = new Set<ContextElement>();
  if (value instanceof AttrSet) {
    value.forEachSorted((name, slot, pos) => {
      const frame = `while evaluating the \`${name}\` attribute passed to builtins.fetchMercurial`;
      if (name === "url")
        attributes.set("url", coerceToString(runtime, slot, context, pos, frame, { copyToStore: false }));
      else if (name === "rev") {
        const rev = forceStringNoContext(slot, pos, frame);
        attributes.set(/^[0-9a-fA-F]{40}$/.test(rev) ? "rev" : "ref", rev);
      } else if (name === "name") attributes.set("name", forceStringNoContext(slot, pos, frame));
      else throw evalError("eval", `unsupported argument '${name}' to 'fetchMercurial'`, pos);
    });
    if ((attributes.get("url") ?? "") === "") throw failure("'url' argument required");
  } else
    attributes.set(
      "url",
      coerceToString(
        runtime,
        value,
        context,
        NO_POS,
        "while evaluating the first argument passed to builtins.fetchMercurial",
        { copyToStore: false },
      ),
    );
  if (runtime.settings.isPure && !attributes.has("rev"))
    throw failure("in pure evaluation mode, 'fetchMercurial' requires a Mercurial revision");
  const url = String(attributes.get("url"));
  if (!url.includes("://")) attributes.set("url", `file://${url}`);
  const result = runtime.host.fetch({ kind: "mercurial", attributes });
  const values = new Map<string, Slot>([["outPath", pathString(result.storePath)]]);
  const branch = result.attributes.get("ref");
  if (typeof branch === "string") values.set("branch", branch);
  const rev = result.attributes.get("rev");
  const shown = typeof rev === "string" ? rev : NO_REVISION;
  values.set("rev", shown);
  values.set("shortRev", shown.slice(0, 12));
  const revCount = result.attributes.get("revCount");
  if (typeof revCount === "bigint") values.set("revCount", Number(revCount));
  return AttrSet.fromMap(values);
}

function fetchClosure(runtime: Runtime, argument: Slot): Value {
  const set = forceAttrs(argument, NO_POS, "while evaluating the argument passed to builtins.fetchClosure");
  const attributes: FetchAttributes = new Map();
  set.forEachSorted((name, slot, pos) => {
    const frame = `while evaluating the attribute '${name}' passed to builtins.fetchClosure`;
    if (name === "fromPath" || (name === "toPath" && force(slot, pos) !== "")) {
      const path = coerceToString(runtime, slot, new Set(), pos, frame, { copyToStore: false });
      if (!isStorePath(runtime.host.storeDir, path))
        throw evalError("eval", `path '${path}' is not in the Nix store`, NO_POS, { frame, framePos: pos });
      attributes.set(name, path);
    } else if (name === "toPath") attributes.set(name, "");
    else if (name === "fromStore") attributes.set(name, forceStringNoContext(slot, pos, frame));
    else if (name === "inputAddressed") attributes.set(name, forceBool(slot, pos, frame));
    else throw failure(`attribute '${name}' isn't supported in call to 'fetchClosure'`);
  });
  const require = (required: string): void => {
    if (!attributes.has(required))
      throw failure(`attribute '${required}' is missing in call to 'fetchClosure'`);
  };
  require("fromPath");
  if (attributes.get("inputAddressed") === true && attributes.has("toPath"))
    throw failure(
      "attribute 'inputAddressed' is set to true, but 'toPath' is also set. Please remove one of them",
    );
  require("fromStore");
  const url = String(attributes.get("fromStore"));
  if (!/^(?:https?|file):\/\//.test(url))
    throw failure("'fetchClosure' only supports http:// and https:// stores");
  if (url.includes("?"))
    throw failure(`'fetchClosure' does not support URL query parameters (in '${shownUrl(url)}')`);
  return pathString(runtime.host.fetch({ kind: "closure", attributes }).storePath);
}

function pathString(storePath: ByteString): Value {
  return makeString(storePath, new Set([storePath]));
}
