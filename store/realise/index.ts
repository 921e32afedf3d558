export { realise, type RealiseRequestOptions } from "./realise.ts";
export { throwFailure, type RealiseReport, type RealiseResult } from "./report.ts";
export { describePlan, renderSize, type RealisePlan } from "./plan.ts";
export { fetchClosure, settingsForClosure, type ClosureRequest } from "./fetchClosure.ts";
export {
  cacheTargetOf,
  initialiseCache,
  isCached,
  writeToCache,
  type CacheTarget,
} from "./writeBinaryCache.ts";
export { fetchRealisation, writeRealisation } from "./cacheRealisations.ts";
export { makeContentAddressed, type ObjectSource } from "./makeContentAddressed.ts";
export { FileConflict, linkPackages, type LinkedPackage } from "./builtins/linkPackages.ts";
export { builderInput } from "./buildEnvironment.ts";
export { readDerivationOptions } from "./derivationOptions.ts";
export { printJson } from "./structuredAttrs.ts";
export { sandboxObstacle } from "./sandboxMethod.ts";
export { removeOrphanedBuilds } from "./scratch.ts";
export { removeOrphanedDownloads } from "./orphanedDownloads.ts";
