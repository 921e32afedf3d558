import { hashBytes } from "../../core/index.ts";
import { makeTextPath, type LocalStore, type StorePath } from "../../store/index.ts";
import type { EvaluationStore } from "./evaluationStore.ts";

/** A local store as evaluation sees it. */
export function localEvaluationStore(store: LocalStore): EvaluationStore {
  return {
    storeDir: store.storeDir,
    realStoreDir: store.realStoreDir,
    addPath: (path, options) =>
      store.addPath(path, {
        name: options.name,
        method: options.method,
        filter: options.filter,
        expectedHash: options.expectedHash,
        isDryRun: options.isDryRun,
      }),
    addText: (name, contents, references, { isDryRun }): StorePath =>
      isDryRun
        ? makeTextPath(store.storeDir, name, hashBytes("sha256", contents), references)
        : store.addText(name, contents, references),
    writeDerivations: (all) => store.writeDerivations(all),
    isValidPath: (path) => store.isValidPath(path),
    referencesOf: (path) => store.queryPathInfo(path)?.references,
    readDerivation: (drvPath) => store.readDerivation(drvPath),
  };
}
