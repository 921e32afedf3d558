import { accessSync, closeSync, constants } from "node:fs";
import { DevshellError, fsPath, type ByteString } from "../../core/index.ts";
import type { StoreDb } from "../db/storeDb.ts";
import { knownOutputPaths } from "../format/derivation.ts";
import { DerivationHasher, checkOutputPaths, type BuiltElement } from "../format/derivationHasher.ts";
import type { MadeDerivation } from "../format/makeDerivation.ts";
import { narChunks } from "../format/nar.ts";
import { MAX_SIGNATURES } from "../format/narInfo.ts";
import { parseDerivation } from "../format/parseDerivation.ts";
import { derivationNameOfPath } from "../format/storePath.ts";
import type {
  Derivation,
  OutputName,
  Realisation,
  StorePath,
  StoreSettings,
  ValidPathInfo,
} from "../types.ts";
import type { StoreAccess } from "./access.ts";
import { addPath } from "./addPath.ts";
import { addStream, addStreamNamedLater } from "./addStream.ts";
import { addDerivations, addText } from "./addTexts.ts";
import { closureOf } from "./closure.ts";
import { queryOutput, queryOutputs } from "./derivationOutputs.ts";
import { readDerivationText } from "./derivationText.ts";
import { syncPaths, syncRegistrations } from "./durability.ts";
import { FileLock, PathLocks, type LockWait } from "./fileLock.ts";
import { deleteTree } from "./files.ts";
import { collectGarbage } from "./garbage.ts";
import { createScratchDirectory } from "./layout.ts";
import { isOpenedReadOnly, openStoreDb } from "./openStoreDb.ts";
import { optimisePaths, optimiseStore } from "./optimise.ts";
import { moveIntoPlace, placePath } from "./place.ts";
import { ReferenceGraph } from "./referenceGraph.ts";
import { registerOutputs } from "./registerOutputs.ts";
import { addIndirectRoot, addPermanentRoot, indirectRootOf, findRoots } from "./roots.ts";
import { TempRoots } from "./tempRoots.ts";
import { topologicalSort } from "./topologicalSort.ts";
import type {
  AddPathOptions,
  AddStreamOptions,
  ClosureOptions,
  GcOptions,
  GcResult,
  GcRoots,
  IncomingPathInfo,
  LocalStoreOptions,
  OptimiseResult,
  RegisterOutputsRequest,
  VerifyOptions,
  VerifyResult,
} from "./types.ts";
import { verifyStore } from "./verify.ts";

/** Paths that are locked at once: each takes a descriptor. */
const BATCH_SIZE = 128;

/**
 * A store directory and its database, shared with other processes of ours and with Nix. What is registered is whole:
 * content enters under a temporary name, is hashed while it streams, moved into place and registered last.
 */
export class LocalStore implements StoreAccess, Disposable {
  readonly settings: StoreSettings;
  /** What paths start with. */
  readonly storeDir: string;
  /** Where their files lie. */
  readonly realStoreDir: ByteString;
  readonly db: StoreDb;
  readonly isReadOnly: boolean;
  /** Remembers derivations and their hashes modulo for all that is instantiated over this store. */
  readonly hasher: DerivationHasher;
  readonly onWait: (message: string) => void;
  readonly onWarn: (message: string) => void;
  readonly #derivations = new Map<StorePath, Derivation>();
  readonly #tempRoots: TempRoots;
  #bigLock: FileLock | undefined;
  #scratch: { readonly path: ByteString; readonly fd: number; next: number } | undefined;

  private constructor(settings: StoreSettings, db: StoreDb, options: LocalStoreOptions) {
    this.settings = settings;
    this.storeDir = settings.storeDir;
    this.realStoreDir = settings.realStoreDir ?? settings.storeDir;
    this.db = db;
    this.isReadOnly = isOpenedReadOnly(settings, options);
    this.onWait = options.onWait ?? (() => undefined);
    this.onWarn = options.onWarn ?? (() => undefined);
    this.#tempRoots = new TempRoots(
      { storeDir: settings.storeDir, stateDir: settings.stateDir },
      this.onWait,
    );
    this.hasher = new DerivationHasher(settings.storeDir, (drvPath) => this.readDerivation(drvPath));
  }

  /**
   * Opens a store, creating it when it is new.
   * @throws {DevshellError} `STORE_SCHEMA_UNSUPPORTED`, `STORE_READ_ONLY`, `STORE_PERMISSION`, `STORE_SYMLINKED`, …
   */
  static open(settings: StoreSettings, options: LocalStoreOptions = {}): LocalStore {
    return new LocalStore(settings, openStoreDb(settings, options), options);
  }

  // Queries

  isValidPath(path: StorePath): boolean {
    return this.db.isValidPath(path);
  }

  queryPathInfo(path: StorePath): ValidPathInfo | undefined {
    return this.db.queryPathInfo(path);
  }

  /** @throws {DevshellError} `STORE_PATH_NOT_VALID` */
  pathInfo(path: StorePath): ValidPathInfo {
    const info = this.db.queryPathInfo(path);
    if (info === undefined)
      throw new DevshellError("STORE_PATH_NOT_VALID", `Cannot find "${path}" in the store: it is not valid`);
    return info;
  }

  queryReferrers(path: StorePath): StorePath[] {
    return this.db.queryReferrers(path);
  }

  queryValidDerivers(path: StorePath): StorePath[] {
    return this.db.queryValidDerivers(path);
  }

  /** The outputs' paths as far as they are known: by the derivation itself, or since they have been built. */
  queryDerivationOutputs(drvPath: StorePath): Map<OutputName, StorePath | undefined> {
    return queryOutputs(this, drvPath);
  }

  /** Where an output is that may be one of a derivation which is itself an output; `undefined` unless known. */
  queryOutput(element: BuiltElement): StorePath | undefined {
    return queryOutput(this, element);
  }

  queryPathFromHashPart(hashPart: string): StorePath | undefined {
    return this.db.queryPathFromHashPart(hashPart);
  }

  /** How large each valid path's NAR is. */
  allSizes(): Map<StorePath, number> {
    return this.db.allSizes();
  }

  allValidPaths(): StorePath[] {
    return this.db.allValidPaths();
  }

  queryRealisation(drvPath: StorePath, output: OutputName): Realisation | undefined {
    return this.db.queryRealisation(drvPath, output);
  }

  /** @param after the number of the last one that is known; later ones have greater ones */
  realisedDerivations(after: number): { id: number; drvPath: StorePath }[] {
    return this.db
      .realisedDerivations(after)
      .map(({ id, baseName }) => ({ id, drvPath: `${this.storeDir}/${baseName}` as StorePath }));
  }

  /** @throws {DevshellError} `STORE_REALISATION_CONFLICT` */
  registerRealisation(realisation: Realisation): void {
    this.db.registerRealisation(realisation);
  }

  /** Forgets what an output turned out to be. */
  deleteRealisation(drvPath: StorePath, output: OutputName): void {
    this.prepareToWrite();
    this.db.deleteRealisation(drvPath, output);
  }

  /**
   * All that the paths need (or, reversed, all that needs them), themselves included, sorted.
   * @throws {DevshellError} `STORE_PATH_NOT_VALID` when a path is not
   */
  closureOf(paths: StorePath | Iterable<StorePath>, options: ClosureOptions = {}): StorePath[] {
    return closureOf(this, typeof paths === "string" ? [paths] : paths, options);
  }

  /** Sorts paths so that what refers to others comes after them. */
  topologicalSort(paths: Iterable<StorePath>): StorePath[] {
    const wanted = [...new Set(paths)];
    const references = this.db.referencesAmong(wanted);
    return topologicalSort(wanted, (path) => references.get(path) ?? []);
  }

  /** Where a store path's files, or something inside them, lie on this side of any mount namespace. */
  realPath(path: ByteString): ByteString {
    return this.realStoreDir === this.storeDir ? path : this.realStoreDir + path.slice(this.storeDir.length);
  }

  /** A valid path's NAR. */
  narOf(path: StorePath): Iterable<Uint8Array> {
    return narChunks(this.realPath(path));
  }

  /** Where a derivation's build log is kept, compressed or not (`.zst`, `.bz2` appended). */
  logPath(drvPath: StorePath): ByteString {
    const baseName = drvPath.slice(drvPath.lastIndexOf("/") + 1);
    return `${this.settings.logDir}/drvs/${baseName.slice(0, 2)}/${baseName.slice(2)}`;
  }

  // Derivations

  /** @throws {DevshellError} `DRV_INVALID`, `STORE_READ_FAILED` */
  readDerivation(drvPath: StorePath): Derivation {
    const known = this.#derivations.get(drvPath);
    if (known !== undefined) return known;
    const derivation = parseDerivation(
      this.storeDir,
      derivationNameOfPath(drvPath),
      readDerivationText(this.realPath(drvPath)),
    );
    this.#derivations.set(drvPath, derivation);
    return derivation;
  }

  /** @throws {DevshellError} where a file is no derivation, or names other output paths than follow from it */
  checkDerivation(drvPath: StorePath, file: ByteString): void {
    const derivation = parseDerivation(
      this.storeDir,
      derivationNameOfPath(drvPath),
      readDerivationText(file),
    );
    checkOutputPaths(derivation, this.hasher);
  }

  /** Writes the `.drv` file unless it is valid; its inputs must be. */
  writeDerivation(made: MadeDerivation): StorePath {
    this.#derivations.set(made.drvPath, made.derivation);
    return this.addText(`${made.derivation.name}.drv`, made.contents, made.references);
  }

  /** Writes many `.drv` files, inputs before users, in few transactions: much faster than one by one. */
  writeDerivations(all: Iterable<MadeDerivation>): void {
    const batch: MadeDerivation[] = [];
    for (const made of all) {
      this.#derivations.set(made.drvPath, made.derivation);
      batch.push(made);
      if (batch.length >= BATCH_SIZE) addDerivations(this, batch.splice(0));
    }
    addDerivations(this, batch);
  }

  // Adding

  /** Adds a text file whose path follows from content and references (`builtins.toFile`, `.drv`). */
  addText(name: string, contents: ByteString, references: Iterable<StorePath>): StorePath {
    return addText(this, name, contents, references);
  }

  /**
   * Copies a file or tree into the store; its path follows from its content.
   * @throws {DevshellError} `STORE_HASH_MISMATCH`, naming both hashes, and what reading and writing throw
   */
  addPath(path: ByteString, options: AddPathOptions): StorePath {
    return addPath(this, path, options);
  }

  /**
   * Adds a path whose hash is known beforehand from its NAR (substitution, copying, import).
   * @throws {DevshellError} `STORE_HASH_MISMATCH`, `STORE_SIZE_MISMATCH`, `NAR_…`; then nothing is registered
   */
  async addToStoreFromStream(
    info: IncomingPathInfo,
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    options: AddStreamOptions = {},
  ): Promise<ValidPathInfo> {
    return await addStream(this, info, source, options);
  }

  /** Adds a path whose NAR comes before its name and references. */
  async addToStoreNamedLater(
    source: AsyncIterable<Uint8Array>,
    describe: () => Promise<Omit<IncomingPathInfo, "narHash" | "narSizeBytes">>,
  ): Promise<ValidPathInfo> {
    return await addStreamNamedLater(this, source, describe);
  }

  /** Makes what a builder wrote store paths: canonical, scanned, hashed, in place, registered in one transaction. */
  registerOutputs(request: RegisterOutputsRequest): Promise<Map<OutputName, ValidPathInfo>> {
    return registerOutputs(this, request);
  }

  /** Registers paths whose files are in place; references must be valid or among them. */
  registerValidPaths(infos: readonly ValidPathInfo[], isRepair = false): void {
    this.prepareToWrite();
    syncPaths(this, infos);
    const now = Math.floor(Date.now() / 1000);
    this.db.registerValidPaths(
      infos.map((info) => (info.registrationTime === 0 ? { ...info, registrationTime: now } : info)),
      (drvPath) =>
        [...knownOutputPaths(this.readDerivation(drvPath))].flatMap(([output, path]) =>
          path === undefined ? [] : [[output, path] as const],
        ),
    );
    if (this.settings.config.raw.get("auto-optimise-store") === "true")
      optimisePaths(
        this,
        infos.map(({ path }) => path),
        isRepair,
      );
  }

  addSignatures(path: StorePath, signatures: readonly string[]): void {
    this.prepareToWrite();
    this.db.transaction(() => {
      const info = this.pathInfo(path);
      const all = [...new Set([...info.signatures, ...signatures])];
      // Whoever asks about the path reads them all.
      if (all.length > MAX_SIGNATURES)
        throw new DevshellError(
          "STORE_SIGNATURES_TOO_MANY",
          `Cannot sign "${path}": it would have ${all.length} signatures, more than ${MAX_SIGNATURES}`,
        );
      this.db.updatePathInfo({ ...info, signatures: all });
    });
  }

  /**
   * Moves a finished tree to its store path, deleting what an interrupted run left there. The caller holds the lock.
   * @param isRepair replaces a registered path, at once where the system can
   */
  moveIntoPlace(scratch: ByteString, path: StorePath, isRepair = false): void {
    moveIntoPlace(this, scratch, path, isRepair);
  }

  /**
   * Locks a path, and unless it turned valid meanwhile lets `fill` write it to a scratch path, moves it into place and
   * registers it.
   * @returns false when `fill` gave up
   */
  placePath(
    path: StorePath,
    isRepair: boolean,
    fill: (scratch: ByteString) => ValidPathInfo | undefined,
  ): boolean {
    return placePath(this, path, isRepair, fill);
  }

  // Locks, roots, scratch space

  /** Protects paths, valid or not yet, from garbage collection until this process ends. */
  addTempRoots(paths: Iterable<StorePath>): void {
    if (this.isReadOnly) return;
    this.prepareToWrite();
    this.#tempRoots.add(paths);
  }

  /** Locks store paths against other processes that would realise them; waits for those that do. */
  lockPaths(paths: Iterable<StorePath>, wait: LockWait = {}): Promise<PathLocks> {
    this.prepareToWrite();
    const list = [...paths];
    const onWait = (): void => {
      wait.onWait?.();
      this.onWait(`waiting for locks on ${list.map((path) => `"${path}"`).join(", ")}`);
    };
    return PathLocks.acquire(
      list.map((path) => this.realPath(path)),
      { signal: wait.signal, onWait },
    );
  }

  /** @returns `undefined` when another process holds one of them */
  tryLockPaths(paths: Iterable<StorePath>): PathLocks | undefined {
    this.prepareToWrite();
    return PathLocks.tryAcquire([...paths].map((path) => this.realPath(path)));
  }

  /**
   * A free path in the store directory's file system for content that is not yet hashed. It lies in a directory that
   * is locked while we live, so that collectors leave it, and goes when we end; after a kill a collector takes it.
   */
  makeScratchPath(): ByteString {
    this.prepareToWrite();
    this.#scratch ??= createScratchDirectory(`${this.realStoreDir}/tmp-${process.pid}-`);
    return `${this.#scratch.path}/${this.#scratch.next++}`;
  }

  /** The link of the store's own that makes a link a root; undefined where it is one by where it lies. */
  indirectRootOf(link: ByteString): ByteString | undefined {
    return indirectRootOf(this.settings.stateDir, link);
  }

  /** A symlink that keeps a path alive; one outside the state directory is registered below `gcroots/auto`. */
  addRoot(link: ByteString, path: StorePath): void {
    this.prepareToWrite();
    this.addTempRoots([path]);
    syncRegistrations(this);
    addPermanentRoot(this, link, path);
  }

  /** Registers a symlink that exists already, anywhere, as a root. */
  addIndirectRoot(link: ByteString): void {
    this.prepareToWrite();
    syncRegistrations(this);
    addIndirectRoot(this, link);
  }

  findRoots(): GcRoots {
    return findRoots(this, { includeTemporary: true });
  }

  // Upkeep

  collectGarbage(options: GcOptions): Promise<GcResult> {
    return collectGarbage(this, options);
  }

  verify(options: VerifyOptions = {}): Promise<VerifyResult> {
    return verifyStore(this, options);
  }

  optimise(
    options: {
      readonly signal?: AbortSignal | undefined;
      readonly paths?: Iterable<StorePath> | undefined;
    } = {},
  ): Promise<OptimiseResult> {
    return optimiseStore(this, options);
  }

  /** Which path keeps which, by references and as the settings ask. */
  referenceGraph(): ReferenceGraph {
    const { keepDerivations, keepOutputs } = this.settings.config;
    return ReferenceGraph.read(this.db, { keepDerivations, keepOutputs });
  }

  /** Deletes dead paths; @throws {DevshellError} `STORE_PATH_ALIVE` */
  deletePaths(
    paths: readonly StorePath[],
    options: Pick<GcOptions, "ignoreLiveness" | "includesReferrers"> = {},
  ): Promise<GcResult> {
    return collectGarbage(this, { action: "deleteSpecific", paths, ...options });
  }

  /** Takes the shared lock that keeps others from upgrading the schema under us. */
  prepareToWrite(): void {
    if (this.isReadOnly)
      throw new DevshellError(
        "STORE_READ_ONLY",
        `Cannot change store "${this.storeDir}", which was opened read-only: ${isWritable(this.realStoreDir) ? "attempt to write a readonly database" : "Permission denied"}`,
      );
    this.#bigLock ??= FileLock.acquireSync(`${this.settings.stateDir}/db/big-lock`, "shared", () =>
      this.onWait("waiting for the big store lock"),
    );
  }

  [Symbol.dispose](): void {
    if (this.#scratch !== undefined) {
      deleteTree(this.#scratch.path);
      closeSync(this.#scratch.fd);
    }
    this.#scratch = undefined;
    this.#tempRoots[Symbol.dispose]();
    this.db[Symbol.dispose]();
    this.#bigLock?.[Symbol.dispose]();
    this.#bigLock = undefined;
  }
}

function isWritable(directory: ByteString): boolean {
  try {
    accessSync(fsPath(directory), constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
