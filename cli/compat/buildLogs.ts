import { DevshellError } from "../../core/index.ts";
import {
  StoreEndpoint,
  openRemoteStore,
  type RemoteStore,
  type Store,
  type StorePath,
} from "../../store/index.ts";
import { say, writeStandardOutput } from "./output.ts";

/**
 * Prints the log of the build of a derivation, or of what made a path: the store's own, or a substituter's.
 * @param store asked first; the one of this machine unless given
 * @throws {DevshellError} `CLI_NO_LOG`
 */
export async function printLog(
  local: Store,
  path: StorePath,
  store: RemoteStore = new StoreEndpoint(local),
): Promise<void> {
  const log =
    (await logOf(store, path)) ??
    (await logOfOutputs(local, store, path)) ??
    (await findElsewhere(local, store, path));
  if (log === undefined)
    throw new DevshellError("CLI_NO_LOG", `build log of derivation '${path}' is not available`);
  writeStandardOutput(log);
}

/** What a content-addressed derivation was resolved to before it was built has the log; its outputs name it. */
async function logOfOutputs(local: Store, store: RemoteStore, path: StorePath): Promise<Buffer | undefined> {
  if (!path.endsWith(".drv") || !local.isValidPath(path)) return undefined;
  for (const output of local.queryDerivationOutputs(path).values()) {
    const deriver = output === undefined ? undefined : local.queryPathInfo(output)?.deriver;
    const log = deriver === undefined || deriver === path ? undefined : await logOf(store, deriver);
    if (log !== undefined) return log;
  }
  return undefined;
}

async function findElsewhere(
  { settings }: Store,
  store: RemoteStore,
  path: StorePath,
): Promise<Buffer | undefined> {
  // What this store knows of a path others need not: its deriver names the log.
  const named = (await drvPathOf(store, path)) ?? path;
  for (const url of settings.config.substituters) {
    try {
      await using substituter = await openRemoteStore(settings, url);
      const log = await logOf(substituter, named);
      if (log === undefined) continue;
      say(`got build log for '${path}' from '${substituter.url}'`);
      return log;
    } catch (error) {
      if (!(error instanceof DevshellError)) throw error;
      say(`warning: ${error.message}`);
    }
  }
  return undefined;
}

/** @returns `undefined` where the store has none, or keeps none */
export async function logOf(store: RemoteStore, path: StorePath): Promise<Buffer | undefined> {
  const drvPath = await drvPathOf(store, path);
  return drvPath === undefined ? undefined : await store.readLog?.(drvPath);
}

/** @returns `undefined` where it is not known what made the path */
export async function drvPathOf(store: RemoteStore, path: StorePath): Promise<StorePath | undefined> {
  return path.endsWith(".drv") ? path : (await store.query(path))?.deriver;
}
