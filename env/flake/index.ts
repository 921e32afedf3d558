export {
  APP_PLACES,
  PACKAGE_PLACES,
  SEARCH_PLACES,
  SHELL_PLACES,
  findFlakeOutput,
  findFlakeOutputs,
  outputPathsOf,
  type FlakeOutput,
  type FlakePlaces,
} from "./flakeOutputs.ts";
export { lockFlake, openFlake, type FlakeEvaluation, type LockOptions } from "./lockFlake.ts";
export {
  parseInstallable,
  parseReference,
  type FlakeInstallable,
  type ParseFlakeOptions,
} from "./parseInstallable.ts";
export {
  FlakeRegistries,
  readRegistry,
  userRegistryPath,
  withRevision,
  writeRegistry,
  type Registry,
  type RegistryEntry,
  type RegistryKind,
} from "./registry.ts";
export { fingerprintOf } from "./fingerprint.ts";
export { describeLockChanges } from "./describeLockChanges.ts";
