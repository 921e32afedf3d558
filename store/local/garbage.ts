import { closeSync, openSync, readdirSync, statSync, unlinkSync, lstatSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { DevshellError, fsPath } from "../../core/index.ts";
import { isDerivationPath, isStorePath, storePathBaseName, storePathHashPart } from "../format/storePath.ts";
import type { StorePath } from "../types.ts";
import type { StoreAccess } from "./access.ts";
import { FileLock, tryLock, tryUnlink } from "./fileLock.ts";
import { deleteTree, makeDirectories, namesIn } from "./files.ts";
import { findRoots } from "./roots.ts";
import { gcLockPath, hashPartsOf, readTempRoots } from "./tempRoots.ts";
import type { GcOptions, GcResult } from "./types.ts";

/** Work is cut in slices so that clients who tell new roots are answered between them. */
const SLICE_MS = 20;

/**
 * Deletes what no root reaches, or says what that would be. Paths are forgotten first and deleted then, so that a kill
 * leaves files that nobody knows, which the next run deletes. Other processes go on meanwhile: they tell us their new
 * temporary roots over `gc-socket/socket`, as Nix's do.
 */
export async function collectGarbage(store: StoreAccess, options: GcOptions): Promise<GcResult> {
  const isDeleting = options.action === "deleteDead" || options.action === "deleteSpecific";
  if (isDeleting) {
    store.prepareToWrite();
    // Room for the database's log on a full disk.
    tryUnlink(`${store.settings.stateDir}/db/reserved`);
  }
  using _gcLock = await FileLock.acquire(gcLockPath(store.settings.stateDir), "exclusive", {
    signal: options.signal,
    onWait: () => store.onWait("waiting for the big garbage collector lock"),
  });
  const liveness = new Liveness(store, options);
  await using server = await RootsServer.listen(store, (path) => liveness.addTemporaryRoot(path));
  liveness.mark();
  switch (options.action) {
    case "returnLive":
      return { paths: liveness.livePaths(), freedBytes: 0 };
    case "returnDead":
      return { paths: liveness.deadPaths(), freedBytes: 0 };
    case "deleteSpecific":
      return await new Sweep(store, liveness, server, options).deleteSpecific(options.paths ?? []);
    case "deleteDead":
      return await new Sweep(store, liveness, server, options).deleteAll();
  }
}

/** Which of the registered paths are reached from roots. */
class Liveness {
  readonly #store: StoreAccess;
  readonly #options: GcOptions;
  readonly #references = new Map<StorePath, StorePath[]>();
  readonly #referrers = new Map<StorePath, StorePath[]>();
  /** Further paths that a live path keeps: its deriver, or its outputs, as the settings ask. */
  readonly #keeps = new Map<StorePath, StorePath[]>();
  readonly #live = new Set<StorePath>();
  readonly #temporary = new Set<string>();

  constructor(store: StoreAccess, options: GcOptions) {
    this.#store = store;
    this.#options = options;
  }

  mark(): void {
    const { paths, edges } = this.#store.db.allReferences();
    for (const path of paths.values()) this.#references.set(path, []);
    for (const { referrer, reference } of edges) {
      const from = paths.get(referrer);
      const to = paths.get(reference);
      if (from === undefined || to === undefined || from === to) continue;
      this.#references.get(from)?.push(to);
      push(this.#referrers, to, from);
    }
    this.#markKeeps();
    if (this.#options.ignoreLiveness !== true)
      for (const path of findRoots(this.#store, { includeTemporary: false }).keys()) this.#markFrom(path);
    const temporary = readTempRoots({
      storeDir: this.#store.storeDir,
      stateDir: this.#store.settings.stateDir,
    });
    for (const hashPart of hashPartsOf(temporary.keys())) this.#temporary.add(hashPart);
    for (const path of this.#references.keys())
      if (this.#temporary.has(storePathHashPart(path))) this.#markFrom(path);
  }

  /** A process has begun to need a path: it and all it needs stays, as far as it is still there. */
  addTemporaryRoot(path: StorePath): void {
    this.#temporary.add(storePathHashPart(path));
    this.#markFrom(path);
  }

  isKnown(path: StorePath): boolean {
    return this.#references.has(path);
  }

  isLive(path: StorePath): boolean {
    return this.#live.has(path);
  }

  /** Also of what lies beside a path under its digest: `….lock`, `….chroot`. */
  isTemporary(path: StorePath): boolean {
    return this.#temporary.has(storePathHashPart(path));
  }

  livePaths(): StorePath[] {
    return [...this.#live].filter((path) => this.#references.has(path)).sort();
  }

  /** Referrers before what they refer to, so that each may be forgotten in this order. */
  deadPaths(): StorePath[] {
    return this.#referrersFirst([...this.#references.keys()].filter((path) => !this.#live.has(path)).sort());
  }

  /** The dead paths that refer to this one, directly or not, it included, referrers first. */
  deadReferrersOf(path: StorePath): StorePath[] {
    return this.#referrersFirst([path]);
  }

  #referrersFirst(roots: readonly StorePath[]): StorePath[] {
    const sorted: StorePath[] = [];
    const entered = new Set<StorePath>();
    for (const root of roots) {
      if (entered.has(root)) continue;
      entered.add(root);
      const stack = [{ path: root, next: 0 }];
      for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
        const referrer = this.#referrers.get(frame.path)?.[frame.next++];
        if (referrer === undefined) {
          sorted.push(frame.path);
          stack.pop();
        } else if (!entered.has(referrer)) {
          entered.add(referrer);
          stack.push({ path: referrer, next: 0 });
        }
      }
    }
    return sorted;
  }

  #markKeeps(): void {
    const { config } = this.#store.settings;
    // Deleting named paths asks only whether something needs them.
    if (this.#options.action === "deleteSpecific") return;
    const keepDerivations = this.#options.keepDerivations ?? config.keepDerivations;
    const keepOutputs = this.#options.keepOutputs ?? config.keepOutputs;
    if (!keepDerivations && !keepOutputs) return;
    const { outputs, derivers } = this.#store.db.allDerivers();
    if (keepDerivations)
      for (const { path, deriver } of derivers)
        if (isDerivationPath(deriver)) push(this.#keeps, path, deriver);
    if (keepOutputs) for (const { drv, path } of outputs) push(this.#keeps, drv, path);
  }

  #markFrom(start: StorePath): void {
    const todo = [start];
    for (let path = todo.pop(); path !== undefined; path = todo.pop()) {
      if (this.#live.has(path)) continue;
      const references = this.#references.get(path);
      if (references === undefined) continue;
      this.#live.add(path);
      todo.push(...references, ...(this.#keeps.get(path) ?? []));
    }
  }
}

class Sweep {
  readonly #store: StoreAccess;
  readonly #liveness: Liveness;
  readonly #server: RootsServer;
  readonly #options: GcOptions;
  readonly #deleted: string[] = [];
  #freedBytes = 0;
  #sliceEnd = 0;

  constructor(store: StoreAccess, liveness: Liveness, server: RootsServer, options: GcOptions) {
    this.#store = store;
    this.#liveness = liveness;
    this.#server = server;
    this.#options = options;
  }

  async deleteAll(): Promise<GcResult> {
    if (this.#options.maxFreedBytes === 0) return this.#result();
    await this.#deletePaths(this.#liveness.deadPaths());
    await this.#deleteLeftovers();
    this.#deleteUnusedLinks();
    return this.#result();
  }

  async deleteSpecific(paths: readonly StorePath[]): Promise<GcResult> {
    for (const path of paths)
      if (this.#liveness.isLive(path) || this.#liveness.isTemporary(path)) throw alive(path);
    // What refers to a dead path is dead too and goes with it.
    const all = [...new Set(paths.flatMap((path) => this.#liveness.deadReferrersOf(path)))];
    await this.#deletePaths(all);
    this.#deleteUnusedLinks();
    return this.#result();
  }

  async #deletePaths(paths: readonly StorePath[]): Promise<void> {
    // With a limit one at a time: what is forgotten must be deleted.
    const sliceLength = this.#options.maxFreedBytes === undefined ? 64 : 1;
    for (let at = 0; at < paths.length;) {
      await this.#pause();
      // No turn of the event loop between choosing and forgetting, nor during a deletion: no root can come in between.
      const slice: StorePath[] = [];
      for (; at < paths.length && slice.length < sliceLength; at++) {
        const path = paths[at] as StorePath;
        if (!this.#liveness.isLive(path) && !this.#liveness.isTemporary(path)) slice.push(path);
      }
      for (const path of this.#forget(slice)) {
        await this.#pause();
        // Whoever needs it again has been told that it is not valid, and makes it anew.
        if (!this.#liveness.isTemporary(path)) this.#delete(path, storePathBaseName(path));
        if (this.#isEnough()) return;
      }
    }
  }

  /** @returns those that are forgotten now: another process may have begun to refer to one of them */
  #forget(paths: readonly StorePath[]): StorePath[] {
    const { db } = this.#store;
    const forgotten: StorePath[] = [];
    const forget = (path: StorePath): void => {
      try {
        db.invalidatePath(path);
        forgotten.push(path);
      } catch (error) {
        if (!(error instanceof DevshellError) || error.code !== "STORE_PATH_IN_USE") throw error;
      }
    };
    db.transaction(() => paths.forEach(forget));
    return forgotten;
  }

  /** Files that no row of the database knows: of interrupted runs, locks, scratch directories of dead processes. */
  async #deleteLeftovers(): Promise<void> {
    for (const name of namesIn(this.#store.realStoreDir)) {
      if (this.#isEnough()) return;
      if (name === ".links") continue;
      await this.#pause();
      const path = `${this.#store.storeDir}/${name}`;
      if (isStorePath(this.#store.storeDir, path)) {
        // Registered since we looked, or about to be.
        if (this.#liveness.isTemporary(path) || this.#store.isValidPath(path)) continue;
      } else if (name.startsWith("tmp-") && isLockedDirectory(`${this.#store.realStoreDir}/${name}`))
        continue;
      this.#delete(path, name);
    }
  }

  #delete(path: string, baseName: string): void {
    this.#options.onDelete?.(path);
    this.#deleted.push(path);
    this.#freedBytes += deleteTree(`${this.#store.realStoreDir}/${baseName}`);
  }

  #deleteUnusedLinks(): void {
    const directory = `${this.#store.realStoreDir}/.links`;
    for (const name of readdirSync(fsPath(directory))) {
      const link = fsPath(`${directory}/${name}`);
      const stats = lstatSync(link, { throwIfNoEntry: false });
      if (stats?.nlink === 1) unlinkSync(link);
    }
  }

  async #pause(): Promise<void> {
    if (Date.now() < this.#sliceEnd) return;
    this.#options.signal?.throwIfAborted();
    await this.#server.settle();
    this.#sliceEnd = Date.now() + SLICE_MS;
  }

  #isEnough(): boolean {
    return this.#options.maxFreedBytes !== undefined && this.#freedBytes > this.#options.maxFreedBytes;
  }

  #result(): GcResult {
    return { paths: this.#deleted, freedBytes: this.#freedBytes };
  }
}

/** Where other processes tell us their new temporary roots: a path and a newline, answered by "1". */
class RootsServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #clients = new Set<Socket>();
  readonly #directoryFd: number;
  #answered = 0;

  private constructor(server: Server, directoryFd: number) {
    this.#server = server;
    this.#directoryFd = directoryFd;
  }

  static async listen(store: StoreAccess, onRoot: (path: StorePath) => void): Promise<RootsServer> {
    const directory = `${store.settings.stateDir}/gc-socket`;
    makeDirectories(directory);
    tryUnlink(`${directory}/socket`);
    const directoryFd = openSync(fsPath(directory), "r");
    const server = createServer();
    const roots = new RootsServer(server, directoryFd);
    server.on("connection", (client) => roots.#serve(client, store.storeDir, onRoot));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      // Through /proc: an address holds 107 bytes, a path may be longer.
      server.listen(
        { path: `/proc/self/fd/${directoryFd}/socket`, writableAll: true, readableAll: true },
        resolve,
      );
    });
    server.unref();
    return roots;
  }

  /** Lets clients be answered, as long as they ask one thing after the other. */
  async settle(): Promise<void> {
    for (let answered = -1; answered !== this.#answered;) {
      answered = this.#answered;
      await nextTurn();
      if (this.#clients.size > 0) await sleep(1);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    closeSync(this.#directoryFd);
  }

  #serve(client: Socket, storeDir: string, onRoot: (path: StorePath) => void): void {
    this.#clients.add(client);
    let text = "";
    client.on("data", (chunk) => {
      const lines = (text + chunk.toString("latin1")).split("\n");
      text = lines.pop() ?? "";
      for (const line of lines) {
        if (isStorePath(storeDir, line)) onRoot(line);
        this.#answered++;
        client.write("1");
      }
      if (text.length > 4096) client.destroy();
    });
    client.on("error", () => client.destroy());
    client.on("close", () => this.#clients.delete(client));
  }
}

function isLockedDirectory(path: string): boolean {
  if (statSync(fsPath(path), { throwIfNoEntry: false })?.isDirectory() !== true) return false;
  const fd = openSync(fsPath(path), "r");
  try {
    return !tryLock(fd, "exclusive");
  } finally {
    closeSync(fd);
  }
}

function alive(path: StorePath): DevshellError {
  return new DevshellError("STORE_PATH_ALIVE", `Cannot delete "${path}": it is still alive`, {
    hint: "`devshell store roots` and `devshell store referrers` say what keeps it",
  });
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
