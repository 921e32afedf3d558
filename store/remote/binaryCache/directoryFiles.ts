import {
  createReadStream,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { DevshellError, bytesOfText, fsPath, type ByteString } from "../../../core/index.ts";
import type { TransferOptions } from "../../../io/index.ts";
import { writeError } from "../../format/narRestore.ts";
import type {
  CacheContent,
  CacheFiles,
  DownloadedFile,
  ReadRequest,
  WantedFile,
  WriteOptions,
} from "./cacheFiles.ts";
import { absentFile, checkedFile, invalidFile } from "./checkedFile.ts";
import { decodePercents } from "../storeAddress.ts";

const BUFFER_BYTES = 1 << 20;
const SMALL_BYTES = 256 << 10;
/** What Nix makes beside the files. */
const DIRECTORIES = ["nar", "build-trace-v2", "log"];

/** What a file is called while it is written. */
const UNFINISHED = /\.tmp\.\d+\.\d+$/;
const ABANDONED_MS = 24 * 3600_000;

let writes = 0;

/** The files of a binary cache in a directory of this machine: `file:///…`. */
export class DirectoryFiles implements CacheFiles {
  readonly url: string;
  readonly isTrusting = true;
  readonly #directory: ByteString;

  /** @param base `file:///…` @throws {DevshellError} `CACHE_UNUSABLE` */
  constructor(base: string) {
    this.url = base;
    this.#directory = bytesOfText(decodePercents(base.slice("file://".length)));
    if (!this.#directory.startsWith("/"))
      throw new DevshellError(
        "CACHE_UNUSABLE",
        `Cannot use the binary cache "${base}": its path is not absolute`,
      );
  }

  get scratchDir(): ByteString {
    return `${this.#directory}/nar`;
  }

  read(name: string, { maxBytes, signal }: ReadRequest): Promise<Buffer | undefined> {
    signal?.throwIfAborted();
    const size = this.#sizeOf(name);
    if (size === undefined) return Promise.resolve(undefined);
    if (size > maxBytes)
      throw invalidFile(this.url, `'${name}' has ${size} bytes, more than the ${maxBytes} allowed`);
    return Promise.resolve(this.#readNow(name));
  }

  has(name: string): Promise<boolean> {
    return Promise.resolve(existsSync(fsPath(this.#path(name))));
  }

  async download(wanted: WantedFile, options: TransferOptions): Promise<DownloadedFile> {
    if (!(await this.has(wanted.url))) throw absentFile(this.url, wanted.url);
    return {
      chunks: checkedFile(this.url, wanted, this.#chunks(wanted.url, options)),
      discard: () => Promise.resolve(),
    };
  }

  async write(name: string, content: CacheContent, { signal }: WriteOptions): Promise<void> {
    signal?.throwIfAborted();
    const path = this.#path(name);
    try {
      await this.#write(path, content);
    } catch (error) {
      throw writeError(path, error);
    }
  }

  async #write(path: ByteString, content: CacheContent): Promise<void> {
    if ("bytes" in content && content.bytes.length <= SMALL_BYTES) {
      writeNow(path, content.bytes);
      return;
    }
    await mkdir(fsPath(dirname(path)), { recursive: true });
    if ("file" in content && dirname(content.file).startsWith(this.#directory)) {
      await rename(fsPath(content.file), fsPath(path));
      return;
    }
    const scratch = `${path}.tmp.${process.pid}.${++writes}`;
    try {
      await using file = await open(fsPath(scratch), "wx", 0o644);
      if ("bytes" in content) await file.writeFile(content.bytes);
      else await file.writeFile(createReadStream(fsPath(content.file), { highWaterMark: BUFFER_BYTES }));
      await rename(fsPath(scratch), fsPath(path));
    } catch (error) {
      await rm(fsPath(scratch), { force: true });
      throw error;
    }
    if ("file" in content) await rm(fsPath(content.file), { force: true });
  }

  async initialise(): Promise<void> {
    for (const name of DIRECTORIES) {
      const path = `${this.#directory}/${name}`;
      try {
        await mkdir(fsPath(path), { recursive: true });
      } catch (error) {
        throw writeError(path, error);
      }
    }
    await this.#dropAbandoned();
  }

  /** Removes what processes that were killed have begun to write. */
  async #dropAbandoned(): Promise<void> {
    const names = await readdir(fsPath(this.scratchDir), "latin1");
    for (const name of names.filter((each) => UNFINISHED.test(each))) {
      const file = fsPath(`${this.scratchDir}/${name}`);
      const stats = statSync(file, { throwIfNoEntry: false });
      // Others, of other machines too, may be at work here.
      if (stats !== undefined && Date.now() - stats.mtimeMs > ABANDONED_MS) await rm(file, { force: true });
    }
  }

  list(): Promise<readonly string[]> {
    return readdir(fsPath(this.#directory), "latin1");
  }

  async *#chunks(name: string, { onProgress, signal }: TransferOptions): AsyncIterable<Buffer> {
    const size = this.#sizeOf(name);
    if (size === undefined) throw absentFile(this.url, name);
    onProgress?.(0, size);
    let doneBytes = 0;
    const source = size <= SMALL_BYTES ? [this.#readNow(name) ?? Buffer.alloc(0)] : this.#stream(name);
    for await (const chunk of source) {
      signal?.throwIfAborted();
      yield chunk;
      doneBytes += chunk.length;
      onProgress?.(doneBytes, size);
    }
  }

  async *#stream(name: string): AsyncIterable<Buffer> {
    const opening = open(fsPath(this.#path(name)), "r");
    await using file = await opening.catch((error: unknown) => {
      throw this.#unreadable(name, error);
    });
    for await (const chunk of file.createReadStream({ highWaterMark: BUFFER_BYTES, autoClose: false }))
      yield chunk as Buffer;
  }

  /** Before it is opened: a pipe would wait for its writer. */
  #sizeOf(name: string): number | undefined {
    try {
      const stats = statSync(fsPath(this.#path(name)), { throwIfNoEntry: false });
      return stats?.isFile() === true ? stats.size : undefined;
    } catch (error) {
      // No file can have that name.
      if ((error as NodeJS.ErrnoException).code === "ENAMETOOLONG") return undefined;
      throw this.#unreadable(name, error);
    }
  }

  /** Small files are read sooner than a thread of the pool would begin to. */
  #readNow(name: string): Buffer | undefined {
    try {
      return readFileSync(fsPath(this.#path(name)));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw this.#unreadable(name, error);
    }
  }

  #unreadable(name: string, error: unknown): unknown {
    if (!(error instanceof Error) || !("code" in error) || error instanceof DevshellError) return error;
    return new DevshellError(
      "CACHE_UNREADABLE",
      `binary cache '${this.url}': cannot read '${name}': ${error.message}`,
      { cause: error },
    );
  }

  #path(name: string): ByteString {
    if (name === "" || name.startsWith("/") || /(^|\/)\.{0,2}(\/|$)/.test(name) || name.includes("\0"))
      throw new DevshellError(
        "CACHE_INVALID",
        `binary cache '${this.url}': '${name}' leads out of the cache`,
      );
    return `${this.#directory}/${name}`;
  }
}

/** Small files are written sooner than a thread of the pool would begin to. */
function writeNow(path: ByteString, bytes: Uint8Array): void {
  const scratch = `${path}.tmp.${process.pid}.${++writes}`;
  const write = (): void => writeFileSync(fsPath(scratch), bytes, { flag: "wx", mode: 0o644 });
  try {
    try {
      write();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      mkdirSync(fsPath(dirname(path)), { recursive: true });
      write();
    }
    renameSync(fsPath(scratch), fsPath(path));
  } catch (error) {
    rmSync(fsPath(scratch), { force: true });
    throw error;
  }
}
