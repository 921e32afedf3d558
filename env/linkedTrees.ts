import { lstatSync, readdirSync } from "node:fs";
import { fsPath, type ByteString } from "../core/index.ts";
import { knownOutputPaths, type Derivation, type Store, type StorePath } from "../store/index.ts";
import { inputPathsOf } from "./build/derivationVariables.ts";
import { KeptTrees, type KeptTree, type SharedBytes } from "./keptTrees.ts";

/** A store path that shares files with others. */
export interface LinkedTree {
  /** Those others; at least one. */
  readonly linkedFrom: readonly StorePath[];
  /** What of its NAR is in none of them. */
  readonly ownSizeBytes: number;
}

/** Builds trees of hard links to its inputs. */
const LINKING_BUILDER = "builtin:debian-environment";

/**
 * What the environment's trees are linked together from: their files are the trees' own, so that keeping them takes
 * no room, and a changed spec then needs no download for them.
 */
export function linkedInputsOf(store: Store, derivation: Derivation): StorePath[] {
  return linkingDerivations(store, derivation).flatMap((tree) => inputPathsOf(store, tree));
}

/**
 * The trees among an environment's inputs that share files with what they were made of. Read from the disk: where
 * there can be no hard links, the trees hold copies, and share nothing.
 */
export function linkedTreesOf(store: Store, drvPath: StorePath): ReadonlyMap<StorePath, LinkedTree> {
  if (!store.isValidPath(drvPath)) return new Map();
  return treesOf(store, linkingDerivations(store, store.readDerivation(drvPath)));
}

/** As {@link linkedTreesOf}: those among some store paths, as far as it is known what built them. */
export function linkedTreesAmong(
  store: Store,
  paths: Iterable<StorePath>,
): ReadonlyMap<StorePath, LinkedTree> {
  const derivers = new Set<StorePath>();
  for (const path of paths) {
    const deriver = store.queryPathInfo(path)?.deriver;
    if (deriver !== undefined && store.isValidPath(deriver)) derivers.add(deriver);
  }
  return treesOf(
    store,
    [...derivers]
      .map((deriver) => store.readDerivation(deriver))
      .filter(({ builder }) => builder === LINKING_BUILDER),
  );
}

function treesOf(store: Store, derivations: readonly Derivation[]): ReadonlyMap<StorePath, LinkedTree> {
  const trees = new Map<StorePath, LinkedTree>();
  if (derivations.length === 0) return trees;
  const kept = KeptTrees.read(store);
  const files = new InodesOfPaths();
  for (const derivation of derivations)
    for (const path of knownOutputPaths(derivation).values()) {
      const info = path === undefined ? undefined : store.queryPathInfo(path);
      if (path === undefined || info === undefined) continue;
      let tree = kept.find(path, info.registrationTime);
      if (tree === undefined) {
        tree = {
          registered: info.registrationTime,
          shared: sharedWith(store, path, inputPathsOf(store, derivation), files),
        };
        // A tree of copies may become one of links.
        if (Object.keys(tree.shared).length > 0) kept.add(path, tree);
      }
      const linked = linkedTreeOf(store, info.narSizeBytes, tree);
      if (linked !== undefined) trees.set(path, linked);
    }
  kept.save((path) => store.isValidPath(path));
  return trees;
}

/** As far as what it shares its files with is still the same. */
function linkedTreeOf(store: Store, narSizeBytes: number, { shared }: KeptTree): LinkedTree | undefined {
  const linkedFrom: StorePath[] = [];
  let ownSizeBytes = narSizeBytes;
  for (const [owner, { sizeBytes, registered }] of Object.entries(shared) as [StorePath, SharedBytes][]) {
    if (store.queryPathInfo(owner)?.registrationTime !== registered) continue;
    linkedFrom.push(owner);
    ownSizeBytes -= sizeBytes;
  }
  if (linkedFrom.length === 0) return undefined;
  return {
    linkedFrom: linkedFrom.sort((a, b) => (a < b ? -1 : 1)),
    ownSizeBytes: Math.max(0, ownSizeBytes),
  };
}

/** Looks at every file of a tree and of those that it may be linked together from. */
function sharedWith(
  store: Store,
  tree: StorePath,
  candidates: readonly StorePath[],
  files: InodesOfPaths,
): KeptTree["shared"] {
  const owners = new Map<string, StorePath>();
  for (const candidate of candidates) for (const id of files.of(candidate)) owners.set(id, candidate);
  const shared: Record<StorePath, SharedBytes> = {};
  for (const { id, sizeBytes } of linkedFiles(tree)) {
    const owner = owners.get(id);
    if (owner === undefined) continue;
    const before = shared[owner];
    shared[owner] =
      before === undefined
        ? { sizeBytes, registered: store.pathInfo(owner).registrationTime }
        : { ...before, sizeBytes: before.sizeBytes + sizeBytes };
  }
  return shared;
}

/** Environments have most of their packages in common: each is read once. */
class InodesOfPaths {
  readonly #known = new Map<StorePath, readonly string[]>();

  of(path: StorePath): readonly string[] {
    let ids = this.#known.get(path);
    if (ids === undefined) this.#known.set(path, (ids = [...linkedFiles(path)].map(({ id }) => id)));
    return ids;
  }
}

function linkingDerivations(store: Store, derivation: Derivation): Derivation[] {
  return [...derivation.inputDrvs.keys()]
    .filter((drvPath) => store.isValidPath(drvPath))
    .map((drvPath) => store.readDerivation(drvPath))
    .filter(({ builder }) => builder === LINKING_BUILDER);
}

/** Files that have another name somewhere. */
function* linkedFiles(root: ByteString): Generator<{ readonly id: string; readonly sizeBytes: number }> {
  const pending = [root];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    // An inode's number may be larger than a double holds.
    const stat = lstatSync(fsPath(path), { bigint: true });
    if (stat.isDirectory())
      for (const name of readdirSync(fsPath(path), "latin1")) pending.push(`${path}/${name}`);
    else if (stat.isFile() && stat.nlink > 1n)
      yield { id: `${stat.dev}:${stat.ino}`, sizeBytes: Number(stat.size) };
  }
}
