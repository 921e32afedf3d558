import { inputPathsOf } from "./build/derivationVariables.ts";
import { realiseEnvironment } from "./build/realiseEnvironment.ts";
import { prepareCache } from "./cache/recordPaths.ts";
import { writeRecord } from "./cache/cacheRecord.ts";
import { instantiateSpec } from "./instantiateSpec.ts";
import { isStorePath, type Derivation, type LocalStore, type StorePath } from "../store/index.ts";
import { createStoreContext, type StoreContextOptions } from "./storeContext.ts";
import type { BuildEnvironment, EnvironmentRequest } from "./types.ts";

/** An environment that was just computed, and its cache record. */
export interface MadeEnvironment {
  readonly environment: BuildEnvironment;
  /** The record's directory. */
  readonly record: string;
}

/**
 * The whole way from a request to an environment: finds the spec, evaluates it, realises its dependencies, runs its
 * setup, and writes the cache record.
 * @throws {DevshellError}
 */
export async function makeEnvironment(
  request: EnvironmentRequest,
  options: StoreContextOptions = {},
): Promise<MadeEnvironment> {
  const startedMs = Date.now();
  prepareCache();
  using context = createStoreContext(options);
  const instantiated = await instantiateSpec(context, request);
  const environment = await realiseEnvironment(context, instantiated);
  const { store } = context;
  const evaluationInputs = [...context.tracker.storePaths].filter(
    (path): path is StorePath => isStorePath(store.storeDir, path) && store.isValidPath(path),
  );
  const record = writeRecord({
    request,
    isOneOff: instantiated.spec.kind !== "data" && instantiated.spec.kind !== "file",
    environment,
    inputs: context.tracker.inputs,
    startedMs,
    rung: context.settings.rung,
    furtherRoots: [...evaluationInputs, ...linkedInputsOf(store, store.readDerivation(instantiated.drvPath))],
    addRoot: (link, path) => store.addRoot(link, path),
  });
  return { environment, record };
}

/** Builds trees of hard links to its inputs. */
const LINKING_BUILDER = "builtin:debian-environment";

/**
 * What the environment's trees are linked together from: their files are the trees' own, so that keeping them takes
 * no room, and a changed spec then needs no download for them.
 */
function linkedInputsOf(store: LocalStore, derivation: Derivation): StorePath[] {
  return [...derivation.inputDrvs.keys()]
    .filter((drvPath) => store.isValidPath(drvPath))
    .map((drvPath) => store.readDerivation(drvPath))
    .filter(({ builder }) => builder === LINKING_BUILDER)
    .flatMap((tree) => inputPathsOf(store, tree));
}
