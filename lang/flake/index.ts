export { callFlake } from "./callFlake.ts";
export { computeLocks, readFlakeLock, type ComputeLocksOptions } from "./computeLocks.ts";
export { fetchFlake, fetchReference, resolveReference, type FetchedReference } from "./fetchFlake.ts";
export { fetchInput } from "./fetchInput.ts";
export { parseInputPath } from "./flakeFile.ts";
export { formatFlakeReference, parseFlakeReference, type FlakeAttributes } from "./flakeReference.ts";
export {
  allInputs,
  findInput as findLockedInput,
  comparePaths,
  findInput,
  isFollowed,
  lockJson,
  parseLockFile,
  printLockFile,
  printLockJson,
  readAttributes,
  showInputPath,
  sortedInputs,
  type InputPath,
  type LockEdge,
  type LockJson,
  type LockNode,
  type LockPin,
} from "./lockFile.ts";
export {
  attributesOf,
  flakeReference,
  isLockedReference,
  isSameAttributes,
  isSameReference,
  relativePathOf,
  showReference,
  type FlakeReference,
} from "./reference.ts";
export type { Flake, FlakeInput, FlakeInputs, FlakeSetting, LockedFlake, RegistryScope } from "./types.ts";
