import { statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { fsPath, textOfBytes } from "../../core/index.ts";

/** How long a statement waits for another process's transaction. */
const BUSY_TIMEOUT_MS = 600_000;

export interface OpenedDatabase {
  readonly db: DatabaseSync;
  /** Only where the file is read as if nobody wrote it: whether nobody has. */
  readonly isCurrent?: (() => boolean) | undefined;
}

export function openDatabase(file: string): OpenedDatabase {
  return { db: connect(file, false) };
}

/**
 * Who may write neither the database nor beside it cannot share memory with writers, unless they have made it already:
 * SQLite refuses. When nobody has it open to write, the file can be read as it is.
 */
export function openReadOnly(file: string): OpenedDatabase {
  const db = connect(file, true);
  try {
    db.prepare("select 1 from ValidPaths").get();
    return { db };
  } catch {
    db.close();
    const url = pathToFileURL(textOfBytes(file));
    url.searchParams.set("immutable", "1");
    const before = stateOf(file);
    return { db: connect(url, true), isCurrent: () => stateOf(file) === before };
  }
}

function connect(file: string | URL, readOnly: boolean): DatabaseSync {
  return new DatabaseSync(typeof file === "string" ? textOfBytes(file) : file, {
    readOnly,
    enableForeignKeyConstraints: true,
    timeout: BUSY_TIMEOUT_MS,
  });
}

/** Changes when someone opens it to write, or has written it. */
function stateOf(file: string): string {
  const options = { bigint: true, throwIfNoEntry: false } as const;
  const stats = statSync(fsPath(file), options);
  const log = statSync(fsPath(`${file}-wal`), options);
  return `${stats?.ino} ${stats?.size} ${stats?.mtimeNs} ${log?.ino} ${log?.size}`;
}
