export { StoreDb, type Realisation } from "./db/storeDb.ts";
export {
  formatContentAddress,
  formatMethodAlgorithm,
  parseContentAddress,
  parseMethodAlgorithm,
  pathOfContentAddress,
  type ContentAddress,
} from "./format/contentAddress.ts";
export {
  DerivationHasher,
  checkOutputPaths,
  derivationKind,
  derivationPath,
  derivationReferences,
  isFixedOutput,
  knownOutputPaths,
  parseDerivation,
  printDerivation,
  type DerivationKind,
  type HashModulo,
} from "./format/derivation.ts";
export {
  downstreamPlaceholder,
  dynamicPlaceholder,
  hashPlaceholder,
  makeDerivation,
  outputsOf,
  parseBuiltElement,
  type DerivationRequest,
  type MadeDerivation,
} from "./format/makeDerivation.ts";
export {
  dumpNar,
  hashNar,
  narChunks,
  narOfBytes,
  type DumpOptions,
  type NarDigest,
  type NarFilter,
} from "./format/nar.ts";
export {
  formatKey,
  generateSecretKey,
  hasTrustedSignature,
  isSignedBy,
  narInfoFingerprint,
  parseNarInfo,
  parsePublicKey,
  parseSecretKey,
  printNarInfo,
  publicKeyOf,
  signPathInfo,
  type NarInfo,
  type PublicKey,
  type SecretKey,
} from "./format/narInfo.ts";
export { NarReader, type NarHandler } from "./format/narReader.ts";
export {
  NarRestorer,
  listNar,
  restoreNar,
  writeError,
  type NarListing,
  type RestoreOptions,
} from "./format/narRestore.ts";
export { ReferenceScanner } from "./format/references.ts";
export {
  checkStorePathName,
  compressHash,
  derivationNameOfPath,
  isDerivationPath,
  isHashPart,
  isInStore,
  isStorePath,
  makeFixedOutputPath,
  makeOutputPath,
  makeStorePath,
  makeTextPath,
  outputPathName,
  parseStorePath,
  parseStorePathBaseName,
  sortedPaths,
  splitStorePath,
  storePathBaseName,
  storePathHashPart,
  storePathName,
  type FixedOutputRequest,
  type SplitStorePath,
} from "./format/storePath.ts";
export { hashFlat, hashMismatch, hashWithoutSelf } from "./local/contentHash.ts";
export { FileLock, PathLocks, type LockMode, type LockWait } from "./local/fileLock.ts";
export { canonicalise, deleteTree, entryExists, makeDirectories, moveTree } from "./local/files.ts";
export { LocalStore } from "./local/localStore.ts";
export { replaceSymlink } from "./local/roots.ts";
export type {
  AddPathFilter,
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
  ScratchOutput,
  VerifyOptions,
  VerifyResult,
} from "./local/types.ts";
export {
  readStoreConfig,
  resolveStoreSettings,
  type Environment,
  type StoreSettingsOptions,
} from "./settings.ts";
export type {
  BuiltinBuilder,
  BuiltinBuilderContext,
  Derivation,
  DerivationOutput,
  DerivedPath,
  DynamicInput,
  IngestionMethod,
  OutputName,
  RealiseEvent,
  RealiseOptions,
  StoreConfig,
  StorePath,
  StoreSettings,
  ValidPathInfo,
} from "./types.ts";
export * from "./realise/index.ts";
