import { DevshellError } from "../../core/index.ts";
import type { StoreContext } from "../../env/index.ts";
import {
  StoreEndpoint,
  isWholeAddress,
  openRemoteStore,
  type DerivedPath,
  type RemoteStore,
  type StorePath,
} from "../../store/index.ts";
import type { CommonFlags } from "./commandLine.ts";
import { openContext } from "./context.ts";

/** The store that a command line names, wherever it is, and the context that its words are evaluated in. */
export interface AskedStore extends AsyncDisposable {
  readonly store: RemoteStore;
  /** On that store where it is one of this machine; else on this machine's own, as nothing is evaluated elsewhere. */
  readonly context: StoreContext;
}

export interface AskOptions {
  /** The store will be written to. */
  readonly isTarget?: boolean | undefined;
  readonly open?: ((flags: CommonFlags) => StoreContext) | undefined;
}

/** Opens what `--store` says. */
export async function openAskedStore(flags: CommonFlags, options: AskOptions = {}): Promise<AskedStore> {
  const { isTarget, open = openContext } = options;
  const isLocal = isWholeAddress(flags.store);
  const context = open(isLocal ? flags : { ...flags, store: flags.evalStore, evalStore: undefined });
  try {
    const store =
      isLocal || flags.store === undefined
        ? new StoreEndpoint(context.store)
        : await openRemoteStore(context.settings, flags.store, { isTarget, signal: context.signal });
    return {
      context,
      store,
      [Symbol.asyncDispose]: async () => {
        await store[Symbol.asyncDispose]();
        context[Symbol.dispose]();
      },
    };
  } catch (error) {
    context[Symbol.dispose]();
    throw error;
  }
}

/** The paths that targets mean, as far as they are known without building. */
export function pathsOfTargets(
  context: StoreContext,
  targets: readonly DerivedPath[],
  options: { readonly isDerivation?: boolean | undefined } = {},
): StorePath[] {
  return targets.flatMap((target) => {
    if (target.kind === "opaque") return [target.path];
    if (options.isDerivation === true) return [target.drvPath];
    const { outputs } = target;
    return [...context.evalStore.queryDerivationOutputs(target.drvPath)].flatMap(([name, path]) =>
      path !== undefined && (outputs === "*" || outputs.includes(name)) ? [path] : [],
    );
  });
}

/** @throws {DevshellError} `STORE_UNSUPPORTED` */
export async function allPathsOf(store: RemoteStore): Promise<readonly StorePath[]> {
  if (store.queryAllPaths === undefined) throw unsupported(store, "cannot tell all its paths");
  return await store.queryAllPaths();
}

export function unsupported(store: RemoteStore, what: string): DevshellError {
  return new DevshellError("STORE_UNSUPPORTED", `operation not supported: the store '${store.url}' ${what}`);
}
