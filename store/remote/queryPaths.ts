import { DevshellError } from "../../core/index.ts";
import { Semaphore } from "../realise/semaphore.ts";
import type { StorePath } from "../types.ts";
import type { RemotePathInfo, RemoteStore } from "./types.ts";

const CONCURRENT_QUERIES = 32;

/**
 * What a store knows of paths, and where wanted of all they refer to.
 * @throws {DevshellError} `STORE_PATH_NOT_VALID` where it lacks one
 */
export async function queryPaths(
  store: RemoteStore,
  paths: Iterable<StorePath>,
  options: { readonly isRecursive: boolean; readonly signal?: AbortSignal | undefined },
): Promise<ReadonlyMap<StorePath, RemotePathInfo>> {
  const { isRecursive, signal } = options;
  const infos = new Map<StorePath, RemotePathInfo>();
  const slots = new Semaphore(CONCURRENT_QUERIES);
  let round = [...new Set(paths)];
  while (round.length > 0) {
    const ask = (path: StorePath): Promise<RemotePathInfo | undefined> =>
      slots.run(() => store.query(path, signal), signal);
    const found =
      store.queryNow === undefined
        ? await Promise.all(round.map(async (path) => [path, await ask(path)] as const))
        : round.map((path) => [path, store.queryNow?.(path)] as const);
    signal?.throwIfAborted();
    const next = new Set<StorePath>();
    for (const [path, info] of found) {
      if (info === undefined) throw invalidPath(store, path);
      infos.set(path, info);
      if (isRecursive) for (const reference of info.references) next.add(reference);
    }
    round = [...next].filter((path) => !infos.has(path));
  }
  return infos;
}

export function invalidPath(store: RemoteStore, path: StorePath): DevshellError {
  return new DevshellError("STORE_PATH_NOT_VALID", `path '${path}' is not valid`, {
    hint: `the store '${store.url}' does not have it`,
  });
}
