import { hashBytes, type ByteString } from "../../core/index.ts";
import type { MadeDerivation } from "../format/makeDerivation.ts";
import { restoreCanonical } from "../format/narRestore.ts";
import { makeTextPath, sortedPaths } from "../format/storePath.ts";
import { textObject } from "../format/textObject.ts";
import type { StorePath, ValidPathInfo } from "../types.ts";
import type { StoreAccess } from "./access.ts";
import { PathLocks } from "./fileLock.ts";

/** Adds a text file whose path follows from content and references (`builtins.toFile`, `.drv`). */
export function addText(
  store: StoreAccess,
  name: string,
  contents: ByteString,
  references: Iterable<StorePath>,
): StorePath {
  const bytes = Buffer.from(contents, "latin1");
  const sorted = sortedPaths(references);
  const path = makeTextPath(store.storeDir, name, hashBytes("sha256", bytes), sorted);
  store.addTempRoots([path]);
  if (!store.isValidPath(path))
    store.placePath(path, false, (scratch) => writeText(scratch, path, bytes, sorted));
  return path;
}

/** Writes derivations in one transaction, inputs before users; those that are there are left alone. */
export function addDerivations(store: StoreAccess, batch: readonly MadeDerivation[]): void {
  store.addTempRoots(batch.map(({ drvPath }) => drvPath));
  const isMissing = ({ drvPath }: MadeDerivation): boolean => !store.isValidPath(drvPath);
  const missing = batch.filter(isMissing);
  if (missing.length === 0) return;
  // Locks before the transaction, never within: who holds a lock may be waiting for the database.
  using locks = PathLocks.acquireSync(missing.map(({ drvPath }) => store.realPath(drvPath)));
  const infos: ValidPathInfo[] = [];
  for (const { drvPath, contents, references } of missing.filter(isMissing)) {
    const scratch = store.makeScratchPath();
    infos.push(writeText(scratch, drvPath, Buffer.from(contents, "latin1"), references));
    store.moveIntoPlace(scratch, drvPath);
  }
  store.registerValidPaths(infos);
  locks.discard();
}

function writeText(
  scratch: ByteString,
  path: StorePath,
  bytes: Buffer,
  references: readonly StorePath[],
): ValidPathInfo {
  const { nar, info } = textObject(path, bytes, references);
  restoreCanonical(scratch, nar);
  return info;
}
