export {
  loadCachedEnvironment,
  loadRecord,
  dropOldRecords,
  lastUsedMs,
  listRecords,
  watchedPaths,
  workingDirectory,
} from "./cache/cacheRecord.ts";
export { cacheDirectory } from "./cache/recordPaths.ts";
export { diffEnvironment } from "./render/diffEnvironment.ts";
export { environmentToJson, type EnvironmentJson } from "./render/renderJson.ts";
export { renderBash, renderDirenv, renderFish, renderPosix } from "./render/renderShell.ts";
export { quoteSh } from "./render/quote.ts";
export { discoverSpec } from "./spec/discoverSpec.ts";
export { suggestNames } from "./suggest.ts";
export type { BuildEnvironment, EnvironmentEvent, EnvironmentRequest, SpecArgument } from "./types.ts";
export { makeEnvironment } from "./makeEnvironment.ts";
export { autoArguments, evaluateSpec, openEvaluation } from "./evaluate/evaluateSpec.ts";
export { derivationsOf, type FoundDerivation } from "./evaluate/findDerivations.ts";
export { instantiateDerivations } from "./instantiateSpec.ts";
export { StoreContext, createStoreContext, type ContextEvent } from "./storeContext.ts";
