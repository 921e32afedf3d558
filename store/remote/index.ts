export { copyPaths, type CopyRequest } from "./copyPaths.ts";
export { StoreEndpoint } from "./storeEndpoint.ts";
export { openNarTree, openObjectTree, type ObjectTree, type TreeEntry } from "./binaryCache/objectTree.ts";
export { openRemoteStore } from "./openRemoteStore.ts";
export { OutputsThere } from "./outputsThere.ts";
export { invalidPath, queryPaths } from "./queryPaths.ts";
export { isWholeAddress, parseStoreAddress } from "./storeAddress.ts";
export type { NarDownload, NarFile, RemotePathInfo, RemoteStore } from "./types.ts";
export { webSettings } from "./binaryCache/webSettings.ts";
