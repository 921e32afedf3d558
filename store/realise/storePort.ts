import type { ByteString } from "../../core/index.ts";
import type { BuiltElement } from "../format/derivationHasher.ts";
import type { MadeDerivation } from "../format/makeDerivation.ts";
import type { LockWait, PathLocks } from "../local/fileLock.ts";
import type { AddStreamOptions, IncomingPathInfo, RegisterOutputsRequest } from "../local/types.ts";
import type {
  Derivation,
  OutputName,
  Realisation,
  StorePath,
  StoreSettings,
  ValidPathInfo,
} from "../types.ts";

/** A store that evaluation writes to. */
export interface EvalStore {
  isValidPath(path: StorePath): boolean;
  queryPathInfo(path: StorePath): ValidPathInfo | undefined;
  readDerivation(drvPath: StorePath): Derivation;
  narOf(path: StorePath): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** What realising needs of a store on this machine; `LocalStore` is one. */
export interface RealiseStore {
  readonly settings: StoreSettings;
  /** Where derivations and their sources come from, where that is another store. */
  readonly evalStore?: EvalStore | undefined;
  isValidPath(path: StorePath): boolean;
  queryPathInfo(path: StorePath): ValidPathInfo | undefined;
  /** @throws where the path is not valid or holds no derivation */
  readDerivation(drvPath: StorePath): Derivation;
  writeDerivation(made: MadeDerivation): StorePath;
  /** The outputs' paths as far as they are known: by the derivation, or since they have been built. */
  queryDerivationOutputs(drvPath: StorePath): ReadonlyMap<OutputName, StorePath | undefined>;
  /** As before for an output of what may itself be an output. */
  queryOutput(element: BuiltElement): StorePath | undefined;
  /** Which path an output turned out to be, of a derivation that has nothing to resolve. */
  queryRealisation(drvPath: StorePath, output: OutputName): Realisation | undefined;
  registerRealisation(realisation: Realisation): void;
  /** Keeps the garbage collector away until the process ends. */
  addTempRoots(paths: Iterable<StorePath>): void;
  /** Where a store path's files lie on this side of any mount namespace. */
  realPath(path: ByteString): ByteString;
  /** Waits for other processes that realise these paths. */
  lockPaths(paths: Iterable<StorePath>, wait?: LockWait): Promise<PathLocks>;
  /** @returns `undefined` where another process realises one of them */
  tryLockPaths(paths: Iterable<StorePath>): PathLocks | undefined;
  addToStoreFromStream(
    info: IncomingPathInfo,
    source: AsyncIterable<Uint8Array>,
    options?: AddStreamOptions,
  ): Promise<unknown>;
  /** Moves a finished tree to its store path; with `isRepair` also over a registered one. */
  moveIntoPlace(scratch: ByteString, path: StorePath, isRepair?: boolean): void;
  registerOutputs(
    request: RegisterOutputsRequest,
  ): ReadonlyMap<OutputName, ValidPathInfo> | Promise<ReadonlyMap<OutputName, ValidPathInfo>>;
}
