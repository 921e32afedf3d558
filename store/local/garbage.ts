import { closeSync, openSync, readdirSync, statSync, lstatSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { DevshellError, fsPath } from "../../core/index.ts";
import { writeError } from "../format/narRestore.ts";
import { isStorePath, storePathBaseName, storePathHashPart } from "../format/storePath.ts";
import type { StorePath } from "../types.ts";
import type { StoreAccess } from "./access.ts";
import { FileLock, tryLock, tryUnlink } from "./fileLock.ts";
import { deleteTree, makeDirectories, namesIn, sizeOnDisk } from "./files.ts";
import { openIfThere } from "./layout.ts";
import { ReferenceGraph, type KeepRules } from "./referenceGraph.ts";
import { releaseReserve } from "./reserve.ts";
import { findRoots } from "./roots.ts";
import { AnnouncedCollector, gcLockPath, hashPartsOf, readTempRoots } from "./tempRoots.ts";
import type { GcOptions, GcResult } from "./types.ts";

/** A path was to be deleted that something needs. */
export class PathAliveError extends DevshellError {
  readonly path: StorePath;

  /** @param needed what keeps it: the path itself, or what refers to it */
  constructor(path: StorePath, needed: StorePath) {
    const why = needed === path ? "" : `: "${needed}" needs it`;
    super("STORE_PATH_ALIVE", `Cannot delete "${path}": it is still alive${why}`, {
      hint: "`devshell gc --why` with its path says what keeps it",
    });
    this.path = path;
  }
}

/** Work is cut in slices so that clients who tell new roots are answered between them. */
const SLICE_MS = 20;
/** Paths that are forgotten in one transaction. */
const SLICE_LENGTH = 64;
/** Answers, a byte each, that a client has not read: it does not want them. */
const MAX_UNREAD_BYTES = 64 << 10;
const MAX_LINE_LENGTH = 4096;

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
    releaseReserve(`${store.settings.stateDir}/db`);
  }
  const liveness = new Liveness(store, options);
  const addRoot = (path: StorePath): void => liveness.addTemporaryRoot(path);
  using collector = new AnnouncedCollector(store.settings.stateDir, addRoot);
  using _gcLock = await FileLock.acquire(gcLockPath(store.settings.stateDir), "exclusive", {
    signal: options.signal,
    onWait: () => store.onWait("waiting for the big garbage collector lock"),
    onHeld: () => collector.begin(),
  });
  await testPoint("_NIX_TEST_GC_SYNC_1");
  await using server = await RootsServer.listen(store, addRoot);
  options.onStep?.("roots");
  liveness.mark();
  await testPoint("_NIX_TEST_GC_SYNC_2");
  const isWanted = (path: StorePath): boolean => options.paths === undefined || options.paths.includes(path);
  switch (options.action) {
    case "returnLive":
      return { paths: liveness.livePaths().filter(isWanted), freedBytes: 0 };
    case "returnDead":
      return { paths: liveness.deadPaths().filter(isWanted), freedBytes: 0 };
    case "deleteSpecific":
      return await new Sweep(store, liveness, server, options).deleteNamed(options.paths ?? []);
    case "deleteDead": {
      const sweep = new Sweep(store, liveness, server, options);
      return options.paths === undefined ? await sweep.deleteAll() : await sweep.deleteNamed(options.paths);
    }
  }
}

/** Nix's own tests hold a collector up here: the variable names a pipe that is read to its end. */
async function testPoint(variable: string): Promise<void> {
  const pipe = process.env[variable];
  if (pipe !== undefined && pipe !== "") await readFile(pipe);
}

/** Which of the registered paths are reached from roots. */
class Liveness {
  readonly #store: StoreAccess;
  readonly #options: GcOptions;
  readonly #live = new Set<StorePath>();
  readonly #temporary = new Set<string>();
  #graph = ReferenceGraph.empty;

  constructor(store: StoreAccess, options: GcOptions) {
    this.#store = store;
    this.#options = options;
  }

  mark(): void {
    const { paths, ignoreLiveness } = this.#options;
    this.#graph = ReferenceGraph.read(
      this.#store.db,
      // Deleting named paths asks only whether something needs them.
      paths === undefined ? this.#keepRules() : { keepDerivations: false, keepOutputs: false },
    );
    // Temporary roots first: their process may make lasting ones and end while those are looked for.
    const temporary = readTempRoots({
      storeDir: this.#store.storeDir,
      stateDir: this.#store.settings.stateDir,
    });
    if (ignoreLiveness !== true)
      this.#graph.mark(findRoots(this.#store, { includeTemporary: false }).keys(), this.#live);
    for (const hashPart of hashPartsOf(temporary.keys())) this.#temporary.add(hashPart);
    for (const path of this.#graph.paths())
      if (this.#temporary.has(storePathHashPart(path))) this.#graph.mark([path], this.#live);
  }

  /** A process has begun to need a path: it and all it needs stays, as far as it is still there. */
  addTemporaryRoot(path: StorePath): void {
    this.#temporary.add(storePathHashPart(path));
    this.#graph.mark([path], this.#live);
  }

  isLive(path: StorePath): boolean {
    return this.#live.has(path);
  }

  /** Also of what lies beside a path under its digest: `….lock`, `….chroot`. */
  isTemporary(path: StorePath): boolean {
    return this.#temporary.has(storePathHashPart(path));
  }

  livePaths(): StorePath[] {
    return [...this.#live].sort();
  }

  /** Referrers before what they refer to, so that each may be forgotten in this order. */
  deadPaths(): StorePath[] {
    return this.#graph.referrersFirst(
      [...this.#graph.paths()].filter((path) => !this.#live.has(path)).sort(),
    );
  }

  /** Referrers first. */
  deadPathsAmong(paths: ReadonlySet<StorePath>): StorePath[] {
    return this.#graph.referrersFirst([...paths].sort()).filter((path) => paths.has(path));
  }

  /** All that refers to a path, directly or not, it included, referrers first. */
  referrersOf(path: StorePath): StorePath[] {
    return this.#graph.referrersFirst([path]);
  }

  #keepRules(): KeepRules {
    const { config } = this.#store.settings;
    const { keepDerivations = config.keepDerivations, keepOutputs = config.keepOutputs } = this.#options;
    return { keepDerivations, keepOutputs };
  }
}

class Sweep {
  readonly #store: StoreAccess;
  readonly #liveness: Liveness;
  readonly #server: RootsServer;
  readonly #options: GcOptions;
  readonly #deleted: string[] = [];
  #freedBytes = 0;
  #savedBytes = 0;
  #sliceEnd = 0;

  constructor(store: StoreAccess, liveness: Liveness, server: RootsServer, options: GcOptions) {
    this.#store = store;
    this.#liveness = liveness;
    this.#server = server;
    this.#options = options;
  }

  async deleteAll(): Promise<GcResult> {
    if (this.#options.maxFreedBytes === 0) return this.#result();
    this.#options.onStep?.("paths");
    await this.#deletePaths(this.#liveness.deadPaths());
    await this.#deleteLeftovers();
    this.#deleteUnusedLinks();
    return this.#result();
  }

  /** The paths that are dead; with `deleteSpecific` all must be. */
  async deleteNamed(paths: readonly StorePath[]): Promise<GcResult> {
    this.#options.onStep?.("paths");
    const wanted = new Set(paths);
    const deletable = new Set<StorePath>();
    for (const path of wanted) {
      const referrers = this.#liveness.referrersOf(path);
      const needed = this.#whatNeeds(path, referrers, wanted);
      if (needed === undefined) for (const each of referrers) deletable.add(each);
      else if (this.#options.action === "deleteSpecific") throw new PathAliveError(path, needed);
    }
    await this.#deletePaths(this.#liveness.deadPathsAmong(deletable));
    this.#deleteUnusedLinks();
    return this.#result();
  }

  /** Why a path stays: it is alive itself, or something that is not to go refers to it. */
  #whatNeeds(
    path: StorePath,
    referrers: readonly StorePath[],
    wanted: ReadonlySet<StorePath>,
  ): StorePath | undefined {
    const isKept = (each: StorePath): boolean =>
      this.#liveness.isLive(each) ||
      this.#liveness.isTemporary(each) ||
      (this.#options.includesReferrers !== true && !wanted.has(each));
    return isKept(path) ? path : referrers.find(isKept);
  }

  async #deletePaths(paths: readonly StorePath[]): Promise<void> {
    for (let at = 0; at < paths.length && !this.#isEnough();) {
      const slice = await this.#slice(paths, at);
      at += slice.length;
      await this.#pause();
      // No turn of the event loop between choosing and forgetting, nor during a deletion: no root can come in between.
      const chosen = slice.filter(
        (path) => !this.#liveness.isLive(path) && !this.#liveness.isTemporary(path),
      );
      for (const path of this.#forget(chosen)) {
        await this.#pause();
        // Whoever needs it again has been told that it is not valid, and makes it anew.
        if (!this.#liveness.isTemporary(path)) this.#delete(path, storePathBaseName(path));
      }
    }
  }

  /**
   * Those to be forgotten at once, since each time waits for the disk. With a limit no more than reach it: what is
   * forgotten must be deleted.
   */
  async #slice(paths: readonly StorePath[], from: number): Promise<readonly StorePath[]> {
    const slice = paths.slice(from, from + SLICE_LENGTH);
    const { maxFreedBytes } = this.#options;
    if (maxFreedBytes === undefined) return slice;
    let expectedBytes = this.#freedBytes;
    for (const [index, path] of slice.entries()) {
      await this.#pause();
      expectedBytes += sizeOnDisk(`${this.#store.realStoreDir}/${storePathBaseName(path)}`);
      if (expectedBytes > maxFreedBytes) return slice.slice(0, index + 1);
    }
    return slice;
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
    // Before a file is deleted: a power cut must not leave paths valid whose files are gone.
    db.durableTransaction(() => paths.forEach(forget));
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
    this.#options.onStep?.("links");
    const directory = `${this.#store.realStoreDir}/.links`;
    for (const name of readdirSync(fsPath(directory))) {
      const link = `${directory}/${name}`;
      const stats = lstatSync(fsPath(link), { throwIfNoEntry: false });
      if (stats?.nlink === 1) tryUnlink(link);
      // One link is the directory's own, another is the file that would be there anyway.
      else if (stats !== undefined) this.#savedBytes += (stats.nlink - 2) * stats.size;
    }
    this.#savedBytes -= statSync(fsPath(directory)).blocks * 512;
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
    return { paths: this.#deleted, freedBytes: this.#freedBytes, savedByLinksBytes: this.#savedBytes };
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
      server.once("error", (error) => reject(writeError(`${directory}/socket`, error) as Error));
      // Through /proc: an address holds 107 bytes, a path may be longer.
      server.listen(
        { path: `/proc/self/fd/${directoryFd}/socket`, writableAll: true, readableAll: true },
        resolve,
      );
    });
    server.unref();
    return roots;
  }

  /** Lets clients be answered who ask one thing after the other; not for ever, if there are many of them. */
  async settle(): Promise<void> {
    const end = Date.now() + SLICE_MS;
    for (let answered = -1; answered !== this.#answered && Date.now() < end;) {
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
      if (text.length > MAX_LINE_LENGTH || client.writableLength > MAX_UNREAD_BYTES) client.destroy();
    });
    client.on("error", () => client.destroy());
    client.on("close", () => this.#clients.delete(client));
  }
}

function isLockedDirectory(path: string): boolean {
  if (statSync(fsPath(path), { throwIfNoEntry: false })?.isDirectory() !== true) return false;
  const fd = openIfThere(path);
  if (fd === undefined) return false;
  try {
    return !tryLock(fd, "exclusive");
  } finally {
    closeSync(fd);
  }
}
