import { realiseEnvironment } from "./build/realiseEnvironment.ts";
import { prepareCache } from "./cache/recordPaths.ts";
import { writeRecord } from "./cache/cacheRecord.ts";
import { instantiateSpec } from "./instantiateSpec.ts";
import { isStorePath, type StorePath } from "../store/index.ts";
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
    environment,
    inputs: context.tracker.inputs,
    startedMs,
    rung: context.settings.rung,
    evaluationInputs,
    addRoot: (link, path) => store.addRoot(link, path),
  });
  return { environment, record };
}
