import { lstatSync } from "node:fs";
import {
  DevshellError,
  bytesOfText,
  fsPath,
  textOfBytes,
  type ByteString,
  shownUrl,
} from "../../core/index.ts";
import { formatFlakeReference, type FetchRequest, type FetchResult } from "../../lang/index.ts";
import { typeOf, type InputTracker } from "../inputTracker.ts";
import { locate, type FetchedTree, type InputAttributes } from "../fetch/index.ts";
import type { TreeDisplay, TreeOrigin } from "./treeDisplay.ts";
import type { SyncTask, SyncTaskReply, WireValue } from "./syncTask.ts";

export interface TreeFetcherOptions {
  readonly run: (task: SyncTask) => Exclude<SyncTaskReply, { kind: "failed" }>;
  /** What needs no waiting for is done at once, in this process; `undefined`: the task is run. */
  readonly fetchNow: (
    attributes: InputAttributes,
    reference: ByteString,
    isFinal: boolean,
  ) => FetchedTree | undefined;
  readonly tracker: InputTracker;
  /** Told where what is in the store now came from. */
  readonly trees: TreeDisplay;
}

/** Fetches trees (`fetchGit`, `fetchTree`, `fetchMercurial`), each input once an evaluation. */
export class TreeFetcher {
  readonly #options: TreeFetcherOptions;
  readonly #known = new Map<string, FetchResult>();
  /** What trees were read from. */
  readonly #tracked = new Set<ByteString>();
  /** Trees whose time is the newest of their files', and those. */
  readonly #timed = new Map<ByteString, readonly ByteString[]>();

  constructor(options: TreeFetcherOptions) {
    this.#options = options;
  }

  /** What is fetched from now on is fetched anew: files that were fetched have been written. */
  forget(): void {
    this.#known.clear();
    this.#options.tracker.forget(this.#tracked);
    this.#options.tracker.trees.forget();
    this.#tracked.clear();
    this.#timed.clear();
  }

  /** That when a tree was last changed matters: a file that was only touched then does, too. */
  useTime(storePath: ByteString): void {
    for (const path of this.#timed.get(storePath) ?? []) this.#options.tracker.touched(path);
  }

  fetch({ kind, attributes, reference = "", isFinal = false, isLocking = false }: FetchRequest): FetchResult {
    const given = new Map(attributes);
    if (kind === "mercurial") given.set("type", "hg");
    const wire = [...given]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]): readonly [string, WireValue] => [
        name,
        typeof value === "bigint" ? Number(value) : value,
      ]);
    const key = JSON.stringify([isFinal, isLocking, wire]);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const result =
      this.#fetchHere(given, reference, isFinal) ?? this.#fetch(wire, reference, isFinal, isLocking);
    this.#known.set(key, result);
    const origin = originOf(given, result);
    if (origin !== undefined) this.#options.trees.add(result.storePath, origin);
    return result;
  }

  #fetchHere(given: InputAttributes, reference: ByteString, isFinal: boolean): FetchResult | undefined {
    const tree = fetching(reference, () => this.#options.fetchNow(given, reference, isFinal));
    if (tree === undefined) return undefined;
    for (const input of tree.inputs) this.#track(input);
    this.#noteCopy(given, tree.storePath, tree.inputs);
    return { storePath: tree.storePath, attributes: tree.attributes };
  }

  #fetch(
    attributes: readonly (readonly [string, WireValue])[],
    reference: ByteString,
    isFinal: boolean,
    isLocking: boolean,
  ): FetchResult {
    const { run } = this.#options;
    const reply = fetching(reference, () =>
      run({ kind: "fetchTree", attributes, reference, isFinal, isLocking }),
    );
    if (reply.kind !== "fetchedTree") throw new Error(`unexpected reply ${reply.kind}`);
    for (const input of reply.inputs) this.#track(input);
    this.#noteCopy(new Map(attributes), reply.storePath, reply.inputs);
    const { history } = reply;
    return {
      storePath: reply.storePath,
      attributes: new Map(
        reply.attributes.map(([name, value]) => [name, typeof value === "number" ? BigInt(value) : value]),
      ),
      revCount: history === undefined ? undefined : () => this.#count(history.directory, history.rev),
    };
  }

  #noteCopy(given: ReadonlyMap<string, unknown>, storePath: ByteString, inputs: readonly ByteString[]): void {
    const root = rootOf(given);
    if (root !== undefined) this.#options.tracker.trees.add(storePath, root, inputs);
    if (given.get("type") === "path" && inputs.length > 0)
      this.#timed.set(storePath, [...(this.#timed.get(storePath) ?? []), ...inputs]);
  }

  #count(directory: string, rev: string): bigint {
    const reply = this.#options.run({ kind: "countRevisions", directory, rev });
    if (reply.kind !== "counted") throw new Error(`unexpected reply ${reply.kind}`);
    return BigInt(reply.count);
  }

  /** What the fetch read outside the store: an environment is stale when it changes. */
  #track(path: ByteString): void {
    const { tracker } = this.#options;
    this.#tracked.add(path);
    const stat = lstatSync(fsPath(path), { bigint: true, throwIfNoEntry: false });
    const type = stat === undefined ? undefined : typeOf(stat);
    tracker.way(path);
    tracker.copying(() => {
      tracker.type(path, type);
      if (type === "regular") tracker.file(path);
      else if (type === "directory") tracker.directory(path);
      else if (type === "symlink") tracker.symlink(path);
    });
  }
}

/** Where a tree lies that is copied as it is. */
function rootOf(given: ReadonlyMap<string, unknown>): ByteString | undefined {
  const [type, url, path] = ["type", "url", "path"].map((name) => given.get(name));
  if (type === "path") return typeof path === "string" ? path.replace(/\/+$/, "") : undefined;
  if (type !== "git" || typeof url !== "string" || given.has("rev") || given.has("ref")) return undefined;
  const location = locate(url);
  return location.kind === "local" ? bytesOfText(location.directory) : undefined;
}

/** What messages call a tree; paths are in the store under the name of the store. */
function originOf(given: InputAttributes, { attributes }: FetchResult): TreeOrigin | undefined {
  const type = given.get("type");
  const url = given.get("url");
  if (type === "path" || type === "hg") return undefined;
  if (type === "git" && typeof url === "string" && !given.has("rev") && !given.has("ref")) {
    const location = locate(url);
    if (location.kind === "local") return { shown: bytesOfText(location.directory), isWorkTree: true };
  }
  const input = new Map(attributes);
  if (type !== "git") input.set("type", String(type));
  return { shown: bytesOfText(`«${textOfBytes(formatFlakeReference(input))}»`), isWorkTree: false };
}

function fetching<T>(reference: ByteString, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof DevshellError)
      error.trace.push({ message: `while fetching the input '${shownUrl(reference)}'` });
    throw error;
  }
}
