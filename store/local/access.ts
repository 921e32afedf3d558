import type { ByteString } from "../../core/index.ts";
import type { StoreDb } from "../db/storeDb.ts";
import type { LockWait, PathLocks } from "./fileLock.ts";
import type {
  Derivation,
  OutputName,
  Realisation,
  StorePath,
  StoreSettings,
  ValidPathInfo,
} from "../types.ts";

/** What the parts of the local store (collector, verifier, …) use of it; `LocalStore` is one. */
export interface StoreAccess {
  readonly settings: StoreSettings;
  readonly storeDir: string;
  readonly realStoreDir: ByteString;
  readonly db: StoreDb;
  readonly onWait: (message: string) => void;
  readonly onWarn: (message: string) => void;
  isValidPath(path: StorePath): boolean;
  queryPathInfo(path: StorePath): ValidPathInfo | undefined;
  queryDerivationOutputs(drvPath: StorePath): Map<OutputName, StorePath | undefined>;
  readDerivation(drvPath: StorePath): Derivation;
  realPath(path: ByteString): ByteString;
  makeScratchPath(): ByteString;
  /** @returns false when `fill` gave up */
  placePath(
    path: StorePath,
    isRepair: boolean,
    fill: (scratch: ByteString) => ValidPathInfo | undefined,
  ): boolean;
  moveIntoPlace(scratch: ByteString, path: StorePath, isRepair?: boolean): void;
  registerValidPaths(infos: readonly ValidPathInfo[], isRepair?: boolean): void;
  registerRealisation(realisation: Realisation): void;
  /** @throws {DevshellError} where a file is no derivation, or names other output paths than follow from it */
  checkDerivation(drvPath: StorePath, file: ByteString): void;
  lockPaths(paths: Iterable<StorePath>, wait?: LockWait): Promise<PathLocks>;
  tryLockPaths(paths: Iterable<StorePath>): PathLocks | undefined;
  addTempRoots(paths: Iterable<StorePath>): void;
  prepareToWrite(): void;
}
