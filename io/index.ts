export { COMPRESSIONS, decompress, decompressPart, isCompression, type Compression } from "./decompress.ts";
export { findInPath, findProgram, isProgram } from "./findProgram.ts";
export {
  downloadToFile,
  fetchBytes,
  followRedirects,
  isNotFound,
  probeUrl,
  transfer,
  type TransferOptions,
  type TransferRequest,
} from "./transfer.ts";
