import { textOfBytes } from "../../core/index.ts";
import { graphOf, type ChainLink, type Store, type StorePath } from "../../store/index.ts";
import { ownerOf, rootsOfOthers, type StoreOwner } from "./owners.ts";

/** One way in which a path is kept alive. */
export interface Keeper {
  readonly kind: StoreOwner["kind"];
  /** Whose root it is. */
  readonly owner: string;
  /** The root itself: a link, a file below `/proc`. */
  readonly root: string;
  /** From what the root names to the path, each keeping the next. */
  readonly chain: readonly ChainLink[];
}

/** What keeps a path alive, the shortest chain of each owner, the shortest of all first; none: it is dead. */
export function whyAlive(store: Store, path: StorePath): readonly Keeper[] {
  const roots = rootsOfOthers(store);
  const chains = graphOf(store).graph.chainsTo(path, (each) => roots.has(each));
  const keepers = new Map<string, Keeper>();
  for (const chain of chains)
    for (const link of roots.get(chain[0]?.path ?? path) ?? []) {
      const { kind, name } = ownerOf(link);
      const key = `${kind}\0${name}`;
      if (!keepers.has(key)) keepers.set(key, { kind, owner: name, root: textOfBytes(link), chain });
    }
  return [...keepers.values()];
}
