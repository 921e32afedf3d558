import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  futimesSync,
  lutimesSync,
  mkdirSync,
  openSync,
  symlinkSync,
  utimesSync,
  writeSync,
} from "node:fs";
import { DevshellError, fsPath, type ByteString } from "../../core/index.ts";
import { CaseHackedFiles } from "./caseHackedFiles.ts";
import { NarReader, type NarHandler } from "./narReader.ts";

/** Modification time of everything in a store, in seconds. */
export const STORE_MTIME = 1;

export interface RestoreOptions {
  /** Modes 0444/0555, time 1: as everything in a store is. Otherwise the process's umask rules. */
  readonly isCanonical?: boolean | undefined;
  /** Flushes each file to the disk. */
  readonly isSynced?: boolean | undefined;
  /** Gives names that differ only by case others (`use-case-hack`). */
  readonly isCaseHacked?: boolean | undefined;
}

/** A NAR's content as seen from outside, e.g. for `.ls` files. */
export type NarListing =
  | {
      readonly type: "regular";
      readonly size: number;
      readonly executable?: true;
      readonly narOffset: number;
    }
  | { readonly type: "symlink"; readonly target: string }
  | { readonly type: "directory"; readonly entries: Record<string, NarListing> };

/** Unpacks a NAR, fed by `push` and ended by `end`, to a path that must not exist. */
export class NarRestorer implements Disposable {
  readonly #reader: NarReader;
  readonly #files: FileWriter;

  constructor(path: ByteString, options: RestoreOptions = {}) {
    this.#files = new FileWriter(path, options);
    this.#reader = new NarReader(
      options.isCaseHacked === true ? new CaseHackedFiles(this.#files) : this.#files,
    );
  }

  get offset(): number {
    return this.#reader.offset;
  }

  get isDone(): boolean {
    return this.#reader.isDone;
  }

  /** @throws {DevshellError} `NAR_…` for a malformed archive, `STORE_WRITE_FAILED` when the disk refuses */
  push(chunk: Buffer): void {
    this.#reader.push(chunk);
  }

  /** @throws {DevshellError} `NAR_TRUNCATED` */
  end(): void {
    this.#reader.end();
  }

  /** Closes the file that an error left open; what has been written stays. */
  [Symbol.dispose](): void {
    this.#files.close();
  }
}

/** Unpacks a NAR from a stream. */
export async function restoreNar(
  path: ByteString,
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: RestoreOptions = {},
): Promise<void> {
  using restorer = new NarRestorer(path, options);
  for await (const chunk of source) restorer.push(asBuffer(chunk));
  restorer.end();
}

/** Unpacks a NAR that is at hand, as everything in a store is. */
export function restoreCanonical(path: ByteString, nar: Buffer): void {
  using restorer = new NarRestorer(path, { isCanonical: true });
  restorer.push(nar);
  restorer.end();
}

/** Lists a NAR's content while checking it whole. */
export async function listNar(source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<NarListing> {
  const lister = new NarLister();
  const reader = new NarReader(lister);
  for await (const chunk of source) reader.push(asBuffer(chunk));
  reader.end();
  return lister.root();
}

export function asBuffer(chunk: Uint8Array): Buffer {
  return Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}

/** As "wx": with a number Node need not look up what the letters mean. */
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;

class FileWriter implements NarHandler {
  readonly #root: ByteString;
  readonly #isCanonical: boolean;
  readonly #isSynced: boolean;
  #fd = -1;
  #path = "";
  #mode = 0;
  /** Modes that the umask was seen to leave alone: these need no chmod. */
  readonly #modesKept = new Set<number>();

  constructor(root: ByteString, { isCanonical = false, isSynced = false }: RestoreOptions) {
    this.#root = root;
    this.#isCanonical = isCanonical;
    this.#isSynced = isSynced;
  }

  directory(path: ByteString): void {
    const full = this.#root + path;
    try {
      mkdirSync(fsPath(full), this.#isCanonical ? 0o755 : 0o777);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw writeError(full, error);
      throw new DevshellError("STORE_WRITE_FAILED", `creating directory "${full}": File exists`, {
        cause: error,
      });
    }
  }

  directoryEnd(path: ByteString): void {
    if (!this.#isCanonical) return;
    const full = this.#root + path;
    writing(full, () => {
      chmodSync(fsPath(full), 0o555);
      utimesSync(fsPath(full), STORE_MTIME, STORE_MTIME);
    });
  }

  symlink(path: ByteString, target: ByteString): void {
    const full = this.#root + path;
    writing(full, () => {
      symlinkSync(fsPath(target), fsPath(full));
      if (this.#isCanonical) lutimesSync(fsPath(full), STORE_MTIME, STORE_MTIME);
    });
  }

  file(path: ByteString, _sizeBytes: number, isExecutable: boolean): void {
    const full = this.#root + path;
    this.#mode = this.#isCanonical ? (isExecutable ? 0o555 : 0o444) : isExecutable ? 0o777 : 0o666;
    this.#path = full;
    try {
      this.#fd = openSync(fsPath(full), NEW_FILE, this.#mode);
    } catch (error) {
      throw writeError(full, error);
    }
  }

  data(bytes: Buffer, start: number, end: number): void {
    try {
      for (let at = start; at < end;) at += writeSync(this.#fd, bytes, at, end - at);
    } catch (error) {
      throw writeError(this.#path, error);
    }
  }

  fileEnd(): void {
    const fd = this.#fd;
    try {
      if (this.#isCanonical) {
        this.#giveMode(fd);
        futimesSync(fd, STORE_MTIME, STORE_MTIME);
      }
      if (this.#isSynced) fsyncSync(fd);
      this.#fd = -1;
      closeSync(fd);
    } catch (error) {
      throw writeError(this.#path, error);
    }
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }

  #giveMode(fd: number): void {
    if (this.#modesKept.has(this.#mode)) return;
    if ((fstatSync(fd).mode & 0o7777) === this.#mode) this.#modesKept.add(this.#mode);
    else fchmodSync(fd, this.#mode);
  }
}

/** Notes what a NAR holds while it is read. */
export class NarLister implements NarHandler {
  #root: NarListing | undefined;
  readonly #open: Record<string, NarListing>[] = [];

  root(): NarListing {
    if (this.#root === undefined) throw new Error("no listing before the end");
    return this.#root;
  }

  directory(path: ByteString): void {
    const entries: Record<string, NarListing> = Object.create(null) as Record<string, NarListing>;
    this.#add(path, { type: "directory", entries });
    this.#open.push(entries);
  }

  directoryEnd(): void {
    this.#open.pop();
  }

  symlink(path: ByteString, target: ByteString): void {
    this.#add(path, { type: "symlink", target });
  }

  file(path: ByteString, size: number, isExecutable: boolean, narOffset: number): void {
    this.#add(path, {
      type: "regular",
      size,
      ...(isExecutable ? { executable: true as const } : {}),
      narOffset,
    });
  }

  data(): void {
    // The content is of no interest to a listing.
  }

  fileEnd(): void {
    // Added when it began.
  }

  #add(path: ByteString, listing: NarListing): void {
    const entries = this.#open.at(-1);
    if (entries === undefined) this.#root = listing;
    else entries[path.slice(path.lastIndexOf("/") + 1)] = listing;
  }
}

function writing<T>(path: ByteString, write: () => T): T {
  try {
    return write();
  } catch (error) {
    throw writeError(path, error);
  }
}

/** What a failed write means to a user: no space, no permission, read-only disk. */
export function writeError(path: ByteString, error: unknown): unknown {
  if (error instanceof DevshellError || !(error instanceof Error) || !("code" in error)) return error;
  const options = (hint?: string): { cause: unknown; hint?: string | undefined } => ({ cause: error, hint });
  switch (error.code) {
    case "ENOSPC":
      return new DevshellError(
        "STORE_NO_SPACE",
        `Cannot write "${path}": no space is left on the disk`,
        options("free some with `devshell gc`"),
      );
    case "EDQUOT":
      return new DevshellError(
        "STORE_NO_SPACE",
        `Cannot write "${path}": the disk quota is used up`,
        options("free some with `devshell gc`"),
      );
    case "EFBIG":
      return new DevshellError(
        "STORE_WRITE_FAILED",
        `Cannot write "${path}": it is larger than files may be`,
        options("the limit is the file system's, or this process's: `ulimit -f` shows it"),
      );
    case "EIO":
      return new DevshellError(
        "STORE_WRITE_FAILED",
        `Cannot write "${path}": the disk reports an input/output error`,
        options("the system's log (`dmesg`) may say why; `nix-store --verify --check-contents` finds damage"),
      );
    case "EROFS":
      return new DevshellError(
        "STORE_READ_ONLY",
        `Cannot write "${path}": the disk is read-only`,
        options("remount it, or use a store elsewhere with NIX_STORE_DIR and NIX_STATE_DIR"),
      );
    case "EACCES":
    case "EPERM":
      return new DevshellError(
        "STORE_PERMISSION",
        `Cannot write "${path}": permission denied`,
        options(
          "the store belongs to another user. This command may have been run as non-root in a single-user Nix installation: use the store's daemon, or a store of your own",
        ),
      );
    case "EMFILE":
    case "ENFILE":
      return new DevshellError(
        "STORE_WRITE_FAILED",
        `Cannot open "${path}": too many files are open`,
        options("`ulimit -n` shows this process's limit; fewer builds at once (`--max-jobs`) need fewer"),
      );
    case "ENAMETOOLONG":
      return new DevshellError(
        "STORE_WRITE_FAILED",
        `Cannot write "${path.slice(0, 80)}…": the path is too long`,
        options(),
      );
    case "ENOTDIR":
      return new DevshellError(
        "STORE_WRITE_FAILED",
        `Cannot write "${path}": something on the way to it is not a directory`,
        options(),
      );
    case "EEXIST":
      return new DevshellError("STORE_WRITE_FAILED", `Cannot write "${path}": File exists`, options());
    default:
      return new DevshellError("STORE_WRITE_FAILED", `Cannot write "${path}": ${error.message}`, options());
  }
}
