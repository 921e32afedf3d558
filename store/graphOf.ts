import { LocalStore } from "./local/localStore.ts";
import { ReferenceGraph } from "./local/referenceGraph.ts";
import type { Store } from "./store.ts";
import type { StorePath } from "./types.ts";

/** Which path of a store keeps which, and how large their NARs are: at once where we can read the database. */
export function graphOf(store: Store): {
  readonly graph: ReferenceGraph;
  readonly sizes: Map<StorePath, number>;
} {
  if (store instanceof LocalStore) return { graph: store.referenceGraph(), sizes: store.allSizes() };
  const infos = store.allValidPaths().flatMap((path) => store.queryPathInfo(path) ?? []);
  return {
    graph: ReferenceGraph.of(infos, store.settings.config),
    sizes: new Map(infos.map(({ path, narSizeBytes }) => [path, narSizeBytes])),
  };
}
