import type { ByteString } from "../../core/index.ts";
import type { LockWait, PathLocks } from "../local/fileLock.ts";
import type { AddStreamOptions, IncomingPathInfo, RegisterOutputsRequest } from "../local/types.ts";
import type { Derivation, OutputName, StorePath, StoreSettings, ValidPathInfo } from "../types.ts";

/** What realising needs of a store on this machine; `LocalStore` is one. */
export interface RealiseStore {
  readonly settings: StoreSettings;
  isValidPath(path: StorePath): boolean;
  queryPathInfo(path: StorePath): ValidPathInfo | undefined;
  /** @throws where the path is not valid or holds no derivation */
  readDerivation(drvPath: StorePath): Derivation;
  /** Keeps the garbage collector away until the process ends. */
  addTempRoots(paths: Iterable<StorePath>): void;
  /** Where a store path's files lie on this side of any mount namespace. */
  realPath(path: ByteString): ByteString;
  /** Waits for other processes that realise these paths. */
  lockPaths(paths: Iterable<StorePath>, wait?: LockWait): Promise<PathLocks>;
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
