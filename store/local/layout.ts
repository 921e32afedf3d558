import {
  accessSync,
  closeSync,
  constants,
  lstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { DevshellError, bytesOfText, fsPath, textOfBytes, type ByteString } from "../../core/index.ts";
import { SCHEMA_VERSION } from "../db/schema.ts";
import { writeError } from "../format/narRestore.ts";
import type { StoreSettings } from "../types.ts";
import { tryLock } from "./fileLock.ts";
import { deleteTree, entryExists, makeDirectories, syncEntry } from "./files.ts";

/** Where unfinished downloads wait for the next run. */
export function downloadsDir(stateDir: string): string {
  return `${stateDir}/devshell/downloads`;
}

export function createDirectories(settings: StoreSettings): void {
  const realStoreDir = settings.realStoreDir ?? settings.storeDir;
  const { stateDir } = settings;
  const directories = [
    realStoreDir,
    `${realStoreDir}/.links`,
    `${stateDir}/db`,
    `${stateDir}/temproots`,
    `${stateDir}/profiles/per-user`,
    `${stateDir}/gcroots/per-user`,
    `${stateDir}/gcroots/auto`,
  ];
  for (const directory of directories) if (!entryExists(directory)) makeDirectories(directory);
}

/** SQLite only says that it cannot open the file. */
export function refuseUnwritable(dbDir: ByteString): void {
  try {
    accessSync(fsPath(dbDir), constants.W_OK);
  } catch (error) {
    throw writeError(dbDir, error);
  }
}

/** A symlink on the way would let two stores be one: paths in files would not be where they say. */
export function refuseSymlinks(settings: StoreSettings): void {
  if (
    settings.config.raw.get("allow-symlinked-store") === "true" ||
    process.env["NIX_IGNORE_SYMLINK_STORE"] === "1"
  )
    return;
  for (
    let path: string = settings.realStoreDir ?? settings.storeDir;
    path !== "/" && path !== ".";
    path = dirname(path)
  )
    if (entryExists(path) && lstatSync(fsPath(path)).isSymbolicLink())
      throw new DevshellError(
        "STORE_SYMLINKED",
        `Cannot use store "${settings.storeDir}": "${path}" is a symlink to "${readlinkSync(fsPath(path), "latin1")}"`,
        {
          hint: "give its real path, or set allow-symlinked-store",
        },
      );
}

export function readSchema(dbDir: ByteString): number | undefined {
  let text: string;
  try {
    text = readFileSync(fsPath(`${dbDir}/schema`), "latin1");
  } catch (error) {
    if (
      (error as NodeJS.ErrnoException).code === "ENOENT" ||
      (error as NodeJS.ErrnoException).code === "ENOTDIR"
    )
      return undefined;
    throw new DevshellError(
      "STORE_PERMISSION",
      `Cannot read "${dbDir}/schema": ${(error as Error).message}`,
      { cause: error },
    );
  }
  if (!/^\d{1,6}\s*$/.test(text))
    throw new DevshellError(
      "STORE_SCHEMA_UNSUPPORTED",
      `Cannot read "${dbDir}/schema": ${JSON.stringify(text.slice(0, 40))} is not a number`,
    );
  return Number(text);
}

export function checkSchema(schema: number | undefined, dbDir: ByteString): void {
  if (schema === undefined || schema === SCHEMA_VERSION) return;
  throw new DevshellError(
    "STORE_SCHEMA_UNSUPPORTED",
    `Cannot use the database in "${dbDir}": its schema is version ${schema}, only ${SCHEMA_VERSION} is supported`,
    {
      hint:
        schema > SCHEMA_VERSION
          ? "a newer version of devshell may know it"
          : "any command of a current Nix upgrades it",
    },
  );
}

export function writeSchema(dbDir: ByteString): void {
  // Nobody else writes it: whoever creates a store has it for itself.
  const temporary = `${dbDir}/schema.tmp`;
  try {
    const fd = openSync(fsPath(temporary), "w", 0o644);
    try {
      writeSync(fd, String(SCHEMA_VERSION));
    } finally {
      closeSync(fd);
    }
    syncEntry(temporary);
    renameSync(fsPath(temporary), fsPath(`${dbDir}/schema`));
    syncEntry(dbDir);
  } catch (error) {
    throw writeError(`${dbDir}/schema`, error);
  }
}

/** @returns a descriptor; `undefined` where it is gone */
export function openIfThere(path: ByteString): number | undefined {
  try {
    return openSync(fsPath(path), "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw writeError(path, error);
  }
}

/** @param prefix what its path begins with */
export function createScratchDirectory(prefix: ByteString): {
  path: ByteString;
  fd: number;
  next: number;
} {
  for (;;) {
    let path: ByteString;
    try {
      path = bytesOfText(mkdtempSync(textOfBytes(prefix)));
    } catch (error) {
      throw writeError(dirname(prefix), error);
    }
    // A collector may take it before it is locked.
    const fd = openIfThere(path);
    if (fd === undefined) continue;
    if (tryLock(fd, "exclusive") && entryExists(path)) return { path, fd, next: 0 };
    closeSync(fd);
    deleteTree(path);
  }
}
