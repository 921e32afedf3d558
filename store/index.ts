export { formatContentAddress, isContentAddressed, parseContentAddress } from "./format/contentAddress.ts";
export { derivationKind, knownOutputPaths } from "./format/derivation.ts";
export { DerivationHasher } from "./format/derivationHasher.ts";
export { parseDerivation } from "./format/parseDerivation.ts";
export { derivationPath, printDerivation } from "./format/printDerivation.ts";
export {
  downstreamPlaceholder,
  dynamicPlaceholder,
  hashPlaceholder,
  makeDerivation,
  outputsOf,
  parseBuiltElement,
  parseBuiltTarget,
  type DerivationRequest,
  type MadeDerivation,
} from "./format/makeDerivation.ts";
export { dumpNar, hashNar, narChunks, narOfBytes } from "./format/nar.ts";
export {
  formatKey,
  generateSecretKey,
  hasTrustedSignature,
  parseNarInfo,
  parsePublicKey,
  parseSecretKey,
  printNarInfo,
  publicKeyOf,
  isSignedBy,
  signPathInfo,
  type PublicKey,
  type SecretKey,
} from "./format/narInfo.ts";
export { NarReader } from "./format/narReader.ts";
export { listNar, restoreNar } from "./format/narRestore.ts";
export {
  formatDrvOutput,
  isRealisationTrusted,
  parseDrvOutput,
  parseRealisation,
  printRealisation,
  realisationJson,
  realisationPlace,
} from "./format/realisation.ts";
export { ReferenceScanner } from "./format/references.ts";
export {
  compressHash,
  derivationNameOfPath,
  isDerivationPath,
  isInStore,
  isStorePath,
  makeFixedOutputPath,
  makeStorePath,
  makeTextPath,
  parseStorePath,
  splitStorePath,
  storePathBaseName,
  storePathName,
} from "./format/storePath.ts";
export { hashFlat, hashMismatch } from "./local/contentHash.ts";
export { queryOutput } from "./local/derivationOutputs.ts";
export { FileLock, PathLocks } from "./local/fileLock.ts";
export { canonicalise, deleteTree, makeDirectories } from "./local/files.ts";
export { localStore, openStore, realise } from "./anyStore.ts";
export { authorise } from "./daemon/authorise.ts";
export { forwardToDaemon } from "./daemon/forward.ts";
export { listen } from "./daemon/listen.ts";
export { clientLimits } from "./clientLimits.ts";
export { ClientTurns } from "./clientTurns.ts";
export { serveConnection } from "./daemon/serveConnection.ts";
export { LocalStore } from "./local/localStore.ts";
export type { PeerCredentials } from "./local/socketCalls.ts";
export { DaemonStore } from "./remote/daemonClient/daemonStore.ts";
export {
  addGeneration,
  deleteGenerations,
  profileToken,
  readGenerations,
  switchGeneration,
  type Generation,
  type GenerationChoice,
  type Generations,
} from "./local/profiles.ts";
export { topologicalSort } from "./local/topologicalSort.ts";
export { PathAliveError } from "./local/garbage.ts";
export { collectWhenFull } from "./local/autoCollect.ts";
export { graphOf } from "./graphOf.ts";
export { ReferenceGraph, type ChainLink, type KeepReason } from "./local/referenceGraph.ts";
export { replaceSymlink } from "./local/roots.ts";
export type { GcOptions, GcResult, IncomingPathInfo, LocalStoreOptions } from "./local/types.ts";
export { CacheServer, type ServedRequest } from "./serve/cacheServer.ts";
export { SERVED_COMPRESSIONS, isServedCompression, type ServedCompression } from "./serve/compressBody.ts";
export { parseListenAddress } from "./serve/listenAddress.ts";
export { keptElsewhere, runOnMachine } from "./builders/buildOnMachine.ts";
export { withoutMachines } from "./builders/machines.ts";
export { RemoteBuilders, type ClaimedMachine } from "./builders/remoteBuilders.ts";
export { ByteSource } from "./protocol/byteSource.ts";
export { EXPORT_MAGIC, importPaths } from "./ssh/importPaths.ts";
export { readNumber, readString, readStrings, type Decoder } from "./protocol/wire.ts";
export { readStoreConfig, resolveStoreSettings, socketPathOf } from "./settings.ts";
export { relayOverSsh } from "./ssh/relay.ts";
export { serveSession } from "./ssh/serveSession.ts";
export { ServeStore } from "./ssh/serveStore.ts";
export { sshAddressOf } from "./ssh/sshAddress.ts";
export type { Store } from "./store.ts";
export { TransientRoot, isTransient, placeTransient } from "./transientRoot.ts";
export type {
  BuiltinBuilder,
  BuiltinBuilderContext,
  Derivation,
  DerivationOutput,
  DerivedPath,
  DynamicInput,
  IngestionMethod,
  OutputName,
  Realisation,
  RealiseEvent,
  StorePath,
  StoreSettings,
  ValidPathInfo,
} from "./types.ts";
export * from "./remote/index.ts";
export * from "./realise/index.ts";
