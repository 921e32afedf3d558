import { DevshellError } from "../../core/index.ts";
import type { LocalStore } from "../local/localStore.ts";
import type { Restriction } from "../realise/builder/restriction.ts";
import { overlayStore } from "../realise/storeOverlay.ts";
import type { StorePath, ValidPathInfo } from "../types.ts";

/** A store as a builder sees it: nothing but what it may, and of that nothing that differs from store to store. */
export function restrictStore(store: LocalStore, restriction: Restriction): LocalStore {
  const isAllowed = (path: StorePath): boolean => restriction.isAllowed(path);
  const check = (path: StorePath): void => {
    if (!isAllowed(path)) throw unknownPath(path);
  };
  const queryPathInfo = (path: StorePath): ValidPathInfo | undefined => {
    const info = isAllowed(path) ? store.queryPathInfo(path) : undefined;
    return info && { ...info, deriver: undefined, registrationTime: 0, isUltimate: false, signatures: [] };
  };
  return overlayStore<LocalStore, LocalStore>(store, {
    queryPathInfo,
    pathInfo: (path) => {
      const info = queryPathInfo(path);
      if (info === undefined) throw unknownPath(path);
      return info;
    },
    isValidPath: (path) => isAllowed(path) && store.isValidPath(path),
    allValidPaths: () => restriction.paths().filter((path) => store.isValidPath(path)),
    queryReferrers: () => [],
    queryValidDerivers: () => [],
    queryDerivationOutputs: (path) => {
      check(path);
      return store.queryDerivationOutputs(path);
    },
    readDerivation: (path) => {
      check(path);
      return store.readDerivation(path);
    },
    queryPathFromHashPart: (hashPart) => {
      const path = store.queryPathFromHashPart(hashPart);
      return path !== undefined && isAllowed(path) ? path : undefined;
    },
    queryRealisation: (drvPath, output) => {
      const found = store.queryRealisation(drvPath, output);
      return found !== undefined && isAllowed(found.outputPath) ? found : undefined;
    },
    addTempRoots: () => undefined,
    addIndirectRoot: () => undefined,
    findRoots: () => new Map(),
  });
}

export function unknownPath(path: StorePath): DevshellError {
  return new DevshellError(
    "STORE_PATH_NOT_VALID",
    `path '${path}' is not valid: the builder neither has it as an input nor made it`,
  );
}
