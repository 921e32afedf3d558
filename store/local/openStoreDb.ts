import { DevshellError } from "../../core/index.ts";
import { StoreDb } from "../db/storeDb.ts";
import type { StoreSettings } from "../types.ts";
import { FileLock } from "./fileLock.ts";
import {
  checkSchema,
  createDirectories,
  readSchema,
  refuseSymlinks,
  refuseUnwritable,
  writeSchema,
} from "./layout.ts";
import { openWithReserve, reserveSpace } from "./reserve.ts";
import type { LocalStoreOptions } from "./types.ts";

/**
 * Opens a store's database; where the store is new, makes it with all its directories.
 * @throws {DevshellError} `STORE_ABSENT`, `STORE_SCHEMA_UNSUPPORTED`, `STORE_READ_ONLY`, `STORE_PERMISSION`, `STORE_SYMLINKED`, …
 */
export function openStoreDb(settings: StoreSettings, options: LocalStoreOptions): StoreDb {
  if (settings.rung === "dummy" && settings.transientRoot === undefined) throw nothingHeld(settings);
  const dbDir = `${settings.stateDir}/db`;
  const dbFile = `${dbDir}/db.sqlite`;
  const isSynced = !/^(?:false|no|0)$/.test(settings.config.raw.get("fsync-metadata") ?? "");
  if (isOpenedReadOnly(settings, options)) {
    if (readSchema(dbDir) === undefined)
      throw new DevshellError(
        "STORE_ABSENT",
        `Cannot open store "${settings.storeDir}": its database does not exist, and cannot be created in read-only mode`,
      );
    checkSchema(readSchema(dbDir), dbDir);
    return new StoreDb(dbFile, settings.storeDir, { mode: "readOnly", isSynced });
  }
  const schema = readSchema(dbDir);
  checkSchema(schema, dbDir);
  createDirectories(settings);
  refuseSymlinks(settings);
  refuseUnwritable(dbDir);
  if (schema !== undefined) {
    reserveSpace(dbDir, settings.config);
    return openWithReserve(dbDir, () => new StoreDb(dbFile, settings.storeDir, { mode: "open", isSynced }));
  }
  using _lock = FileLock.acquireSync(`${dbDir}/big-lock`, "exclusive", () =>
    options.onWait?.("waiting for exclusive access to the store"),
  );
  reserveSpace(dbDir, settings.config);
  // Another process may have created it while we waited: all statements say "if not exists".
  const db = new StoreDb(dbFile, settings.storeDir, { mode: "create", isSynced });
  // The schema's file says that the tables are there, after a power cut too.
  db.sync();
  writeSchema(dbDir);
  return db;
}

/** The store `dummy://` where nothing can be looked for in it, nor kept. */
function nothingHeld({ isReadOnly }: StoreSettings): DevshellError {
  return isReadOnly === true
    ? new DevshellError("STORE_DUMMY", 'Cannot use the store "dummy://": it holds nothing', {
        hint: "unset NIX_REMOTE to use a store of your own; `dummy://?read-only=false` holds what it is given until the command ends",
      })
    : new DevshellError(
        "STORE_DUMMY",
        'Cannot use the store "dummy://?read-only=false" here: each command has one of its own, which is empty when it begins',
        { hint: "unset NIX_REMOTE to use a store of your own" },
      );
}

export function isOpenedReadOnly(settings: StoreSettings, options: LocalStoreOptions): boolean {
  return options.isReadOnly ?? settings.isReadOnly ?? false;
}
