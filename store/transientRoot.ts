import { closeSync, lstatSync, readdirSync, realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { bytesOfText, fsPath, type ByteString } from "../core/index.ts";
import { deleteTree } from "./local/files.ts";
import { tryLock } from "./local/fileLock.ts";
import { createScratchDirectory, openIfThere } from "./local/layout.ts";
import { changeConfig } from "./settings.ts";
import type { StoreSettings } from "./types.ts";

const PREFIX = "devshell-store-";

/**
 * Holds what a store keeps that goes with the process (`dummy://?read-only=false`). They are files, as what evaluation
 * fetches is written by other processes of ours; what a kill leaves of them goes when the next such store is opened.
 */
export class TransientRoot implements Disposable {
  readonly path: ByteString;
  /** Locked while we live. */
  readonly #fd: number;
  #isGone = false;

  private constructor(path: ByteString, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  /** @throws {DevshellError} what writing throws */
  static create(directory: ByteString = bytesOfText(realpathSync(tmpdir()))): TransientRoot {
    deleteAbandoned(directory);
    const { path, fd } = createScratchDirectory(`${directory}/${PREFIX}`);
    return new TransientRoot(path, fd);
  }

  [Symbol.dispose](): void {
    if (this.#isGone) return;
    this.#isGone = true;
    try {
      deleteTree(this.path);
    } finally {
      closeSync(this.#fd);
    }
  }
}

/** Whether the settings are those of a store that keeps what it is given until its process ends. */
export function isTransient({ rung, isReadOnly }: StoreSettings): boolean {
  return rung === "dummy" && isReadOnly !== true;
}

/** Settings of a store that goes with its process, once it is known where its files are to lie. */
export function placeTransient(settings: StoreSettings, root: ByteString): StoreSettings {
  return {
    ...settings,
    transientRoot: root,
    realStoreDir: `${root}/store`,
    stateDir: `${root}/state`,
    logDir: `${root}/log`,
    // Nobody is left to read it after a power cut.
    config: changeConfig(settings.config, [
      ["fsync-metadata", "false"],
      ["fsync-store-paths", "false"],
      ["gc-reserved-space", "0"],
    ]),
  };
}

/** Takes away what killed processes of ours left. */
function deleteAbandoned(directory: ByteString): void {
  try {
    for (const name of readdirSync(fsPath(directory), "latin1"))
      if (name.startsWith(PREFIX)) deleteUnlocked(`${directory}/${name}`);
  } catch {
    // What cannot be taken away hinders nobody.
  }
}

function deleteUnlocked(path: ByteString): void {
  const stats = lstatSync(fsPath(path), { throwIfNoEntry: false });
  // The directory is everybody's: another's may be named so, too.
  if (stats?.isDirectory() !== true || stats.uid !== process.geteuid?.()) return;
  const fd = openIfThere(path);
  if (fd === undefined) return;
  try {
    if (tryLock(fd, "exclusive")) deleteTree(path);
  } finally {
    closeSync(fd);
  }
}
