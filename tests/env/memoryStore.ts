import { DevshellError, hashBytes } from "../../core/index.ts";
import type { EvaluationStore } from "../../env/host/evaluationStore.ts";
import {
  hashFlat,
  hashNar,
  hashMismatch,
  isDerivationPath,
  makeFixedOutputPath,
  makeTextPath,
  type Derivation,
  type StorePath,
} from "../../store/index.ts";

/** A store that computes paths and keeps derivations in memory. */
export function memoryStore(storeDir = "/nix/store"): EvaluationStore & {
  readonly derivations: ReadonlyMap<StorePath, Derivation>;
} {
  const references = new Map<StorePath, readonly StorePath[]>();
  const derivations = new Map<StorePath, Derivation>();
  return {
    storeDir,
    realStoreDir: storeDir,
    derivations,
    addPath: (path, { name, method, filter, expectedHash }) => {
      const hash = method === "flat" ? hashFlat(path, "sha256") : hashNar(path, { filter }).hash;
      if (expectedHash !== undefined && !hash.digest.equals(expectedHash.digest))
        throw hashMismatch(path, expectedHash, hash);
      const storePath = makeFixedOutputPath(storeDir, name, { method, hash });
      references.set(storePath, []);
      return storePath;
    },
    addText: (name, contents, refs) => {
      const path = makeTextPath(storeDir, name, hashBytes("sha256", contents), refs);
      references.set(path, [...refs]);
      return path;
    },
    writeDerivations: (all) => {
      for (const made of all) {
        derivations.set(made.drvPath, made.derivation);
        references.set(made.drvPath, made.references);
      }
    },
    isValidPath: (path) => references.has(path),
    referencesOf: (path) => references.get(path),
    readDerivation: (drvPath) => {
      const derivation = derivations.get(drvPath);
      if (derivation !== undefined) return derivation;
      const what = isDerivationPath(drvPath) ? "derivation" : "path";
      throw new DevshellError("STORE_PATH_NOT_VALID", `Cannot find ${what} "${drvPath}"`);
    },
  };
}
