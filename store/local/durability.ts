import type { StoreSettings, ValidPathInfo } from "../types.ts";
import type { StoreAccess } from "./access.ts";
import { syncEntry, syncTree } from "./files.ts";
import { syncFileSystem } from "./fileSystemCalls.ts";

/**
 * Where it is asked for, what is registered survives a power cut. Otherwise, as Nix has it, that may damage what was
 * written since the system last did so on its own, half a minute before at most.
 */
export function syncPaths(store: StoreAccess, infos: readonly ValidPathInfo[]): void {
  if (isOn(store.settings, "sync-before-registering") && syncFileSystem(store.realStoreDir)) return;
  if (!isSyncing(store.settings)) return;
  for (const { path } of infos) syncTree(store.realPath(path));
  syncEntry(store.realStoreDir);
}

/** Before a root is made: a power cut must not leave one whose path is not registered, and so deleted next. */
export function syncRegistrations({ settings, db }: StoreAccess): void {
  if (isSyncing(settings)) db.sync();
}

function isSyncing(settings: StoreSettings): boolean {
  return isOn(settings, "fsync-store-paths") || isOn(settings, "sync-before-registering");
}

function isOn({ config }: StoreSettings, setting: string): boolean {
  return /^(?:true|yes|1)$/.test(config.raw.get(setting) ?? "");
}
