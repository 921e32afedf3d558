export {
  loadCachedEnvironment,
  loadRecord,
  dropOldRecords,
  lastUsedMs,
  listRecords,
  watchedPaths,
  workingDirectory,
  writeRecord,
} from "./cache/cacheRecord.ts";
export type { CachedEnvironment, WriteRecordRequest } from "./cache/cacheRecord.ts";
export { cacheDirectory, indexPath, selectionKey } from "./cache/recordPaths.ts";
export { InputTracker, currentInput, isSameInput } from "./inputTracker.ts";
export { diffEnvironment, type VariableChange } from "./render/diffEnvironment.ts";
export { environmentFromJson, environmentToJson, type EnvironmentJson } from "./render/renderJson.ts";
export {
  applyEnvironment,
  exportedVariables,
  renderBash,
  renderDirenv,
  renderEnter,
  renderFish,
  renderPosix,
  type RenderOptions,
} from "./render/renderShell.ts";
export { isVariableName, quoteFish, quoteSh } from "./render/quote.ts";
export { discoverSpec } from "./spec/discoverSpec.ts";
export { quoteNix, specExpression } from "./spec/specExpression.ts";
export { suggestNames } from "./suggest.ts";
export type {
  BuildEnvironment,
  CapturedVariable,
  DataSpec,
  DevSpec,
  EnvironmentEvent,
  EnvironmentRequest,
  InputStat,
  InstantiatedSpec,
  PackageChoice,
  ServiceSpec,
  SpecArgument,
  TrackedInput,
  VariableOrigin,
} from "./types.ts";
export { realiseEnvironment } from "./build/realiseEnvironment.ts";
export { makeEnvironment, type MadeEnvironment } from "./makeEnvironment.ts";
export {
  autoArguments,
  evaluateSpec,
  openEvaluation,
  type EvaluateOptions,
  type OpenEvaluationOptions,
  type SelectedValue,
  type SpecEvaluation,
} from "./evaluate/evaluateSpec.ts";
export { derivationsOf, type FoundDerivation } from "./evaluate/findDerivations.ts";
export { instantiateDerivations, instantiateSpec } from "./instantiateSpec.ts";
export {
  StoreContext,
  createStoreContext,
  type ContextEvent,
  type StoreContextOptions,
} from "./storeContext.ts";
