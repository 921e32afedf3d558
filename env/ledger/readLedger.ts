import { dirname, join } from "node:path";
import type { ByteString } from "../../core/index.ts";
import { graphOf, type Store, type StorePath } from "../../store/index.ts";
import { cacheDirectory } from "../cache/recordPaths.ts";
import { lastUsedMs } from "../cache/cacheRecord.ts";
import { linkedTreesAmong, type LinkedTree } from "../linkedTrees.ts";
import { recordOfLink, rootsOfOthers, storeOwners, type StoreOwner } from "./owners.ts";

/** An owner with what it costs. */
export interface LedgerEntry extends Omit<StoreOwner, "roots"> {
  /** Of all that it keeps. */
  readonly sizeBytes: number;
  /** Of what nobody else keeps: what would be freed without it. */
  readonly exclusiveBytes: number;
  readonly pathCount: number;
}

/** Who keeps what in the store, and what nobody does. */
export interface StoreLedger {
  /** What would free the most first. */
  readonly entries: readonly LedgerEntry[];
  readonly totalBytes: number;
  /** Nobody needs these, referrers first. */
  readonly deadPaths: readonly StorePath[];
  readonly deadBytes: number;
}

/**
 * Reads who keeps what. Files that a tree shares with the packages it is linked together from count once, with the
 * packages.
 * @param forgottenBeforeMs environments not used since then count as gone
 */
export function readLedger(store: Store, forgottenBeforeMs?: number): StoreLedger {
  const roots = rootsOfOthers(store);
  const owners = storeOwners(roots);
  const { graph, sizes } = graphOf(store);
  const trees = linkedTreesAmong(store, graph.paths());
  for (const [tree, { ownSizeBytes }] of trees) sizes.set(tree, ownSizeBytes);
  const closures = owners.map((owner) => {
    const live = new Set<StorePath>();
    graph.mark(owner.roots, live);
    return withFilesOf(trees, live);
  });
  const sumOf = (paths: Iterable<StorePath>): number => {
    let sum = 0;
    for (const path of paths) sum += sizes.get(path) ?? 0;
    return sum;
  };
  const counts = new Map<StorePath, number>();
  for (const closure of closures) for (const path of closure) counts.set(path, (counts.get(path) ?? 0) + 1);
  const entries = owners.map(({ kind, name, lastUsedMs: usedMs }, index): LedgerEntry => {
    const closure = closures[index] ?? new Set();
    return {
      kind,
      name,
      lastUsedMs: usedMs,
      sizeBytes: sumOf(closure),
      exclusiveBytes: sumOf([...closure].filter((path) => counts.get(path) === 1)),
      pathCount: closure.size,
    };
  });
  const live = new Set<StorePath>();
  graph.mark(rootsThatStay(roots, forgottenBeforeMs), live);
  const deadPaths = graph.referrersFirst([...graph.paths()].filter((path) => !live.has(path)).sort());
  return {
    entries: entries.sort((a, b) => b.exclusiveBytes - a.exclusiveBytes || (a.name < b.name ? -1 : 1)),
    totalBytes: sumOf(graph.paths()),
    deadPaths,
    deadBytes: sumOf(deadPaths) - sumOf([...withFilesOf(trees, live)].filter((path) => !live.has(path))),
  };
}

/** Paths, and those whose files they have as their own: these stay on the disk with them, whatever is deleted. */
function withFilesOf(
  trees: ReadonlyMap<StorePath, LinkedTree>,
  paths: ReadonlySet<StorePath>,
): ReadonlySet<StorePath> {
  return new Set([...paths, ...[...paths].flatMap((path) => trees.get(path)?.linkedFrom ?? [])]);
}

function rootsThatStay(
  roots: ReadonlyMap<StorePath, readonly ByteString[]>,
  forgottenBeforeMs: number | undefined,
): StorePath[] {
  const stays = (link: ByteString): boolean => {
    const record = forgottenBeforeMs === undefined ? undefined : recordOfLink(link);
    // Of this user's own cache: others forget theirs themselves.
    const isOurs = record !== undefined && dirname(record) === join(cacheDirectory(), "records");
    return !isOurs || lastUsedMs(record) >= (forgottenBeforeMs ?? 0);
  };
  return [...roots].flatMap(([path, links]) => (links.some(stays) ? [path] : []));
}
