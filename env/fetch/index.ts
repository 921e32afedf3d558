export { downloadRecordFile, readDownload, writeDownload } from "./downloadRecord.ts";
export { fetchTree, fetchTreeNow } from "./fetchTree.ts";
export { countRevisions, locate } from "./git.ts";
export { mercurialDirectory } from "./mercurial.ts";
export { prefetchFile, type PrefetchRequest } from "./prefetchFile.ts";
export { gitEnvironment } from "./runGit.ts";
export { unpackArchive } from "./unpackArchive.ts";
export { ttlMs } from "./types.ts";
export type { FetchContext, FetchedTree, GitHistory, InputAttributes } from "./types.ts";
