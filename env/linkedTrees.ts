import { lstatSync, readdirSync } from "node:fs";
import { fsPath, type ByteString } from "../core/index.ts";
import { knownOutputPaths, type Derivation, type Store, type StorePath } from "../store/index.ts";
import { inputPathsOf } from "./build/derivationVariables.ts";

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
  // Environments have most of their packages in common: each is read once.
  const filesOf = new Map<StorePath, readonly string[]>();
  for (const derivation of derivations) {
    const owners = new Map<string, StorePath>();
    for (const input of inputPathsOf(store, derivation)) {
      const files = filesOf.get(input) ?? [...linkedFiles(input)].map(({ id }) => id);
      filesOf.set(input, files);
      for (const id of files) owners.set(id, input);
    }
    for (const path of knownOutputPaths(derivation).values()) {
      if (path === undefined || !store.isValidPath(path)) continue;
      const linkedFrom = new Set<StorePath>();
      let ownSizeBytes = store.pathInfo(path).narSizeBytes;
      for (const { id, sizeBytes } of linkedFiles(path)) {
        const owner = owners.get(id);
        if (owner === undefined) continue;
        linkedFrom.add(owner);
        ownSizeBytes -= sizeBytes;
      }
      if (linkedFrom.size > 0)
        trees.set(path, {
          linkedFrom: [...linkedFrom].sort((a, b) => (a < b ? -1 : 1)),
          ownSizeBytes: Math.max(0, ownSizeBytes),
        });
    }
  }
  return trees;
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
