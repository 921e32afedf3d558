import { createReadStream, lstatSync, readdirSync, readlinkSync, type Stats } from "node:fs";
import { copyFile, mkdir, mkdtemp, open, rename, rm, type FileHandle } from "node:fs/promises";
import { tmpdir } from "node:os";
import { DevshellError, bytesOfText, formatHash, fsPath, type ByteString } from "../../../core/index.ts";
import { listNar, type NarListing } from "../../format/narRestore.ts";
import { compareBytes } from "../../format/storePath.ts";
import type { StorePath } from "../../types.ts";
import { StoreEndpoint } from "../storeEndpoint.ts";
import { invalidPath } from "../queryPaths.ts";
import { spoolNar, type SpooledNar } from "./spoolNar.ts";
import type { RemoteStore } from "../types.ts";

export type TreeEntry =
  | {
      readonly type: "regular";
      readonly sizeBytes: number;
      readonly isExecutable: boolean;
      /** Where the content begins in the NAR, where there is one. */
      readonly narOffset?: number | undefined;
    }
  | { readonly type: "symlink"; readonly target: ByteString }
  | { readonly type: "directory"; readonly names: readonly ByteString[] };

/** A store object's files, wherever they are. Paths in it begin with a slash; "" is the object itself. */
export interface ObjectTree extends AsyncDisposable {
  /** @returns `undefined` where nothing is there; links are not followed */
  entry(path: ByteString): TreeEntry | undefined;
  /** @param path of a regular file */
  read(path: ByteString): AsyncIterable<Uint8Array>;
}

/**
 * Opens an object of a store; one that is elsewhere is fetched whole.
 * @throws {DevshellError} `STORE_PATH_NOT_VALID`, and what fetching throws
 */
export async function openObjectTree(
  store: RemoteStore,
  path: StorePath,
  signal?: AbortSignal,
): Promise<ObjectTree> {
  const info = await store.query(path, signal);
  if (info === undefined) throw invalidPath(store, path);
  if (store instanceof StoreEndpoint) return new FileTree(store.store.realPath(path));
  const kept =
    store.narCacheDir === undefined
      ? undefined
      : `${bytesOfText(store.narCacheDir)}/${formatHash(info.narHash, "nix32")}.nar`;
  if (kept !== undefined && lstatSync(fsPath(kept), { throwIfNoEntry: false })?.isFile() === true)
    return await openNarTree(kept);
  const file = await openNameless();
  try {
    const download = await store.openNar(info, { signal });
    const spool = { open: () => Promise.resolve(file) };
    let spooled: SpooledNar;
    try {
      spooled = await spoolNar(info, download.nar, { spool, compression: "none", signal });
    } finally {
      await download.discard();
    }
    const { listing, content } = spooled;
    // A small one was held in memory.
    if ("bytes" in content) await file.handle.writeFile(content.bytes);
    if (kept !== undefined) await keep(file.path, kept);
    return new NarTree(file.path, listing, () => file.handle.close());
  } catch (error) {
    await file.handle.close();
    throw error;
  }
}

/** Opens a NAR file, which is read whole once; what cannot be read twice (a pipe) is copied first. */
export async function openNarTree(file: ByteString): Promise<ObjectTree> {
  await using handle = await open(fsPath(file), "r");
  if ((await handle.stat()).isFile())
    return new NarTree(file, await listNar(handle.createReadStream({ autoClose: false })), () =>
      Promise.resolve(),
    );
  const copy = await openNameless();
  try {
    await copy.handle.writeFile(handle.createReadStream({ autoClose: false }));
    const listing = await listNar(createReadStream(fsPath(copy.path)));
    return new NarTree(copy.path, listing, () => copy.handle.close());
  } catch (error) {
    await copy.handle.close();
    throw error;
  }
}

/** A file that goes with its handle: whatever ends us, nothing is left. */
async function openNameless(): Promise<{ readonly path: ByteString; readonly handle: FileHandle }> {
  const directory = await mkdtemp(`${tmpdir()}/devshell-nar-`);
  try {
    const handle = await open(`${directory}/nar`, "wx+", 0o600);
    return { path: `/proc/self/fd/${handle.fd}`, handle };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function keep(file: ByteString, kept: ByteString): Promise<void> {
  await mkdir(fsPath(kept.slice(0, kept.lastIndexOf("/"))), { recursive: true });
  const scratch = `${kept}.tmp.${process.pid}`;
  await copyFile(fsPath(file), fsPath(scratch));
  await rename(fsPath(scratch), fsPath(kept));
}

class NarTree implements ObjectTree {
  readonly #file: ByteString;
  readonly #root: NarListing;
  readonly #discard: () => Promise<void>;

  constructor(file: ByteString, root: NarListing, discard: () => Promise<void>) {
    this.#file = file;
    this.#root = root;
    this.#discard = discard;
  }

  entry(path: ByteString): TreeEntry | undefined {
    const node = this.#node(path);
    switch (node?.type) {
      case undefined:
        return undefined;
      case "regular":
        return {
          type: "regular",
          sizeBytes: node.size,
          isExecutable: node.executable ?? false,
          narOffset: node.narOffset,
        };
      case "symlink":
        return { type: "symlink", target: node.target };
      case "directory":
        return { type: "directory", names: Object.keys(node.entries).sort(compareBytes) };
    }
  }

  async *read(path: ByteString): AsyncIterable<Uint8Array> {
    const node = this.#node(path);
    if (node?.type !== "regular") throw notRegular(path);
    if (node.size === 0) return;
    const range = { start: node.narOffset, end: node.narOffset + node.size - 1 };
    for await (const chunk of createReadStream(fsPath(this.#file), range)) yield chunk as Buffer;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#discard();
  }

  #node(path: ByteString): NarListing | undefined {
    let node: NarListing | undefined = this.#root;
    for (const name of path.split("/").slice(1)) {
      if (node?.type !== "directory" || !Object.hasOwn(node.entries, name)) return undefined;
      node = node.entries[name];
    }
    return node;
  }
}

class FileTree implements ObjectTree {
  readonly #root: ByteString;

  constructor(root: ByteString) {
    this.#root = root;
  }

  entry(path: ByteString): TreeEntry | undefined {
    // A link on the way leads out of the object.
    for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1))
      if (this.#stat(path.slice(0, at))?.isDirectory() !== true) return undefined;
    const stats = this.#stat(path);
    if (stats === undefined) return undefined;
    const full = fsPath(this.#root + path);
    if (stats.isSymbolicLink()) return { type: "symlink", target: readlinkSync(full, "latin1") };
    if (stats.isDirectory())
      return { type: "directory", names: readdirSync(full, "latin1").sort(compareBytes) };
    return { type: "regular", sizeBytes: stats.size, isExecutable: (stats.mode & 0o100) !== 0 };
  }

  async *read(path: ByteString): AsyncIterable<Uint8Array> {
    if (this.entry(path)?.type !== "regular") throw notRegular(path);
    for await (const chunk of createReadStream(fsPath(this.#root + path))) yield chunk as Buffer;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  #stat(path: ByteString): Stats | undefined {
    return lstatSync(fsPath(this.#root + path), { throwIfNoEntry: false });
  }
}

function notRegular(path: ByteString): DevshellError {
  return new DevshellError("STORE_NOT_REGULAR", `path '${path === "" ? "/" : path}' is not a regular file`);
}
