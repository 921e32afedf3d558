import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable, type Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createBrotliCompress, createGzip, createZstdCompress } from "node:zlib";
import { DevshellError, formatHash, fsPath, hashStream, type ByteString } from "../../core/index.ts";
import { narChunks } from "../format/nar.ts";
import { printNarInfo, signPathInfo, type SecretKey } from "../format/narInfo.ts";
import { storePathHashPart } from "../format/storePath.ts";
import type { StorePath, ValidPathInfo } from "../types.ts";

/** How NARs may be compressed here, the file's ending, and what does it. */
const WRITERS: Readonly<Record<string, { readonly ending: string; readonly make?: () => Transform }>> = {
  none: { ending: "" },
  zstd: { ending: ".zst", make: createZstdCompress },
  gzip: { ending: ".gz", make: createGzip },
  br: { ending: ".br", make: createBrotliCompress },
};
const DEFAULT_COMPRESSION = "zstd";

export interface CacheTarget {
  readonly directory: string;
  readonly storeDir: string;
  readonly compression: string;
  readonly secretKey?: SecretKey | undefined;
}

/**
 * Reads `file://DIRECTORY[?compression=…]`, an address of a binary cache on this machine.
 * @throws {DevshellError} `CACHE_UNUSABLE`
 */
export function cacheTargetOf(
  url: string,
  storeDir: string,
  readKey: (file: string) => SecretKey,
): CacheTarget {
  const [address = "", query = ""] = url.slice("file://".length).split("?", 2);
  const parameters = new URLSearchParams(query);
  const compression = parameters.get("compression") || DEFAULT_COMPRESSION;
  if (!address.startsWith("/"))
    throw new DevshellError(
      "CACHE_UNUSABLE",
      `Cannot use the binary cache "${url}": its path is not absolute`,
    );
  if (WRITERS[compression] === undefined)
    throw new DevshellError(
      "CACHE_UNUSABLE",
      `Cannot use the binary cache "${url}": compressing by ${compression} is not built yet`,
      { hint: `there are ${Object.keys(WRITERS).join(", ")}` },
    );
  const keyFile = parameters.get("secret-key");
  return {
    directory: address,
    storeDir,
    compression,
    secretKey: keyFile === null ? undefined : readKey(keyFile),
  };
}

/** Whether a cache has a path already. */
export function isCached({ directory }: CacheTarget, path: StorePath): boolean {
  return existsSync(join(directory, `${storePathHashPart(path)}.narinfo`));
}

/** Makes the cache's description where it is missing. */
export function initialiseCache({ directory, storeDir }: CacheTarget): void {
  mkdirSync(join(directory, "nar"), { recursive: true });
  const file = join(directory, "nix-cache-info");
  if (!existsSync(file)) writeFileSync(file, `StoreDir: ${storeDir}\n`);
}

/** Writes a store object's compressed NAR, then its narinfo: who sees the one finds the other. */
export async function writeToCache(
  target: CacheTarget,
  info: ValidPathInfo,
  realPath: ByteString,
): Promise<void> {
  const { directory, compression, secretKey } = target;
  const writer = WRITERS[compression]!;
  const scratch = join(directory, `nar/.${storePathHashPart(info.path)}.${process.pid}`);
  await mkdir(join(directory, "nar"), { recursive: true });
  try {
    const nar = Readable.from(copies(narChunks(realPath)));
    if (writer.make === undefined) await pipeline(nar, createWriteStream(scratch));
    else await pipeline(nar, writer.make(), createWriteStream(scratch));
    const running = hashStream("sha256");
    let fileSizeBytes = 0;
    for await (const chunk of createReadStream(fsPath(scratch))) {
      running.update(chunk as Buffer);
      fileSizeBytes += (chunk as Buffer).length;
    }
    const fileHash = running.digest();
    const url = `nar/${formatHash(fileHash, "nix32")}.nar${writer.ending}`;
    await rename(scratch, join(directory, url));
    const signatures =
      secretKey === undefined ? info.signatures : [...info.signatures, signPathInfo(info, secretKey)];
    const file = join(directory, `${storePathHashPart(info.path)}.narinfo`);
    const text = printNarInfo({ ...info, url, compression, fileHash, fileSizeBytes, signatures });
    writeFileSync(`${file}.${process.pid}`, text, "latin1");
    renameSync(`${file}.${process.pid}`, file);
  } finally {
    await rm(scratch, { force: true });
  }
}

/** Chunks may be views of a buffer that is used again. */
function* copies(chunks: Iterable<Uint8Array>): Generator<Buffer> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}
