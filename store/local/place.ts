import type { ByteString } from "../../core/index.ts";
import type { StorePath, ValidPathInfo } from "../types.ts";
import type { StoreAccess } from "./access.ts";
import { PathLocks } from "./fileLock.ts";
import { deleteTree, entryExists, moveTree, replaceTree, syncTree } from "./files.ts";

/**
 * Moves a finished tree to its store path, deleting what an interrupted run left there. The caller holds the lock.
 * @param isRepair replaces a registered path, at once where the system can
 */
export function moveIntoPlace(
  store: StoreAccess,
  scratch: ByteString,
  path: StorePath,
  isRepair: boolean,
): void {
  const target = store.realPath(path);
  if (scratch === target) return;
  if (!entryExists(target)) {
    moveTree(scratch, target);
    return;
  }
  if (store.isValidPath(path)) {
    if (!isRepair) return;
    // What is registered may be whole, and on the disk since long: that must be true of what replaces it.
    syncTree(scratch);
  }
  replaceTree(scratch, target, store.makeScratchPath());
}

/**
 * Locks a path, and unless it turned valid meanwhile lets `fill` write it to a scratch path, moves it into place and
 * registers it.
 * @returns false when `fill` gave up
 */
export function placePath(
  store: StoreAccess,
  path: StorePath,
  isRepair: boolean,
  fill: (scratch: ByteString) => ValidPathInfo | undefined,
): boolean {
  store.prepareToWrite();
  using locks = PathLocks.acquireSync([store.realPath(path)], () =>
    store.onWait(`waiting for the lock on "${path}"`),
  );
  if (isRepair || !store.isValidPath(path)) {
    const scratch = store.makeScratchPath();
    try {
      const info = fill(scratch);
      if (info === undefined) return false;
      store.moveIntoPlace(scratch, path, isRepair);
      store.registerValidPaths([info], isRepair);
    } finally {
      deleteTree(scratch);
    }
  }
  locks.discard();
  return true;
}
