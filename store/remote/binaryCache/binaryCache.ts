import { mkdir } from "node:fs/promises";
import { DevshellError, formatHash, fsPath, hashBytes } from "../../../core/index.ts";
import { decompress, isCompression, type Compression, type TransferOptions } from "../../../io/index.ts";
import {
  parseNarInfo,
  printNarInfo,
  signPathInfo,
  sortedSignatures,
  type NarInfo,
} from "../../format/narInfo.ts";
import {
  olderRealisationPlace,
  parseOlderRealisation,
  type OlderRealisation,
} from "../../format/olderRealisation.ts";
import { parseRealisation, printRealisation, realisationPlace } from "../../format/realisation.ts";
import { sortedPaths, storePathBaseName, storePathHashPart } from "../../format/storePath.ts";
import type { IncomingPathInfo } from "../../local/types.ts";
import type { Realisation, StorePath, StoreSettings, ValidPathInfo } from "../../types.ts";
import type { CacheFiles } from "./cacheFiles.ts";
import { CACHE_INFO_FILE, parseCacheInfo, printCacheInfo, type CacheInfo } from "./cacheInfo.ts";
import type { CacheParameters } from "./cacheParameters.ts";
import { maxClosurePaths } from "../closureBound.ts";
import { ABSENT_FILE, invalidFile } from "./checkedFile.ts";
import type { KnownCache, NarInfoDiskCache } from "./narInfoDiskCache.ts";
import { debugFilesIn, printNarListing } from "./narListing.ts";
import { SpoolFile, removeDeadSpools } from "./spoolFile.ts";
import { spoolNar, type SpooledNar } from "./spoolNar.ts";
import type {
  AddPathOptions,
  AddRealisationOptions,
  NarDownload,
  RemotePathInfo,
  RemoteStore,
} from "../types.ts";

/** A narinfo or a cache's description is a screenful. */
const MAX_INFO_BYTES = 1 << 20;
const MAX_LOG_BYTES = 256 << 20;
const DEFAULT_PRIORITY = 50;
/** A compressed file may be larger than its content, but not by much. */
const MAX_EXPANSION_BYTES = 1 << 20;
/** Nobody waits long for a cache that may be out of reach. */
const FIRST_CONTACT = { attempts: 2, connectTimeoutMs: 5000 } as const;
/** Endings of compressed NARs' names, as Nix gives them. */
const ENDINGS: Readonly<Record<Compression, string>> = {
  none: "",
  xz: ".xz",
  bzip2: ".bz2",
  zstd: ".zst",
  gzip: "",
  br: ".br",
  lzma: "",
};

export interface BinaryCacheParts {
  readonly settings: StoreSettings;
  readonly files: CacheFiles;
  readonly parameters: CacheParameters;
  readonly disk: NarInfoDiskCache | undefined;
  /** It will be written: made where there is none, and asked itself rather than what is remembered of it. */
  readonly isTarget: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** A cache in Nix's format: a narinfo and a compressed NAR for each path, wherever its files lie. */
export class BinaryCache implements RemoteStore {
  readonly url: string;
  readonly storeDir: string;
  readonly priority: number;
  readonly isTrusted: boolean;
  readonly wantsMassQuery: boolean;
  readonly isTrusting: boolean | undefined;
  readonly narCacheDir: string | undefined;
  readonly maxClosurePaths: number;
  readonly #parts: BinaryCacheParts;
  /** What was asked before in this process, absences too. */
  readonly #known = new Map<StorePath, Promise<NarInfo | undefined>>();
  #preparation: Promise<void> | undefined;

  private constructor(parts: BinaryCacheParts, said: KnownCache) {
    const { parameters } = parts;
    this.#parts = parts;
    this.url = parts.files.url;
    this.storeDir = parts.settings.storeDir;
    this.isTrusted = parameters.isTrusted;
    this.isTrusting = parts.files.isTrusting;
    this.narCacheDir = parameters.narCacheDir;
    this.maxClosurePaths = maxClosurePaths(parts.settings.config);
    this.priority = parameters.priority ?? said.priority;
    this.wantsMassQuery = parameters.wantsMassQuery ?? said.wantsMassQuery;
  }

  /** @throws {DevshellError} `CACHE_UNUSABLE` where it is no binary cache, or one for another store directory */
  static async open(parts: BinaryCacheParts): Promise<BinaryCache> {
    const { disk, isTarget } = parts;
    const remembered = isTarget ? undefined : disk?.known();
    if (remembered !== undefined) return new BinaryCache(parts, remembered);
    const info = await readCacheInfo(parts);
    const said = {
      wantsMassQuery: info.wantsMassQuery ?? false,
      priority: info.priority ?? DEFAULT_PRIORITY,
    };
    disk?.remember(said);
    return new BinaryCache(parts, said);
  }

  async query(path: StorePath, signal?: AbortSignal): Promise<RemotePathInfo | undefined> {
    const info = await this.#narInfo(path, signal);
    return info === undefined ? undefined : pathInfoOf(info);
  }

  async openNar(wanted: ValidPathInfo, options: TransferOptions): Promise<NarDownload> {
    const { files, disk } = this.#parts;
    for (let isFirst = true; ; isFirst = false) {
      const info = await this.#narInfo(wanted.path, options.signal);
      if (info === undefined)
        throw new DevshellError(
          ABSENT_FILE,
          `path '${wanted.path}' does not exist in binary cache '${this.url}'`,
        );
      const { compression, fileHash, fileSizeBytes } = info;
      if (!isCompression(compression))
        throw this.#error(`'${info.path}' is compressed by '${compression}', which is not built yet`);
      const key = formatHash(
        fileHash ?? hashBytes("sha256", `${this.url}\0${info.url}\0${info.path}`),
        "nix32",
      );
      try {
        const file = await files.download(
          {
            url: info.url,
            hash: fileHash,
            isHashedByReader: isNarItself(info),
            sizeBytes: fileSizeBytes,
            maxBytes: fileSizeBytes ?? info.narSizeBytes + MAX_EXPANSION_BYTES,
            key: `${storePathHashPart(info.path)}-${key.slice(0, 16)}`,
          },
          options,
        );
        const nar = decompress(compression, file.chunks, {
          signal: options.signal,
          expectedBytes: info.narSizeBytes,
        });
        return { nar: this.#bounded(nar, info), discard: () => file.discard() };
      } catch (error) {
        // What was remembered may be of a time when the file had another name.
        if (!isFirst || disk === undefined || !(error instanceof DevshellError) || error.code !== ABSENT_FILE)
          throw error;
        disk.forget(storePathHashPart(wanted.path));
        this.#known.delete(wanted.path);
      }
    }
  }

  async addPath(
    info: IncomingPathInfo,
    nar: AsyncIterable<Uint8Array>,
    options: AddPathOptions,
  ): Promise<void> {
    const { files, parameters } = this.#parts;
    const { signal } = options;
    if (options.isRepair !== true && (await this.#narInfo(info.path, signal)) !== undefined) return;
    await this.#checkReferences(info, signal);
    await this.#prepare();
    await using spool = new SpoolFile(files.scratchDir, info.path);
    const spooled = await spoolNar(info, nar, { ...parameters, spool, ...options });
    const narInfo = this.#narInfoFor(info, spooled);
    await this.#writeIndexes(narInfo, spooled, signal);
    if (options.isRepair === true || !(await files.has(narInfo.url, signal)))
      await files.write(narInfo.url, spooled.content, {
        signal,
        onRetry: options.onRetry,
        contentType: "application/x-nix-nar",
      });
    // Last: who sees a narinfo finds what it names.
    await this.#writeNarInfo(narInfo, signal);
  }

  async queryAllPaths(signal?: AbortSignal): Promise<readonly StorePath[]> {
    const { files, settings } = this.#parts;
    if (files.list === undefined)
      throw new DevshellError("STORE_UNSUPPORTED", `binary cache '${this.url}' cannot tell all its paths`);
    const names = (await files.list()).filter((name) => /^[0-9a-z]{32}\.narinfo$/.test(name));
    const paths: StorePath[] = [];
    for (const name of names) {
      const bytes = await files.read(name, { maxBytes: MAX_INFO_BYTES, signal });
      // Deleted since they were listed.
      if (bytes === undefined) continue;
      const info = parseNarInfo(settings.storeDir, bytes.toString("latin1"), `${this.url}/${name}`);
      this.#known.set(info.path, Promise.resolve(info));
      paths.push(info.path);
    }
    return sortedPaths(paths);
  }

  async addSignatures(path: StorePath, signatures: readonly string[], signal?: AbortSignal): Promise<void> {
    const info = await this.#narInfo(path, signal);
    if (info === undefined) throw new DevshellError("STORE_PATH_NOT_VALID", `path '${path}' is not valid`);
    await this.#writeNarInfo(
      { ...info, signatures: sortedSignatures([...info.signatures, ...signatures]) },
      signal,
    );
  }

  readLog(drvPath: StorePath, signal?: AbortSignal): Promise<Buffer | undefined> {
    return this.#parts.files.read(`log/${storePathBaseName(drvPath)}`, { maxBytes: MAX_LOG_BYTES, signal });
  }

  async addLog(drvPath: StorePath, log: Uint8Array, signal?: AbortSignal): Promise<void> {
    await this.#prepare();
    await this.#parts.files.write(
      `log/${storePathBaseName(drvPath)}`,
      { bytes: log },
      { signal, contentType: "text/plain; charset=utf-8" },
    );
  }

  async queryRealisation(
    key: Pick<Realisation, "drvPath" | "output">,
    signal?: AbortSignal,
  ): Promise<Realisation | undefined> {
    const { files, settings, disk, isTarget } = this.#parts;
    const remembered = isTarget ? undefined : disk?.lookupRealisation(key);
    if (remembered !== undefined) return remembered === "absent" ? undefined : remembered;
    const name = realisationPlace(key);
    const bytes = await files.read(name, { maxBytes: MAX_INFO_BYTES, signal });
    const realisation =
      bytes === undefined
        ? undefined
        : parseRealisation(settings.storeDir, key, bytes.toString("utf8"), `${this.url}/${name}`);
    disk?.insertRealisation(key, realisation);
    return realisation;
  }

  async queryOlderRealisation(id: string, signal?: AbortSignal): Promise<OlderRealisation | undefined> {
    const { files, settings } = this.#parts;
    const name = olderRealisationPlace(id);
    const bytes = await files.read(name, { maxBytes: MAX_INFO_BYTES, signal });
    if (bytes === undefined) return undefined;
    return parseOlderRealisation(settings.storeDir, id, bytes.toString("utf8"), `${this.url}/${name}`);
  }

  async addRealisation(realisation: Realisation, { signal }: AddRealisationOptions = {}): Promise<void> {
    const { files, disk } = this.#parts;
    await this.#prepare();
    await files.write(
      realisationPlace(realisation),
      { bytes: Buffer.from(printRealisation(realisation)) },
      { signal, contentType: "application/json" },
    );
    disk?.insertRealisation(realisation, realisation);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#parts.disk?.[Symbol.dispose]();
    return Promise.resolve();
  }

  #narInfo(path: StorePath, signal: AbortSignal | undefined): Promise<NarInfo | undefined> {
    const known = this.#known.get(path);
    if (known !== undefined) return known;
    const answer = this.#askNarInfo(path, signal);
    this.#known.set(path, answer);
    // A failure is no answer: the next one asks again.
    answer.catch(() => this.#known.delete(path));
    return answer;
  }

  async #askNarInfo(path: StorePath, signal: AbortSignal | undefined): Promise<NarInfo | undefined> {
    const { settings, files, disk, isTarget } = this.#parts;
    const hashPart = storePathHashPart(path);
    const remembered = isTarget ? undefined : disk?.lookup(hashPart);
    if (remembered === "absent") return undefined;
    if (remembered?.path === path) return remembered;
    const name = `${hashPart}.narinfo`;
    const bytes = await files.read(name, { maxBytes: MAX_INFO_BYTES, signal });
    if (bytes === undefined) {
      disk?.insert(hashPart, undefined);
      return undefined;
    }
    const info = parseNarInfo(settings.storeDir, bytes.toString("latin1"), `${this.url}/${name}`);
    if (info.path !== path) throw this.#error(`asked for '${path}' but got '${info.path}'`);
    disk?.insert(hashPart, info);
    return info;
  }

  async *#bounded(source: AsyncIterable<Buffer>, info: NarInfo): AsyncIterable<Buffer> {
    let sizeBytes = 0;
    for await (const chunk of source) {
      sizeBytes += chunk.length;
      if (sizeBytes > info.narSizeBytes)
        throw this.#error(
          `the NAR of '${info.path}' is larger than the ${info.narSizeBytes} bytes announced`,
        );
      yield chunk;
    }
  }

  async #checkReferences(
    { path, references }: IncomingPathInfo,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    for (const reference of references)
      if (reference !== path && (await this.#narInfo(reference, signal)) === undefined)
        throw new DevshellError(
          "STORE_REFERENCE_INVALID",
          `cannot add '${path}' to the binary cache because the reference '${reference}' is not valid`,
        );
  }

  #narInfoFor(info: IncomingPathInfo, spooled: SpooledNar): NarInfo {
    const { compression, keys } = this.#parts.parameters;
    const { fileHash, fileSizeBytes, narSizeBytes } = spooled;
    const { path, deriver, narHash, references, contentAddress } = info;
    const unsigned = {
      path,
      deriver,
      narHash,
      narSizeBytes,
      references: sortedPaths(references),
      contentAddress,
    };
    return {
      ...unsigned,
      url: `nar/${formatHash(fileHash, "nix32")}.nar${ENDINGS[compression]}`,
      compression,
      fileHash,
      fileSizeBytes,
      signatures: sortedSignatures([
        ...(info.signatures ?? []),
        ...keys.map((key) => signPathInfo(unsigned, key)),
      ]),
    };
  }

  async #writeIndexes(
    info: NarInfo,
    { listing }: SpooledNar,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { files, parameters } = this.#parts;
    const options = { signal, contentType: "application/json" };
    if (parameters.hasListings)
      await files.write(
        `${storePathHashPart(info.path)}.ls`,
        { bytes: Buffer.from(printNarListing(listing)) },
        options,
      );
    if (!parameters.hasDebugIndex) return;
    for (const [buildId, member] of debugFilesIn(listing)) {
      const name = `debuginfo/${buildId}`;
      if (await files.has(name, signal)) continue;
      const text = JSON.stringify({ archive: `../${info.url}`, member });
      await files.write(name, { bytes: Buffer.from(text) }, options);
    }
  }

  async #writeNarInfo(info: NarInfo, signal: AbortSignal | undefined): Promise<void> {
    const { files, disk } = this.#parts;
    const hashPart = storePathHashPart(info.path);
    await files.write(
      `${hashPart}.narinfo`,
      { bytes: Buffer.from(printNarInfo(info), "latin1") },
      { signal, contentType: "text/x-nix-narinfo" },
    );
    this.#known.set(info.path, Promise.resolve(info));
    disk?.insert(hashPart, info);
  }

  #prepare(): Promise<void> {
    const { files } = this.#parts;
    this.#preparation ??= (async () => {
      await files.initialise?.();
      await mkdir(fsPath(files.scratchDir), { recursive: true });
      await removeDeadSpools(files.scratchDir);
    })();
    return this.#preparation;
  }

  #error(why: string): DevshellError {
    return invalidFile(this.url, why);
  }
}

async function readCacheInfo({ settings, files, isTarget, signal }: BinaryCacheParts): Promise<CacheInfo> {
  const bytes = await files.read(CACHE_INFO_FILE, { maxBytes: MAX_INFO_BYTES, ...FIRST_CONTACT, signal });
  if (bytes === undefined) {
    if (!isTarget)
      throw new DevshellError("CACHE_UNUSABLE", `'${files.url}' does not appear to be a binary cache`, {
        hint: `it has no file "${CACHE_INFO_FILE}"${files.isReadOnly === true ? ", and uploading to it is not supported" : ""}`,
      });
    await files.initialise?.();
    const text = printCacheInfo(settings.storeDir);
    await files.write(
      CACHE_INFO_FILE,
      { bytes: Buffer.from(text, "latin1") },
      { signal, contentType: "text/x-nix-cache-info" },
    );
    return parseCacheInfo(text);
  }
  const info = parseCacheInfo(bytes.toString("latin1"));
  if (info.storeDir !== undefined && info.storeDir !== settings.storeDir)
    throw new DevshellError(
      "CACHE_UNUSABLE",
      `binary cache '${files.url}' is for Nix stores with prefix '${info.storeDir}', not '${settings.storeDir}'`,
    );
  return info;
}

/** Hashing a large file twice takes longer than all else; of a small one it is told more exactly what is wrong. */
const HASHED_ONCE_BYTES = 1 << 20;

function isNarItself({ compression, fileHash, narHash, narSizeBytes }: NarInfo): boolean {
  return (
    compression === "none" &&
    narSizeBytes >= HASHED_ONCE_BYTES &&
    fileHash?.digest.equals(narHash.digest) === true
  );
}

function pathInfoOf(info: NarInfo): RemotePathInfo {
  const { path, deriver, narHash, narSizeBytes, references, signatures, contentAddress } = info;
  return {
    path,
    deriver,
    narHash,
    narSizeBytes,
    references,
    registrationTime: 0,
    isUltimate: false,
    signatures,
    contentAddress,
    narFile: {
      url: info.url,
      compression: info.compression,
      hash: info.fileHash,
      sizeBytes: info.fileSizeBytes,
    },
  };
}
