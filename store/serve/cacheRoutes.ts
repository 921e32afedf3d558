import { createReadStream, existsSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { DevshellError, formatHash, fsPath, hashBytes, type ByteString } from "../../core/index.ts";
import { decompress, type Compression } from "../../io/index.ts";
import { narBytes, type ReadGate } from "../format/narPieces.ts";
import { printNarInfo, signPathInfo, type SecretKey } from "../format/narInfo.ts";
import { printOlderRealisation } from "../format/olderRealisation.ts";
import { printRealisation, signRealisation } from "../format/realisation.ts";
import { isDerivationPath, parseStorePathBaseName, storePathHashPart } from "../format/storePath.ts";
import type { OutputName, Realisation, StorePath, ValidPathInfo } from "../types.ts";
import { FOR_EVER, isKnown, notFound, rangeHeader, textAnswer, type Answer } from "./answer.ts";
import { readByteRange } from "./byteRange.ts";
import { OlderRealisations, type RealisedDerivations } from "./olderRealisations.ts";
import { SERVED_COMPRESSIONS, throughTransform, type ServedCompression } from "./compressBody.ts";

/** What is served; `LocalStore` is one. */
export interface ServedStore extends RealisedDerivations {
  readonly storeDir: string;
  queryPathInfo(path: StorePath): ValidPathInfo | undefined;
  queryPathFromHashPart(hashPart: string): StorePath | undefined;
  queryRealisation(drvPath: StorePath, output: OutputName): Realisation | undefined;
  realPath(path: ByteString): ByteString;
  /** Where a derivation's build log is, compressed or not (`.zst`, `.bz2` appended). */
  logPath(drvPath: StorePath): ByteString;
}

export interface CacheRoutesOptions {
  readonly store: ServedStore;
  readonly secretKeys: readonly SecretKey[];
  readonly priority: number;
  readonly compression: ServedCompression;
  readonly gate: ReadGate;
}

/** Signing takes a tenth of a millisecond, and what is asked for once is asked for by all. */
const KEPT_SIGNATURES = 20_000;
const NARINFO_MAX_AGE = "public, max-age=3600";

/** Answers requests by what a store holds, under the addresses of a binary cache; it only looks, and sends nothing. */
export class CacheRoutes {
  readonly #options: CacheRoutesOptions;
  readonly #signatures = new Map<string, readonly string[]>();
  readonly #older: OlderRealisations;

  constructor(options: CacheRoutesOptions) {
    this.#options = options;
    this.#older = new OlderRealisations(options.store);
  }

  answer(request: IncomingMessage): Answer {
    if (request.method !== "GET" && request.method !== "HEAD")
      return textAnswer(405, "only GET and HEAD\n", { allow: "GET, HEAD" });
    // No address is a path of a file: each is matched whole, and what it names is looked up in the database.
    const address = addressOf(request.url ?? "");
    if (address === "/nix-cache-info") return this.#cacheInfo();
    const [, infoHash] = /^\/([0-9a-z]{32})\.narinfo$/.exec(address) ?? [];
    if (infoHash !== undefined) return this.#narInfo(request, infoHash);
    const [, narPath, narHash, ending] =
      /^\/nar\/([0-9a-z]{32})-([0-9a-z]{52})\.nar(\.[a-z]{2,3})?$/.exec(address) ?? [];
    if (narPath !== undefined && narHash !== undefined)
      return this.#nar(request, { hashPart: narPath, narHash, ending: ending ?? "" });
    const [, logName] = /^\/log\/([0-9a-z]{32}-[0-9A-Za-z+\-._?=]{1,211})$/.exec(address) ?? [];
    if (logName !== undefined) return this.#log(logName);
    const [, drvName, output] =
      /^\/build-trace-v2\/([0-9a-z]{32}-[0-9A-Za-z+\-._?=]{1,207}\.drv)\/([0-9A-Za-z+\-._?=]{1,211})\.doi$/.exec(
        address,
      ) ?? [];
    if (drvName !== undefined && output !== undefined) return this.#realisation(drvName, output);
    const [, drvHash, olderOutput] =
      /^\/realisations\/sha256:([0-9a-f]{64})(?:!|%21)([0-9A-Za-z+\-._?=]{1,211})\.doi$/.exec(address) ?? [];
    if (drvHash !== undefined && olderOutput !== undefined)
      return this.#olderRealisation(drvHash, olderOutput);
    return notFound("no such file");
  }

  #cacheInfo(): Answer {
    const { store, priority } = this.#options;
    const text = `StoreDir: ${store.storeDir}\nWantMassQuery: 1\nPriority: ${priority}\n`;
    return textAnswer(200, text, { "cache-control": NARINFO_MAX_AGE }, "text/x-nix-cache-info");
  }

  #narInfo(request: IncomingMessage, hashPart: string): Answer {
    const info = this.#infoOf(hashPart);
    if (info === undefined) return notFound("no such path");
    const { compression } = this.#options;
    const text = printNarInfo({
      ...info,
      signatures: this.#signaturesOf(info),
      url: `nar/${hashPart}-${formatHash(info.narHash, "nix32")}.nar${SERVED_COMPRESSIONS[compression].ending}`,
      compression,
      ...(compression === "none" && { fileHash: info.narHash, fileSizeBytes: info.narSizeBytes }),
    });
    const etag = `"${formatHash(hashBytes("sha256", text), "nix32").slice(0, 26)}"`;
    const headers = { etag, "cache-control": NARINFO_MAX_AGE };
    if (isKnown(request, etag)) return { status: 304, headers };
    return textAnswer(200, text, headers, "text/x-nix-narinfo");
  }

  #nar(request: IncomingMessage, { hashPart, narHash, ending }: NarAddress): Answer {
    const { store, compression, gate } = this.#options;
    const { make, ending: ourEnding } = SERVED_COMPRESSIONS[compression];
    if (ending !== "" && ending !== ourEnding) return notFound("not compressed so");
    const info = this.#infoOf(hashPart);
    if (info === undefined || formatHash(info.narHash, "nix32") !== narHash) return notFound("no such NAR");
    const etag = `"${narHash}${ending}"`;
    const headers = { etag, "cache-control": FOR_EVER, "content-type": "application/x-nix-nar" };
    if (isKnown(request, etag)) return { status: 304, headers };
    const path = store.realPath(info.path);
    const sizeBytes = info.narSizeBytes;
    if (ending !== "" && make !== undefined)
      return {
        status: 200,
        headers: { ...headers, "accept-ranges": "none" },
        body: (signal) => throughTransform(narBytes(path, { end: sizeBytes, signal, gate }), make()),
        isCostly: true,
      };
    const range = readByteRange(rangeHeader(request, etag), sizeBytes);
    const ranged = { ...headers, "accept-ranges": "bytes" };
    switch (range.kind) {
      case "unsatisfiable":
        return { status: 416, headers: { ...ranged, "content-range": `bytes */${sizeBytes}` } };
      case "part": {
        const { start, end } = range;
        return {
          status: 206,
          headers: { ...ranged, "content-range": `bytes ${start}-${end - 1}/${sizeBytes}` },
          body: (signal) => narBytes(path, { start, end, signal, gate }),
          sizeBytes: end - start,
        };
      }
      case "whole":
        return {
          status: 200,
          headers: ranged,
          body: (signal) => narBytes(path, { end: sizeBytes, signal, gate }),
          sizeBytes,
        };
    }
  }

  #realisation(drvName: string, output: OutputName): Answer {
    const { store, secretKeys } = this.#options;
    const drvPath = pathOf(store, drvName);
    const known = drvPath === undefined ? undefined : store.queryRealisation(drvPath, output);
    if (known === undefined || store.queryPathInfo(known.outputPath) === undefined)
      return notFound("no such realisation");
    const own = secretKeys.map((key) => signRealisation(known, key));
    const text = printRealisation({ ...known, signatures: [...new Set([...known.signatures, ...own])] });
    return textAnswer(200, text, { "cache-control": NARINFO_MAX_AGE }, "application/json");
  }

  /** As Nix up to 2.34 asks for it. */
  #olderRealisation(drvHash: string, output: OutputName): Answer {
    const { store, secretKeys } = this.#options;
    const drvPath = this.#older.derivationOf(drvHash);
    const known = drvPath === undefined ? undefined : store.queryRealisation(drvPath, output);
    if (known === undefined || store.queryPathInfo(known.outputPath) === undefined)
      return notFound("no such realisation");
    const { outputPath } = known;
    const text = printOlderRealisation({ id: `sha256:${drvHash}!${output}`, outputPath }, secretKeys);
    return textAnswer(200, text, { "cache-control": NARINFO_MAX_AGE }, "application/json");
  }

  #log(baseName: string): Answer {
    const { store } = this.#options;
    const log = findLog(store, baseName);
    if (log === undefined) return notFound("no such log");
    return {
      status: 200,
      headers: { "content-type": "text/plain; charset=utf-8", "cache-control": "no-cache" },
      body: (signal) => decompress(log.compression, createReadStream(fsPath(log.file)), { signal }),
      isCostly: log.compression !== "none",
    };
  }

  /** @returns `undefined` also for a path of which too little is known */
  #infoOf(hashPart: string): ValidPathInfo | undefined {
    const { store } = this.#options;
    const path = store.queryPathFromHashPart(hashPart);
    const info = path === undefined ? undefined : store.queryPathInfo(path);
    return info === undefined || info.narSizeBytes === 0 ? undefined : info;
  }

  #signaturesOf(info: ValidPathInfo): readonly string[] {
    const { secretKeys } = this.#options;
    if (secretKeys.length === 0) return info.signatures;
    const key = `${storePathHashPart(info.path)}${formatHash(info.narHash, "base64")}`;
    let own = this.#signatures.get(key);
    if (own === undefined) {
      own = secretKeys.map((secretKey) => signPathInfo(info, secretKey));
      const [oldest] = this.#signatures.keys();
      if (this.#signatures.size >= KEPT_SIGNATURES && oldest !== undefined) this.#signatures.delete(oldest);
      this.#signatures.set(key, own);
    }
    return [...new Set([...info.signatures, ...own])];
  }
}

interface NarAddress {
  readonly hashPart: string;
  readonly narHash: string;
  readonly ending: string;
}

/** What stands before a query; a proxy may send the whole URL. */
function addressOf(target: string): string {
  const path = /^http:\/\/[^/?#]*(\/[^?#]*)/i.exec(target)?.[1] ?? target;
  const end = path.search(/[?#]/);
  return end < 0 ? path : path.slice(0, end);
}

function findLog(
  store: ServedStore,
  baseName: string,
): { readonly file: ByteString; readonly compression: Compression } | undefined {
  const drvPath = isDerivationPath(baseName) ? pathOf(store, baseName) : undefined;
  if (drvPath === undefined) return undefined;
  const path = store.logPath(drvPath);
  for (const [suffix, compression] of [
    ["", "none"],
    [".bz2", "bzip2"],
    [".zst", "zstd"],
  ] as const)
    if (existsSync(fsPath(path + suffix))) return { file: path + suffix, compression };
  return undefined;
}

/** @returns `undefined` for what is no name of a store path */
function pathOf({ storeDir }: ServedStore, baseName: string): StorePath | undefined {
  try {
    return parseStorePathBaseName(storeDir, baseName);
  } catch (error) {
    if (error instanceof DevshellError) return undefined;
    throw error;
  }
}
