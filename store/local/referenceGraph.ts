import type { StoreDb } from "../db/storeDb.ts";
import { isDerivationPath } from "../format/storePath.ts";
import type { StorePath, ValidPathInfo } from "../types.ts";

/** Why one path keeps another alive. */
export type KeepReason = "reference" | "deriver" | "output";

/** A path, and why the one before it in a chain keeps it. */
export interface ChainLink {
  readonly path: StorePath;
  /** `undefined` for the first, which is a root. */
  readonly reason: KeepReason | undefined;
}

/** What of a live path stays for its sake beside what it refers to. */
export interface KeepRules {
  /** The derivation that made it (`keep-derivations`). */
  readonly keepDerivations: boolean;
  /** What it makes, of a derivation (`keep-outputs`). */
  readonly keepOutputs: boolean;
}

/** Which valid path keeps which, all at once: what a collector walks. A path does not keep itself. */
export class ReferenceGraph {
  readonly #references = new Map<StorePath, StorePath[]>();
  readonly #referrers = new Map<StorePath, StorePath[]>();
  readonly #derivers = new Map<StorePath, StorePath[]>();
  readonly #outputs = new Map<StorePath, StorePath[]>();

  private constructor() {}

  /** Of no path. */
  static readonly empty = new ReferenceGraph();

  static read(db: StoreDb, { keepDerivations, keepOutputs }: KeepRules): ReferenceGraph {
    const graph = new ReferenceGraph();
    const { paths, edges } = db.allReferences();
    for (const path of paths.values()) graph.#references.set(path, []);
    for (const { referrer, reference } of edges) {
      const from = paths.get(referrer);
      const to = paths.get(reference);
      if (from === undefined || to === undefined || from === to) continue;
      graph.#references.get(from)?.push(to);
      push(graph.#referrers, to, from);
    }
    if (!keepDerivations && !keepOutputs) return graph;
    const { outputs, derivers } = db.allDerivers();
    if (keepDerivations)
      for (const { path, deriver } of derivers)
        if (isDerivationPath(deriver) && graph.has(deriver)) push(graph.#derivers, path, deriver);
    if (keepOutputs)
      for (const { drv, path } of outputs) if (graph.has(path)) push(graph.#outputs, drv, path);
    return graph;
  }

  /** As {@link read}, of what is known path by path. */
  static of(infos: readonly ValidPathInfo[], { keepDerivations, keepOutputs }: KeepRules): ReferenceGraph {
    const graph = new ReferenceGraph();
    for (const { path } of infos) graph.#references.set(path, []);
    for (const { path, references, deriver } of infos) {
      for (const reference of references) {
        if (reference === path || !graph.has(reference)) continue;
        graph.#references.get(path)?.push(reference);
        push(graph.#referrers, reference, path);
      }
      if (deriver === undefined || !isDerivationPath(deriver) || !graph.has(deriver)) continue;
      if (keepDerivations) push(graph.#derivers, path, deriver);
      if (keepOutputs) push(graph.#outputs, deriver, path);
    }
    return graph;
  }

  has(path: StorePath): boolean {
    return this.#references.has(path);
  }

  paths(): IterableIterator<StorePath> {
    return this.#references.keys();
  }

  referrersOf(path: StorePath): readonly StorePath[] {
    return this.#referrers.get(path) ?? [];
  }

  /** Adds all that these paths keep, themselves included, to `live`; what is in it is taken as done. */
  mark(starts: Iterable<StorePath>, live: Set<StorePath>): void {
    const todo = [...starts];
    for (let path = todo.pop(); path !== undefined; path = todo.pop()) {
      const references = this.#references.get(path);
      if (references === undefined || live.has(path)) continue;
      live.add(path);
      todo.push(...references);
      for (const kept of [this.#derivers.get(path), this.#outputs.get(path)])
        if (kept !== undefined) todo.push(...kept);
    }
  }

  /** Sorts paths, with all that refers to them, so that referrers come first. */
  referrersFirst(roots: Iterable<StorePath>): StorePath[] {
    const sorted: StorePath[] = [];
    const entered = new Set<StorePath>();
    for (const root of roots) {
      if (entered.has(root)) continue;
      entered.add(root);
      const stack = [{ path: root, next: 0 }];
      for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
        const referrer = this.#referrers.get(frame.path)?.[frame.next++];
        if (referrer === undefined) {
          sorted.push(frame.path);
          stack.pop();
        } else if (!entered.has(referrer)) {
          entered.add(referrer);
          stack.push({ path: referrer, next: 0 });
        }
      }
    }
    return sorted;
  }

  /**
   * The shortest chains to a path from each of the roots that keep it, the shortest of all first. They share their
   * ends: each is a way in one tree.
   */
  chainsTo(target: StorePath, isRoot: (path: StorePath) => boolean): readonly (readonly ChainLink[])[] {
    if (!this.has(target)) return [];
    const towards = new Map<StorePath, ChainLink | undefined>([[target, undefined]]);
    const roots: StorePath[] = [];
    const keepers = [
      ["reference", this.#referrers],
      ["deriver", reversed(this.#derivers)],
      ["output", reversed(this.#outputs)],
    ] as const;
    // A map is walked in the order of its growth: breadth first.
    for (const path of towards.keys()) {
      if (isRoot(path)) roots.push(path);
      for (const [reason, of] of keepers)
        for (const keeper of of.get(path) ?? [])
          if (!towards.has(keeper)) towards.set(keeper, { path, reason });
    }
    return roots.map((root) => {
      const chain: ChainLink[] = [{ path: root, reason: undefined }];
      for (let next = towards.get(root); next !== undefined; next = towards.get(next.path)) chain.push(next);
      return chain;
    });
  }
}

function reversed(
  map: ReadonlyMap<StorePath, readonly StorePath[]>,
): ReadonlyMap<StorePath, readonly StorePath[]> {
  const result = new Map<StorePath, StorePath[]>();
  for (const [key, values] of map) for (const value of values) push(result, value, key);
  return result;
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
