import {
  DevshellError,
  formatHash,
  parseHash,
  textOfBytes,
  type ByteString,
  shownUrl,
} from "../../core/index.ts";
import { makeFixedOutputPath } from "../../store/index.ts";
import { fetchFileTree, fetchTarballTree } from "./downloads.ts";
import { fetchForgeTree, isForge } from "./forges.ts";
import { fetchGitTree } from "./git.ts";
import { lockInput } from "./lockInput.ts";
import { fetchMercurialTree } from "./mercurial.ts";
import { fetchPathTree } from "./path.ts";
import { stringOf, type FetchContext, type FetchedTree, type InputAttributes } from "./types.ts";

/**
 * Fetches an input of any type into the store, and checks it against what the input says of it.
 * @param reference its URL form, for messages
 * @throws {DevshellError} `FETCH_…`
 */
export async function fetchTree(
  given: InputAttributes,
  reference: ByteString,
  context: FetchContext,
): Promise<FetchedTree> {
  const known = fetchTreeNow(given, reference, context);
  if (known !== undefined) return known;
  const beganMs = Date.now();
  const lock = await lockInput(given, reference, context.signal);
  try {
    const tree = await fetchByType(new Map(given), { ...context, beganMs });
    return finishTree(given, tree, reference, context);
  } finally {
    lock.discard();
  }
}

/** As {@link fetchTree}, where nothing has to be waited for: what the store holds, and paths; else `undefined`. */
export function fetchTreeNow(
  given: InputAttributes,
  reference: ByteString,
  context: FetchContext,
): FetchedTree | undefined {
  const expected = stringOf(given, "narHash");
  if (context.isFinal === true && expected !== undefined) {
    const storePath = makeFixedOutputPath(context.store.storeDir, stringOf(given, "name") ?? "source", {
      method: "nar",
      hash: parseHash(expected),
    });
    if (context.store.isValidPath(storePath))
      return { storePath, attributes: finalAttributes(given, expected), inputs: [] };
  }
  if (given.get("type") !== "path") return undefined;
  return finishTree(given, fetchPathTree(new Map(given), context), reference, context);
}

/** Checks a tree against what its input says. */
function finishTree(
  given: InputAttributes,
  tree: FetchedTree,
  reference: ByteString,
  context: FetchContext,
): FetchedTree {
  const expected = stringOf(given, "narHash");
  const narHash = formatHash(context.store.pathInfo(tree.storePath).narHash, "sri");
  if (expected !== undefined && expected !== narHash)
    throw new DevshellError(
      "FETCH_HASH_MISMATCH",
      `NAR hash mismatch in input '${textOfBytes(shownUrl(reference))}', expected '${expected}' but got '${narHash}'`,
      { exitStatus: 102 },
    );
  if (context.isFinal === true)
    return {
      storePath: tree.storePath,
      attributes: new Map(given).set("narHash", narHash),
      inputs: tree.inputs,
    };
  tree.attributes.set("narHash", narHash);
  return tree;
}

/** What a lock file says, and nothing that a fetcher would have found out besides. */
function finalAttributes(given: InputAttributes, narHash: string): InputAttributes {
  const attributes: InputAttributes = new Map(given).set("narHash", narHash);
  if (given.get("type") === "git") attributes.set("submodules", given.get("submodules") === true);
  return attributes;
}

async function fetchByType(attributes: InputAttributes, context: FetchContext): Promise<FetchedTree> {
  const type = stringOf(attributes, "type") ?? "";
  if (isForge(type)) return fetchForgeTree(attributes, context);
  switch (type) {
    case "git":
      return fetchGitTree(attributes, context);
    case "tarball":
      return fetchTarballTree(attributes, context);
    case "file":
      return fetchFileTree(attributes, context);
    case "hg":
      return fetchMercurialTree(attributes, context);
    case "indirect":
      throw new DevshellError(
        "FETCH_INDIRECT",
        `indirect input 'flake:${stringOf(attributes, "id") ?? ""}' cannot be fetched directly`,
      );
    default:
      throw new DevshellError("FETCH_TYPE", `Cannot fetch an input of type '${type}'`);
  }
}
