import { readdirSync, unlinkSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { encodeNix32, formatHash, fsPath } from "../../core/index.ts";
import { hashNar } from "../format/nar.ts";
import type { StorePath } from "../types.ts";
import type { StoreAccess } from "./access.ts";
import { FileLock } from "./fileLock.ts";
import { entryExists, namesIn } from "./files.ts";
import { gcLockPath } from "./tempRoots.ts";
import type { VerifyOptions, VerifyResult } from "./types.ts";

/**
 * Compares the database with the store directory, and with `checkContents` every path with its hash. A registered
 * path that is gone is forgotten when nothing refers to it.
 */
export async function verifyStore(store: StoreAccess, options: VerifyOptions): Promise<VerifyResult> {
  store.prepareToWrite();
  using _gcLock = await FileLock.acquire(gcLockPath(store.settings.stateDir), "shared", {
    signal: options.signal,
    onWait: () => store.onWait("waiting for the big garbage collector lock"),
  });
  const problems: string[] = [];
  const forgotten: StorePath[] = [];
  const present = new Set(namesIn(store.realStoreDir));
  const isPresent = (path: StorePath): boolean => present.has(path.slice(store.storeDir.length + 1));
  const valid = store.db.allValidPaths();
  // Some may have come since the directory was read.
  const missing = new Set(valid.filter((path) => !isPresent(path) && !entryExists(store.realPath(path))));
  const isRepaired = async (path: StorePath): Promise<boolean> => (await options.repair?.(path)) ?? false;
  // Referrers first, so that a chain of missing paths is forgotten whole.
  for (let progress = true; progress && missing.size > 0;) {
    progress = false;
    for (const path of missing) {
      const hasReferrers = store.db.queryReferrers(path).some((referrer) => referrer !== path);
      if (hasReferrers) continue;
      missing.delete(path);
      progress = true;
      if (isForgotten(store, path)) forgotten.push(path);
    }
  }
  for (const path of missing)
    if (!(await isRepaired(path)))
      problems.push(`path "${path}" disappeared, but it still has valid referrers`);
  let checkedPaths = 0;
  if (options.checkContents === true) {
    await checkLinks(store, options, problems);
    for (const path of valid) {
      if (!isPresent(path)) continue;
      options.signal?.throwIfAborted();
      const problem = checkContents(store, path) && checkAlone(store, path);
      checkedPaths++;
      if (problem !== undefined && !(await isRepaired(path))) problems.push(problem);
      await nextTurn();
    }
  } else checkedPaths = valid.length;
  return { checkedPaths, problems, forgotten };
}

/** Forgets a path without files, unless somebody is just putting them there. */
function isForgotten(store: StoreAccess, path: StorePath): boolean {
  using locks = store.tryLockPaths([path]);
  if (locks === undefined) return false;
  const isGone = !entryExists(store.realPath(path));
  if (isGone) store.db.invalidatePath(path);
  locks.discard();
  return isGone;
}

/** Once more, with nobody replacing it meanwhile who keeps to the locks. */
function checkAlone(store: StoreAccess, path: StorePath): string | undefined {
  using locks = store.tryLockPaths([path]);
  const problem = checkContents(store, path);
  locks?.discard();
  return problem;
}

function checkContents(store: StoreAccess, path: StorePath): string | undefined {
  const info = store.queryPathInfo(path);
  if (info === undefined) return undefined;
  try {
    const { hash, sizeBytes } = hashNar(store.realPath(path));
    if (!hash.digest.equals(info.narHash.digest))
      return `path "${path}" was modified: expected hash "sha256:${formatHash(info.narHash, "nix32")}" but found "sha256:${formatHash(hash, "nix32")}"`;
    if (info.narSizeBytes === 0) store.db.updatePathInfo({ ...info, narSizeBytes: sizeBytes });
    return undefined;
  } catch (error) {
    return store.isValidPath(path) ? `path "${path}" cannot be read: ${(error as Error).message}` : undefined;
  }
}

async function checkLinks(store: StoreAccess, options: VerifyOptions, problems: string[]): Promise<void> {
  const directory = `${store.realStoreDir}/.links`;
  for (const name of readdirSync(fsPath(directory))) {
    options.signal?.throwIfAborted();
    const link = `${directory}/${name}`;
    const hash = encodeNix32(hashNar(link).hash.digest);
    if (hash !== name) {
      if (options.repair === undefined) problems.push(`link "${link}" was modified: its hash is "${hash}"`);
      else unlinkSync(fsPath(link));
    }
    await nextTurn();
  }
}
