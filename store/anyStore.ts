import { DevshellError } from "../core/index.ts";
import { LocalStore } from "./local/localStore.ts";
import type { LocalStoreOptions } from "./local/types.ts";
import { realise as realiseHere, type RealiseReport, type RealiseRequestOptions } from "./realise/index.ts";
import { DaemonStore, type DaemonStoreOptions } from "./remote/daemonStore.ts";
import { realiseInDaemon } from "./remote/realiseInDaemon.ts";
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

/**
 * Makes targets valid: by what is there, by substitution, by building; a daemon's store by its daemon. Failures do not
 * throw: they are in the report (only an abort throws the signal's reason).
 */
export async function realise(
  store: Store,
  targets: readonly DerivedPath[],
  options: RealiseRequestOptions = {},
): Promise<RealiseReport> {
  if (store instanceof DaemonStore) return await realiseInDaemon(store, targets, options);
  return await realiseHere(localStore(store, "build"), targets, options);
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
