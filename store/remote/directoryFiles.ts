import { createReadStream, existsSync, lstatSync } from "node:fs";
import { mkdir, open, readdir, rename, rm, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { DevshellError, bytesOfText, fsPath, type ByteString } from "../../core/index.ts";
import type { TransferOptions } from "../../io/index.ts";
import type {
  CacheContent,
  CacheFiles,
  DownloadedFile,
  ReadRequest,
  WantedFile,
  WriteOptions,
} from "./cacheFiles.ts";
import { absentFile, checkedFile } from "./checkedFile.ts";
import { decodePercents } from "./storeAddress.ts";

const BUFFER_BYTES = 1 << 20;
/** What Nix makes beside the files. */
const DIRECTORIES = ["nar", "build-trace-v2", "log"];

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

  async read(name: string, { maxBytes, signal }: ReadRequest): Promise<Buffer | undefined> {
    signal?.throwIfAborted();
    await using file = await this.#open(name);
    if (file === undefined) return undefined;
    const { size } = await file.stat();
    if (size > maxBytes)
      throw new DevshellError(
        "CACHE_INVALID",
        `binary cache '${this.url}': '${name}' has ${size} bytes, more than the ${maxBytes} allowed`,
      );
    return await file.readFile();
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
    for (const name of DIRECTORIES) await mkdir(fsPath(`${this.#directory}/${name}`), { recursive: true });
  }

  list(): Promise<readonly string[]> {
    return readdir(fsPath(this.#directory), "latin1");
  }

  async *#chunks(name: string, { onProgress, signal }: TransferOptions): AsyncIterable<Buffer> {
    const file = await this.#open(name);
    if (file === undefined) throw absentFile(this.url, name);
    await using _closing = file;
    const { size } = await file.stat();
    let doneBytes = 0;
    onProgress?.(0, size);
    for await (const part of file.createReadStream({ highWaterMark: BUFFER_BYTES, autoClose: false })) {
      signal?.throwIfAborted();
      const chunk = part as Buffer;
      yield chunk;
      doneBytes += chunk.length;
      onProgress?.(doneBytes, size);
    }
  }

  async #open(name: string): Promise<FileHandle | undefined> {
    const path = fsPath(this.#path(name));
    // Before it is opened: a pipe would wait for its writer.
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats === undefined || stats.isDirectory()) return undefined;
    try {
      return await open(path, "r");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw new DevshellError(
        "CACHE_UNREADABLE",
        `binary cache '${this.url}': cannot read '${name}': ${(error as Error).message}`,
        { cause: error },
      );
    }
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
