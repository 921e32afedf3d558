export { fetchTree, fetchTreeNow, mercurialFailure } from "./fetchTree.ts";
export { countRevisions, locate } from "./git.ts";
export { prefetchFile, type PrefetchRequest } from "./prefetchFile.ts";
export { gitEnvironment } from "./runGit.ts";
export { unpackArchive } from "./unpackArchive.ts";
export type { FetchContext, FetchedTree, GitHistory, InputAttributes } from "./types.ts";
