export {
  COMPRESSIONS,
  decompress,
  decompressPart,
  isCompression,
  type Compression,
  type FilePart,
} from "./decompress.ts";
export { findInPath, findProgram, isProgram } from "./findProgram.ts";
export {
  downloadToFile,
  fetchBytes,
  isNotFound,
  probeUrl,
  transfer,
  type DownloadRequest,
  type DownloadResult,
  type TransferOptions,
  type TransferRequest,
} from "./transfer.ts";
