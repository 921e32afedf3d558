import { lstatSync, readdirSync, statSync } from "node:fs";
import { DevshellError, fsPath, textOfBytes, type ByteString } from "../../core/index.ts";
import { isInStore, splitStorePath, storePathName } from "../../store/index.ts";
import { stringOf, tell, type FetchContext, type FetchedTree, type InputAttributes } from "./types.ts";

/** Copies a path of this machine into the store. @throws {DevshellError} `FETCH_PATH` */
export function fetchPathTree(attributes: InputAttributes, context: FetchContext): FetchedTree {
  const given = stringOf(attributes, "path") ?? "";
  if (!given.startsWith("/"))
    throw new DevshellError(
      "FETCH_PATH",
      `cannot fetch input 'path:${given}' because it uses a relative path`,
    );
  const path = canonical(given);
  const { store } = context;
  if (isInStore(store.storeDir, path)) {
    const { storePath, rest } = splitStorePath(store.storeDir, path);
    if (rest === "" && storePathName(storePath) === "source" && store.isValidPath(storePath)) {
      if (!attributes.has("lastModified")) attributes.set("lastModified", 0n);
      return { storePath, attributes, inputs: [] };
    }
  }
  if (statSync(fsPath(path), { throwIfNoEntry: false }) === undefined)
    throw new DevshellError("FETCH_PATH", `path '${path}' does not exist`);
  const { inputs, newest } = walk(path);
  tell(context, "chatty", `copying '${textOfBytes(path)}' to the store`);
  const storePath = store.addPath(path, { name: "source", method: "nar" });
  if (!attributes.has("lastModified")) attributes.set("lastModified", newest);
  return { storePath, attributes, inputs };
}

function canonical(path: ByteString): ByteString {
  const parts: ByteString[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/** Every entry of a tree, and the newest time among them, in seconds. */
function walk(root: ByteString): { inputs: ByteString[]; newest: bigint } {
  const inputs: ByteString[] = [];
  let newest = 0n;
  const queue = [root];
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    const stat = lstatSync(fsPath(path), { bigint: true });
    inputs.push(path);
    const seconds = stat.mtimeNs / 1_000_000_000n;
    if (seconds > newest) newest = seconds;
    if (!stat.isDirectory()) continue;
    for (const entry of readdirSync(fsPath(path), { encoding: "buffer" }))
      queue.push(`${path === "/" ? "" : path}/${entry.toString("latin1")}`);
  }
  return { inputs, newest };
}
