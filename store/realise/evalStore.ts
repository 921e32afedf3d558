import { queryOutput, queryOutputs } from "../local/derivationOutputs.ts";
import type { Derivation, StorePath } from "../types.ts";
import { overlayStore } from "./storeOverlay.ts";
import type { EvalStore, RealiseStore } from "./storePort.ts";

/** A store as if it had another's derivations; sources that it lacks are copied from there when a build needs them. */
export function withEvalStore(store: RealiseStore, evalStore: EvalStore): RealiseStore {
  const readDerivation = (drvPath: StorePath): Derivation =>
    (store.isValidPath(drvPath) ? store : evalStore).readDerivation(drvPath);
  const source = {
    storeDir: store.settings.storeDir,
    readDerivation,
    queryRealisation: store.queryRealisation.bind(store),
  };
  return overlayStore<RealiseStore, RealiseStore>(store, {
    evalStore,
    readDerivation,
    queryDerivationOutputs: (drvPath) => queryOutputs(source, drvPath),
    queryOutput: (element) => queryOutput(source, element),
  });
}

/** Whether a derivation can be read, here or where evaluation writes them. */
export function hasDerivation(store: RealiseStore, drvPath: StorePath): boolean {
  return store.isValidPath(drvPath) || store.evalStore?.isValidPath(drvPath) === true;
}
