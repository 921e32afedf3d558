import type { ByteString } from "../core/index.ts";
import type { BuiltElement, DerivationHasher } from "./format/derivationHasher.ts";
import type { MadeDerivation } from "./format/makeDerivation.ts";
import type {
  AddPathOptions,
  AddStreamOptions,
  ClosureOptions,
  GcOptions,
  GcResult,
  GcRoots,
  IncomingPathInfo,
  OptimiseResult,
  VerifyOptions,
  VerifyResult,
} from "./local/types.ts";
import type {
  Derivation,
  OutputName,
  Realisation,
  StorePath,
  StoreSettings,
  ValidPathInfo,
} from "./types.ts";

/**
 * A store as everything outside `store/` sees it: one of this machine that is opened by us (`LocalStore`), or one
 * that a daemon holds (`DaemonStore`).
 */
export interface Store extends Disposable {
  readonly settings: StoreSettings;
  /** What paths start with. */
  readonly storeDir: string;
  /** Where their files lie. */
  readonly realStoreDir: ByteString;
  /** Remembers derivations and their hashes modulo for all that is instantiated over this store. */
  readonly hasher: DerivationHasher;
  /** Says that another process is waited for. */
  readonly onWait: (message: string) => void;

  isValidPath(path: StorePath): boolean;
  queryPathInfo(path: StorePath): ValidPathInfo | undefined;
  /** @throws {DevshellError} `STORE_PATH_NOT_VALID` */
  pathInfo(path: StorePath): ValidPathInfo;
  queryReferrers(path: StorePath): StorePath[];
  queryValidDerivers(path: StorePath): StorePath[];
  /** The outputs' paths as far as they are known: by the derivation itself, or since they have been built. */
  queryDerivationOutputs(drvPath: StorePath): Map<OutputName, StorePath | undefined>;
  /** Where an output is that may be one of a derivation which is itself an output; `undefined` unless known. */
  queryOutput(element: BuiltElement): StorePath | undefined;
  queryPathFromHashPart(hashPart: string): StorePath | undefined;
  allValidPaths(): StorePath[];
  queryRealisation(drvPath: StorePath, output: OutputName): Realisation | undefined;
  registerRealisation(realisation: Realisation): void;
  /** Forgets what an output turned out to be; a daemon lets nobody do that. */
  deleteRealisation(drvPath: StorePath, output: OutputName): void;
  /**
   * All that the paths need (or, reversed, all that needs them), themselves included, sorted.
   * @throws {DevshellError} `STORE_PATH_NOT_VALID` when a path is not
   */
  closureOf(paths: StorePath | Iterable<StorePath>, options?: ClosureOptions): StorePath[];
  /** Sorts paths so that what refers to others comes after them. */
  topologicalSort(paths: Iterable<StorePath>): StorePath[];
  /** Where a store path's files, or something inside them, lie on this side of any mount namespace. */
  realPath(path: ByteString): ByteString;
  /** A valid path's NAR; a chunk is only valid until the next is asked for. */
  narOf(path: StorePath): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  /** Where a derivation's build log is kept, compressed or not (`.zst`, `.bz2` appended). */
  logPath(drvPath: StorePath): ByteString;

  /** @throws {DevshellError} `DRV_INVALID`, `STORE_READ_FAILED` */
  readDerivation(drvPath: StorePath): Derivation;
  /** Writes the `.drv` file unless it is valid; its inputs must be. */
  writeDerivation(made: MadeDerivation): StorePath;
  /** Writes many `.drv` files, inputs before users. */
  writeDerivations(all: Iterable<MadeDerivation>): void;
  /** Adds a text file whose path follows from content and references (`builtins.toFile`, `.drv`). */
  addText(name: string, contents: ByteString, references: Iterable<StorePath>): StorePath;
  /** Copies a file or tree into the store; its path follows from its content. */
  addPath(path: ByteString, options: AddPathOptions): StorePath;
  /** Adds a path whose hash is known beforehand from its NAR. */
  addToStoreFromStream(
    info: IncomingPathInfo,
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    options?: AddStreamOptions,
  ): Promise<ValidPathInfo>;
  /** The same for one whose NAR comes before its name and references, where the store can take that. */
  addToStoreNamedLater?(
    source: AsyncIterable<Uint8Array>,
    describe: () => Promise<Omit<IncomingPathInfo, "narHash" | "narSizeBytes">>,
  ): Promise<ValidPathInfo>;
  /** Registers paths whose files are in place; a daemon lets nobody do that. */
  registerValidPaths(infos: readonly ValidPathInfo[]): void;
  addSignatures(path: StorePath, signatures: readonly string[]): void;

  /** Keeps the garbage collector away until the store is closed. */
  addTempRoots(paths: Iterable<StorePath>): void;
  /** The link of the store's own that makes a link a root; undefined where it is one by where it lies. */
  indirectRootOf(link: ByteString): ByteString | undefined;
  /** A symlink that keeps a path alive; one outside the state directory is registered below `gcroots/auto`. */
  addRoot(link: ByteString, path: StorePath): void;
  /** Registers a symlink that exists already, anywhere, as a root. */
  addIndirectRoot(link: ByteString): void;
  findRoots(): GcRoots;
  collectGarbage(options: GcOptions): Promise<GcResult>;
  verify(options?: VerifyOptions): Promise<VerifyResult>;
  optimise(options?: {
    readonly signal?: AbortSignal | undefined;
    readonly paths?: Iterable<StorePath> | undefined;
  }): Promise<OptimiseResult>;
  /** Deletes dead paths; @throws {DevshellError} `STORE_PATH_ALIVE` */
  deletePaths(
    paths: readonly StorePath[],
    options?: Pick<GcOptions, "ignoreLiveness" | "includesReferrers">,
  ): Promise<GcResult>;
}
