import { DevshellError } from "../../core/index.ts";
import { Semaphore } from "../realise/goals/semaphore.ts";
import type { StorePath } from "../types.ts";
import { MOST_CLOSURE_PATHS, endlessClosure } from "./closureBound.ts";
import type { RemotePathInfo, RemoteStore } from "./types.ts";

const CONCURRENT_QUERIES = 32;

/**
 * What a store knows of paths, and where wanted of all they refer to.
 * @throws {DevshellError} `STORE_PATH_NOT_VALID` where it lacks one, `CLOSURE_ENDLESS`
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
  // A store that is asked on the spot is one of this machine, or a daemon's: what is in it has an end.
  const most = store.queryNow === undefined ? (store.maxClosurePaths ?? MOST_CLOSURE_PATHS) : Infinity;
  const named = new Set(round);
  const givenCount = named.size;
  while (round.length > 0) {
    const ask = (path: StorePath): Promise<RemotePathInfo | undefined> =>
      slots.run(() => store.query(path, signal), signal);
    const found =
      store.queryNow === undefined
        ? await Promise.all(round.map(async (path) => [path, await ask(path)] as const))
        : round.map((path) => [path, store.queryNow?.(path)] as const);
    signal?.throwIfAborted();
    round = [];
    for (const [path, info] of found) {
      if (info === undefined) throw invalidPath(store, path);
      infos.set(path, info);
      if (!isRecursive) continue;
      for (const reference of info.references) {
        if (named.has(reference)) continue;
        named.add(reference);
        round.push(reference);
      }
      if (named.size - givenCount > most) throw endlessClosure(`the store '${store.url}'`, most);
    }
  }
  return infos;
}

export function invalidPath(store: RemoteStore, path: StorePath): DevshellError {
  return new DevshellError("STORE_PATH_NOT_VALID", `path '${path}' is not valid`, {
    hint: `the store '${store.url}' does not have it`,
  });
}
