export { bytesOfText, fsPath, textOfBytes, type ByteString } from "./byteString.ts";
export {
  DevshellError,
  type DevshellErrorOptions,
  type SourceOrigin,
  type SourcePos,
  type TraceFrame,
} from "./error.ts";
export {
  bytesOfShown,
  formatError,
  formatPlace,
  rawText,
  shownText,
  type FormatErrorOptions,
} from "./formatError.ts";
export { ensureHeap } from "./heap.ts";
export {
  HASH_SIZE_BYTES,
  decodeNix32,
  encodeNix32,
  formatHash,
  hashBytes,
  hashStream,
  sha256Text,
  isHashAlgorithm,
  parseHash,
  type Hash,
  type HashAlgorithm,
  type HashEncoding,
} from "./hash.ts";
export { importModule } from "./importModule.ts";
export { systemErrorText } from "./systemErrorText.ts";
export { Interrupted, checkInterrupt, listenForInterrupts } from "./interrupted.ts";
export { logText } from "./logText.ts";
export { NIX_VERSION } from "./nixVersion.ts";
export { packageRoot } from "./packageRoot.ts";
export { quoteForShell } from "./quoteForShell.ts";
export { nameProblem } from "./storeName.ts";
export { shownUrl, withoutLogins } from "./shownUrl.ts";
export {
  WorkerPool,
  isFromSnapshot,
  serveWorker,
  spawnWorker,
  workerFile,
  type WorkerCall,
} from "./worker.ts";
