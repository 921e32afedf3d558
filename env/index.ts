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
export { evalKey, type EvalKey } from "./evalCache/evalKey.ts";
export { evaluationFacts } from "./evalCache/evaluationFacts.ts";
export { findEvalRecord, hasLinks, writeEvalParts, writeEvalRecord } from "./evalCache/evalRecord.ts";
export { clearEvalCache, evalCacheUsage } from "./evalCache/pruneEvalRecords.ts";
export type { EvalLink, EvalRecord } from "./evalCache/types.ts";
export { lastingScripts } from "./cache/scripts.ts";
export { diffEnvironment, isSecret } from "./render/diffEnvironment.ts";
export { probeHook, type HookChanges } from "./build/probeHook.ts";
export {
  applyEnvironment,
  buildTopOf,
  exportedVariables,
  renderBash,
  renderDirenv,
  renderFish,
  renderPosix,
  type RenderOptions,
} from "./render/renderShell.ts";
export { quoteSh } from "./render/quote.ts";
export { collectionOf } from "./spec/specExpression.ts";
export { discoverSpec } from "./spec/discoverSpec.ts";
export { suggestNames } from "./suggest.ts";
export type {
  BuildEnvironment,
  DevSpec,
  EnvironmentEvent,
  EnvironmentRequest,
  MessageLevel,
  SpecArgument,
  TrackedInput,
  VariableOrigin,
} from "./types.ts";
export { readLedger, type LedgerEntry, type StoreLedger } from "./ledger/readLedger.ts";
export { whyAlive, type Keeper } from "./ledger/whyAlive.ts";
export { linkedTreesAmong, linkedTreesOf } from "./linkedTrees.ts";
export { makeEnvironment, type MakeObserver } from "./makeEnvironment.ts";
export { autoArguments, evaluateSpec, openEvaluation } from "./evaluate/evaluateSpec.ts";
export { listAttributes, type AttributeList } from "./evaluate/listAttributes.ts";
export { derivationsOf, readDerivationValue, type FoundDerivation } from "./evaluate/findDerivations.ts";
export { isSameInput } from "./inputTracker.ts";
export { instantiateDerivations } from "./instantiateSpec.ts";
export { StoreContext, createStoreContext, type ContextEvent } from "./storeContext.ts";
export * from "./flake/index.ts";
export { homeDirectory, stateHome, userExpressions, usesXdg } from "./userDirectories.ts";
export { gitAddress, prefetchFile, type PrefetchRequest } from "./fetch/index.ts";
