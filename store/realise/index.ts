export {
  realise,
  throwFailure,
  type RealiseReport,
  type RealiseRequestOptions,
  type RealiseResult,
} from "./realise.ts";
export { describePlan, outputPathsOf, renderSize, type RealisePlan } from "./plan.ts";
export { openBinaryCache, type NarDownload, type Substituter } from "./binaryCache.ts";
export { builderInput, type BuilderInput, type BuilderInputRequest } from "./buildEnvironment.ts";
export { derivationAttribute, readDerivationOptions, type DerivationOptions } from "./derivationOptions.ts";
export { printJson, shellOfStructuredAttrs } from "./structuredAttrs.ts";
export { sandboxObstacle } from "./sandbox.ts";
export type { RealiseStore } from "./storePort.ts";
export { removeOrphanedBuilds } from "./scratch.ts";
export { removeOrphanedDownloads } from "./orphanedDownloads.ts";
