import type { ClosureModel } from "../src/view/viewMessages.ts";

export interface ClosureNode {
  /** Its index in {@link ClosureGraph.nodes}. */
  readonly index: number;
  readonly path: string;
  readonly name: string;
  readonly sizeBytes: number;
  /** Largest first. */
  readonly needs: readonly number[];
  readonly neededBy: readonly number[];
  readonly kind: "root" | "shared" | "single";
}

export interface ClosureGraph {
  readonly nodes: readonly ClosureNode[];
  /** Indexes, largest first. */
  readonly bySize: readonly number[];
  readonly totalBytes: number;
  readonly roots: readonly number[];
}

export function makeClosureGraph({ paths, roots }: ClosureModel): ClosureGraph {
  const neededBy: number[][] = paths.map(() => []);
  for (const [index, { references }] of paths.entries())
    for (const reference of references) neededBy[reference]?.push(index);
  const size = (index: number): number => paths[index]?.sizeBytes ?? 0;
  const largestFirst = (indexes: readonly number[]): number[] =>
    [...indexes].sort((a, b) => size(b) - size(a));
  const isRoot = new Set(roots);
  const nodes = paths.map(({ path, name, sizeBytes, references }, index): ClosureNode => {
    const by = neededBy[index] ?? [];
    const kind = isRoot.has(index) ? "root" : by.length > 1 ? "shared" : "single";
    return {
      index,
      path,
      name,
      sizeBytes,
      needs: largestFirst(references),
      neededBy: largestFirst(by),
      kind,
    };
  });
  return {
    nodes,
    bySize: largestFirst([...paths.keys()]),
    totalBytes: paths.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    roots,
  };
}

/** The path and all that it needs. */
export function closureOf({ nodes }: ClosureGraph, start: number): ReadonlySet<number> {
  const seen = new Set([start]);
  for (const index of seen) for (const needed of nodes[index]?.needs ?? []) seen.add(needed);
  return seen;
}

/** The shortest chain from a root to the path: why it is here; empty: no root needs it. */
export function whyOf({ nodes, roots }: ClosureGraph, target: number): readonly number[] {
  const from = new Map<number, number | undefined>(roots.map((root) => [root, undefined]));
  for (const index of from.keys()) {
    if (index === target) break;
    for (const needed of nodes[index]?.needs ?? []) if (!from.has(needed)) from.set(needed, index);
  }
  if (!from.has(target)) return [];
  const chain: number[] = [];
  for (let at: number | undefined = target; at !== undefined; at = from.get(at)) chain.unshift(at);
  return chain;
}
