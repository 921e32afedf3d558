export { compress, type CompressOptions } from "./compress.ts";
export { COMPRESSIONS, decompress, decompressPart, isCompression, type Compression } from "./decompress.ts";
export { findInPath, findProgram, isProgram } from "./findProgram.ts";
export { netrcHeaders, parseNetrc } from "./netrc.ts";
export { mayBeTold, parseUrl, type MakeHeaders } from "./openUrl.ts";
export type { ConnectionOptions } from "./sendRequest.ts";
export {
  downloadToFile,
  downloadUnhashed,
  fetchBytes,
  followRedirects,
  isNotFound,
  probeUrl,
  transfer,
  type DownloadRequest,
  type DownloadResult,
  type TransferOptions,
  type TransferRequest,
} from "./transfer.ts";
export {
  sendContent,
  upload,
  type SendContentRequest,
  type UploadContent,
  type UploadRequest,
} from "./upload.ts";
