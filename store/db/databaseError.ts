import { accessSync, constants, statfsSync } from "node:fs";
import { dirname } from "node:path";
import { DevshellError, fsPath } from "../../core/index.ts";

/** What SQLite's codes mean to a user; constraint violations and the like are bugs and stay as they are. */
export function databaseError(file: string, error: unknown): unknown {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number") return error;
  const cause = error;
  // Where the log or the shared memory cannot grow it only says that something failed.
  const isFull = [10, 14].includes(error.errcode & 255) && isDiskFull(file);
  if ((error.errcode & 255) === 14 && isForbidden(file))
    return new DevshellError(
      "STORE_PERMISSION",
      `Cannot read the store's database "${file}": permission denied`,
      { cause, hint: "ask whoever holds the store to let others read it, or to run a daemon" },
    );
  switch (isFull ? 13 : error.errcode & 255) {
    case 13:
      return new DevshellError(
        "STORE_NO_SPACE",
        `Cannot write the store's database "${file}": no space is left on the disk`,
        {
          cause,
          hint: "free some with `devshell gc`",
        },
      );
    case 8:
      return new DevshellError(
        "STORE_READ_ONLY",
        `Cannot write the store's database "${file}": it is read-only`,
        { cause },
      );
    case 5:
    case 6:
      return new DevshellError(
        "STORE_DB_BUSY",
        `Cannot use the store's database "${file}": another process holds it`,
        { cause },
      );
    case 10:
    case 11:
    case 14:
    case 26:
      return new DevshellError(
        "STORE_DB_FAILED",
        `Cannot use the store's database "${file}": ${error.message}`,
        { cause },
      );
    default:
      return error;
  }
}

/** What it could not write is free again by the time we look. */
const LEAST_FREE_BYTES = 256 << 10;
const LEAST_FREE_FILES = 4;

function isForbidden(file: string): boolean {
  try {
    accessSync(fsPath(file), constants.R_OK);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EACCES";
  }
}

function isDiskFull(file: string): boolean {
  try {
    const { bavail, bsize, files, ffree } = statfsSync(fsPath(dirname(file)));
    return bavail * bsize < LEAST_FREE_BYTES || (files > 0 && ffree < LEAST_FREE_FILES);
  } catch {
    return false;
  }
}
