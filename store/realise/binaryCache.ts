import { createReadStream } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { DevshellError, fsPath, formatHash, hashBytes } from "../../core/index.ts";
import { parseNarInfo, type NarInfo } from "../format/narInfo.ts";
import { storePathHashPart } from "../format/storePath.ts";
import type { Realisation, StorePath, StoreSettings } from "../types.ts";
import { downloadsDir } from "./builtins/fetchurl.ts";
import { fetchRealisation } from "./cacheRealisations.ts";
import {
  decompress,
  isCompression,
  downloadToFile,
  fetchBytes,
  isNotFound,
  type TransferOptions,
} from "../../io/index.ts";

/** Somewhere that has store paths ready. */
export interface Substituter {
  readonly url: string;
  /** Lower is asked first. */
  readonly priority: number;
  /** What it offers needs no signature (`?trusted=1`). */
  readonly isTrusted: boolean;
  /** @returns `undefined` where it lacks the path */
  query(path: StorePath, signal?: AbortSignal): Promise<NarInfo | undefined>;
  /** Downloads, checks and unpacks the compressed NAR; hands out the NAR's bytes. */
  openNar(info: NarInfo, options: TransferOptions): Promise<NarDownload>;
  /** What an output turned out to be; `undefined` where it is not known there. Absent where nothing of that is kept. */
  queryRealisation?(
    key: Pick<Realisation, "drvPath" | "output">,
    signal?: AbortSignal,
  ): Promise<Realisation | undefined>;
}

export interface NarDownload {
  readonly nar: AsyncIterable<Buffer>;
  /** Removes what was downloaded, once the path is registered. */
  discard(): Promise<void>;
}

const MAX_INFO_BYTES = 1 << 20;
const DEFAULT_PRIORITY = 50;
/** A compressed file may be larger than its content, but not by much. */
const MAX_EXPANSION_BYTES = 1 << 20;
const FEW_ATTEMPTS = 3;

/**
 * Opens a cache of Nix's format at `file://…` or `http(s)://…`; parameters: `priority`, `trusted`, `want-mass-query`.
 * @throws {DevshellError} `CACHE_UNUSABLE` where it is no binary cache, or one for another store directory
 */
export async function openBinaryCache(
  settings: StoreSettings,
  url: string,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<Substituter> {
  const { base, parameters } = splitCacheUrl(url);
  const text = (
    await fetchBytes({
      url: `${base}/nix-cache-info`,
      maxBytes: MAX_INFO_BYTES,
      // Nobody waits long for a cache that may be out of reach.
      attempts: 2,
      connectTimeoutMs: 5000,
      signal,
    })
  ).toString("latin1");
  const fields = new Map(
    text.split("\n").flatMap((line) => {
      const colon = line.indexOf(":");
      return colon < 0 ? [] : [[line.slice(0, colon), line.slice(colon + 1).trim()] as const];
    }),
  );
  const storeDir = fields.get("StoreDir");
  if (storeDir !== undefined && storeDir !== settings.storeDir)
    throw new DevshellError(
      "CACHE_UNUSABLE",
      `binary cache '${url}' is for Nix stores with prefix '${storeDir}', not '${settings.storeDir}'`,
    );
  const priority = Number(parameters.get("priority") ?? fields.get("Priority") ?? DEFAULT_PRIORITY);
  return new BinaryCache(settings, base, {
    url,
    priority: Number.isFinite(priority) ? priority : DEFAULT_PRIORITY,
    isTrusted: ["1", "true"].includes(parameters.get("trusted") ?? ""),
  });
}

interface CacheTraits {
  readonly url: string;
  readonly priority: number;
  readonly isTrusted: boolean;
}

class BinaryCache implements Substituter {
  readonly url: string;
  readonly priority: number;
  readonly isTrusted: boolean;
  readonly #settings: StoreSettings;
  readonly #base: string;
  /** What was asked before in this process, absences too. */
  readonly #known = new Map<StorePath, Promise<NarInfo | undefined>>();

  constructor(settings: StoreSettings, base: string, { url, priority, isTrusted }: CacheTraits) {
    this.#settings = settings;
    this.#base = base;
    this.url = url;
    this.priority = priority;
    this.isTrusted = isTrusted;
  }

  query(path: StorePath, signal?: AbortSignal): Promise<NarInfo | undefined> {
    const known = this.#known.get(path);
    if (known !== undefined) return known;
    const answer = this.#fetchInfo(path, signal);
    this.#known.set(path, answer);
    // A failure is no answer: the next one asks again.
    answer.catch(() => this.#known.delete(path));
    return answer;
  }

  async openNar(info: NarInfo, options: TransferOptions): Promise<NarDownload> {
    const { compression } = info;
    if (!isCompression(compression))
      throw this.#error(`'${info.path}' is compressed with '${compression}', which is not built yet`);
    const url = /^[a-z]+:\/\//.test(info.url) ? info.url : `${this.#base}/${info.url}`;
    if (/(^|\/)\.\.(\/|$)/.test(info.url)) throw this.#error(`URL '${info.url}' leads out of the cache`);
    const directory = downloadsDir(this.#settings.stateDir);
    await mkdir(fsPath(directory), { recursive: true });
    const key = formatHash(info.fileHash ?? hashBytes("sha256", `${url}\0${info.path}`), "nix32");
    const file = join(directory, `${storePathHashPart(info.path)}-${key.slice(0, 16)}.nar`);
    const maxBytes = info.fileSizeBytes ?? info.narSizeBytes + MAX_EXPANSION_BYTES;
    let resumedBytes: number | undefined;
    for (let isFirst = true; ; isFirst = false) {
      const { hash, sizeBytes } = await downloadToFile({
        ...options,
        url,
        file,
        maxBytes,
        hash: "sha256",
        onProgress: (doneBytes, totalBytes) => {
          resumedBytes ??= doneBytes;
          options.onProgress?.(doneBytes, info.fileSizeBytes ?? totalBytes);
        },
      });
      const isSizeRight = info.fileSizeBytes === undefined || info.fileSizeBytes === sizeBytes;
      const isHashRight = info.fileHash === undefined || info.fileHash.digest.equals(hash.digest);
      if (isSizeRight && isHashRight) break;
      await rm(fsPath(file), { force: true });
      if (isFirst && (resumedBytes ?? 0) > 0) continue;
      throw this.#error(
        isSizeRight
          ? `hash mismatch in file '${info.url}' of '${info.path}':\n  specified: ${formatHash(info.fileHash ?? hash, "sri")}\n     got:    ${formatHash(hash, "sri")}`
          : `file '${info.url}' of '${info.path}' has ${sizeBytes} bytes where ${info.fileSizeBytes} were announced`,
      );
    }
    const source = createReadStream(fsPath(file), { highWaterMark: 1 << 20 });
    return {
      nar: this.#bounded(decompress(compression, source, { signal: options.signal }), info),
      discard: () => rm(fsPath(file), { force: true }),
    };
  }

  queryRealisation(
    key: Pick<Realisation, "drvPath" | "output">,
    signal?: AbortSignal,
  ): Promise<Realisation | undefined> {
    return fetchRealisation(this.#settings.storeDir, this.#base, key, signal);
  }

  async *#bounded(source: AsyncIterable<Buffer>, info: NarInfo): AsyncIterable<Buffer> {
    let size = 0;
    for await (const chunk of source) {
      size += chunk.length;
      if (size > info.narSizeBytes)
        throw this.#error(
          `the NAR of '${info.path}' is larger than the ${info.narSizeBytes} bytes announced`,
        );
      yield chunk;
    }
  }

  async #fetchInfo(path: StorePath, signal: AbortSignal | undefined): Promise<NarInfo | undefined> {
    const url = `${this.#base}/${storePathHashPart(path)}.narinfo`;
    let bytes: Buffer;
    try {
      bytes = await fetchBytes({ url, maxBytes: MAX_INFO_BYTES, attempts: FEW_ATTEMPTS, signal });
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
    const info = parseNarInfo(this.#settings.storeDir, bytes.toString("latin1"), url);
    if (info.path !== path) throw this.#error(`asked for '${path}' but got '${info.path}'`);
    return info;
  }

  #error(why: string): DevshellError {
    return new DevshellError("CACHE_INVALID", `binary cache '${this.url}': ${why}`);
  }
}

function splitCacheUrl(url: string): { readonly base: string; readonly parameters: URLSearchParams } {
  const [address = "", query = ""] = url.split("?", 2);
  const base = address.startsWith("/") ? `file://${address}` : address;
  if (!/^(?:file|https?):\/\//.test(base))
    throw new DevshellError("CACHE_UNUSABLE", `substituter '${url}' is of a kind that is not built yet`, {
      hint: "file://, http:// and https:// binary caches work",
    });
  return { base: base.replace(/\/+$/, ""), parameters: new URLSearchParams(query) };
}
