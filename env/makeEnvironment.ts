import { realiseEnvironment } from "./build/realiseEnvironment.ts";
import { prepareCache } from "./cache/recordPaths.ts";
import { writeRecord } from "./cache/cacheRecord.ts";
import { instantiateSpec } from "./instantiateSpec.ts";
import { linkedInputsOf } from "./linkedTrees.ts";
import { isStorePath, type StorePath } from "../store/index.ts";
import {
  createStoreContext,
  type ContextEvent,
  type StoreContext,
  type StoreContextOptions,
} from "./storeContext.ts";
import type { BuildEnvironment, DevSpec, EnvironmentRequest, TrackedInput } from "./types.ts";

/** An environment that was just computed, and its cache record. */
export interface MadeEnvironment {
  readonly environment: BuildEnvironment;
  /** The record's directory. */
  readonly record: string;
  readonly inputs: readonly TrackedInput[];
  /** What was said on the way that a user should know, one line each. */
  readonly warnings: readonly string[];
}

/** Told of what a failure, too, leaves behind. */
export interface MakeObserver {
  /** The spec, once it is found. */
  readonly onSpec?: ((spec: DevSpec) => void) | undefined;
  /** All that was read, in the end or up to the failure. */
  readonly onInputs?: ((inputs: readonly TrackedInput[]) => void) | undefined;
}

const MAX_WARNINGS = 50;
const MAX_WARNING_LENGTH = 400;

/**
 * The whole way from a request to an environment: finds the spec, evaluates it, realises its dependencies, runs its
 * setup, and writes the cache record.
 * @throws {DevshellError}
 */
export async function makeEnvironment(
  request: EnvironmentRequest,
  options: StoreContextOptions & MakeObserver = {},
): Promise<MadeEnvironment> {
  const warnings = new Set<string>();
  using context = createStoreContext({
    ...options,
    followsTrees: true,
    onEvent: (event) => {
      if (isLastingWarning(event) && warnings.size < MAX_WARNINGS)
        warnings.add(event.text.trim().replace(/\s+/g, " ").slice(0, MAX_WARNING_LENGTH));
      options.onEvent?.(event);
    },
  });
  let isMade = false;
  try {
    const made = await makeIn(context, request, warnings, options.onSpec);
    isMade = true;
    return made;
  } finally {
    context.trackCollection();
    const { tracker } = context;
    options.onInputs?.(isMade ? tracker.inputsOfEnvironment : tracker.inputs);
  }
}

async function makeIn(
  context: StoreContext,
  request: EnvironmentRequest,
  warnings: ReadonlySet<string>,
  onSpec: MakeObserver["onSpec"],
): Promise<MadeEnvironment> {
  const startedMs = Date.now();
  prepareCache();
  const instantiated = await instantiateSpec(context, request, onSpec);
  const environment = await realiseEnvironment(context, instantiated);
  const { store } = context;
  const evaluationInputs = [...context.tracker.storePaths].filter(
    (path): path is StorePath => isStorePath(store.storeDir, path) && store.isValidPath(path),
  );
  const inputs = context.tracker.inputsOfEnvironment;
  const record = writeRecord({
    request,
    isOneOff: !isProject(instantiated.spec),
    environment,
    inputs,
    warnings: [...warnings],
    startedMs,
    rung: context.settings.rung,
    furtherRoots: [...evaluationInputs, ...linkedInputsOf(store, store.readDerivation(instantiated.drvPath))],
    addRoot: (link, path) => store.addRoot(link, path),
  });
  return { environment, record, inputs, warnings: [...warnings] };
}

/** A spec that lies in a directory of its own. */
function isProject(spec: DevSpec): boolean {
  return spec.kind === "data" || spec.kind === "file" || (spec.kind === "flake" && spec.path !== undefined);
}

/** That others held a lock for a while, or that one was written, is soon forgotten. */
function isLastingWarning(event: ContextEvent): event is Extract<ContextEvent, { kind: "message" }> {
  if (event.kind !== "message" || event.level !== "warning") return false;
  return !/^(?:waiting for|creating lock file|updating lock file) /.test(event.text);
}
