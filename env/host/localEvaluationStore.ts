import { DevshellError, hashBytes } from "../../core/index.ts";
import {
  hashFlat,
  hashMismatch,
  hashNar,
  makeFixedOutputPath,
  makeTextPath,
  type Store,
  type StorePath,
  type StoreSettings,
} from "../../store/index.ts";
import type { EvaluationStore } from "./evaluationStore.ts";

/** A local store as evaluation sees it; opened when the first thing is asked of it. */
export function localEvaluationStore(settings: StoreSettings, open: () => Store): EvaluationStore {
  const { storeDir } = settings;
  return {
    storeDir,
    realStoreDir: settings.realStoreDir ?? storeDir,
    addPath: (path, options) =>
      options.isDryRun
        ? pathOfContent(storeDir, path, options)
        : open().addPath(path, {
            name: options.name,
            method: options.method,
            filter: options.filter,
            expectedHash: options.expectedHash,
            references: options.references,
          }),
    addText: (name, contents, references, { isDryRun }): StorePath =>
      isDryRun
        ? makeTextPath(storeDir, name, hashBytes("sha256", contents), references)
        : open().addText(name, contents, references),
    writeDerivations: (all) => open().writeDerivations(all),
    isValidPath: (path) => open().isValidPath(path),
    referencesOf: (path) => open().queryPathInfo(path)?.references,
    readDerivation: (drvPath) => open().readDerivation(drvPath),
  };
}

/**
 * A store that holds nothing (`dummy://`): evaluation learns paths from it, and that none is there.
 * @param evalStore its address where it is asked for by `--eval-store`: then nothing is written to it, as in Nix
 */
export function emptyEvaluationStore(settings: StoreSettings, evalStore?: string): EvaluationStore {
  const { storeDir } = settings;
  const write = (isDryRun = false, operation = "addToStore"): void => {
    if (evalStore === undefined || isDryRun) return;
    throw new DevshellError(
      "STORE_DUMMY",
      `operation '${operation}' is not supported by store '${evalStore}'`,
      { hint: "`dummy://?read-only=false` holds what it is given until the command ends" },
    );
  };
  return {
    storeDir,
    realStoreDir: settings.realStoreDir ?? storeDir,
    addPath: (path, options): StorePath => {
      write(options.isDryRun);
      return pathOfContent(storeDir, path, options);
    },
    addText: (name, contents, references, { isDryRun }): StorePath => {
      write(isDryRun);
      return makeTextPath(storeDir, name, hashBytes("sha256", contents), references);
    },
    writeDerivations: () => write(false, "writeDerivation"),
    isValidPath: () => false,
    referencesOf: () => undefined,
    readDerivation: (drvPath) => {
      throw new DevshellError("STORE_PATH_NOT_VALID", `path '${drvPath}' is not valid`);
    },
  };
}

type AddOptions = Parameters<EvaluationStore["addPath"]>[1];

/** Where content would lie; touches no store. */
function pathOfContent(storeDir: string, path: string, options: AddOptions): StorePath {
  const { name, method, filter, expectedHash, references = [] } = options;
  const hash = method === "flat" ? hashFlat(path, "sha256") : hashNar(path, { filter }).hash;
  if (expectedHash !== undefined && !hash.digest.equals(expectedHash.digest))
    throw hashMismatch(path, expectedHash, hash);
  return makeFixedOutputPath(storeDir, name, { method, hash, references });
}
