import type { ByteString } from "../../core/index.ts";
import type { Realisation, StoreDb } from "../db/storeDb.ts";
import type { Derivation, OutputName, StorePath, StoreSettings, ValidPathInfo } from "../types.ts";

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
  moveIntoPlace(scratch: ByteString, path: StorePath, isRepair?: boolean): void;
  registerValidPaths(infos: readonly ValidPathInfo[]): void;
  registerRealisation(realisation: Realisation): void;
  addTempRoots(paths: Iterable<StorePath>): void;
  prepareToWrite(): void;
}
