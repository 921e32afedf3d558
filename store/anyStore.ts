import { DevshellError } from "../core/index.ts";
import { LocalStore } from "./local/localStore.ts";
import type { LocalStoreOptions } from "./local/types.ts";
import { withEvalStore } from "./realise/evalStore.ts";
import { realise as realiseHere, type RealiseReport, type RealiseRequestOptions } from "./realise/index.ts";
import { copyPaths } from "./remote/copyPaths.ts";
import { DaemonStore, type DaemonStoreOptions } from "./remote/daemonClient/daemonStore.ts";
import { realiseInDaemon } from "./remote/daemonClient/realiseInDaemon.ts";
import { StoreEndpoint } from "./remote/storeEndpoint.ts";
import type { Store } from "./store.ts";
import type { DerivedPath, StoreSettings } from "./types.ts";

/** Opens the store that settings name: creates it where it is new, or connects to the daemon that holds it. */
export function openStore(
  settings: StoreSettings,
  options: LocalStoreOptions & DaemonStoreOptions = {},
): Store {
  return settings.daemon === undefined
    ? LocalStore.open(settings, options)
    : DaemonStore.open(settings, options);
}

export interface AnyRealiseOptions extends RealiseRequestOptions {
  /** Where the derivations are, and their sources, if that is another store. */
  readonly evalStore?: Store | undefined;
}

/**
 * Makes targets valid: by what is there, by substitution, by building; a daemon's store by its daemon. Failures do not
 * throw: they are in the report (only an abort throws the signal's reason).
 */
export async function realise(
  store: Store,
  targets: readonly DerivedPath[],
  options: AnyRealiseOptions = {},
): Promise<RealiseReport> {
  const { evalStore, signal } = options;
  if (store instanceof DaemonStore) {
    if (evalStore !== undefined) await copyTargets(evalStore, store, targets, signal);
    return await realiseInDaemon(store, targets, options);
  }
  const local = localStore(store, "build");
  return await realiseHere(evalStore === undefined ? local : withEvalStore(local, evalStore), targets, {
    ...options,
    serveBuilder:
      options.serveBuilder ??
      (async (connection, builder) => {
        const { serveConnection } = await import("./daemon/serveConnection.ts");
        await serveConnection(connection, connection, {
          settings: local.settings,
          store: local,
          builtinBuilders: options.builtinBuilders,
          isTrusted: false,
          ...builder,
        });
      }),
  });
}

/** A daemon reads derivations in its own store only. */
async function copyTargets(
  evalStore: Store,
  store: Store,
  targets: readonly DerivedPath[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const paths = targets
    .map((target) => (target.kind === "opaque" ? target.path : target.drvPath))
    .filter((path) => evalStore.isValidPath(path));
  await copyPaths({
    source: new StoreEndpoint(evalStore),
    target: new StoreEndpoint(store),
    paths,
    isRecursive: true,
    signal,
  });
}

/** A store that is opened by us, for what no daemon does. @throws {DevshellError} `STORE_DAEMON_UNSUPPORTED` */
export function localStore(store: Store, what: string): LocalStore {
  if (store instanceof LocalStore) return store;
  throw new DevshellError(
    "STORE_DAEMON_UNSUPPORTED",
    `Cannot ${what} in the store '${store.settings.daemon?.url ?? store.storeDir}': a daemon holds it`,
    { hint: "`NIX_REMOTE=local` opens a store without a daemon, for who may write to it" },
  );
}
