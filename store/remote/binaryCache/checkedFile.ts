import { DevshellError, formatHash, hashStream, type Hash } from "../../../core/index.ts";
import type { WantedFile } from "./cacheFiles.ts";

/**
 * Hands on a compressed NAR's bytes; at their end it is known whether they are those announced.
 * @throws {DevshellError} `CACHE_INVALID` while it is read
 */
export async function* checkedFile(
  cache: string,
  wanted: WantedFile,
  source: AsyncIterable<Buffer>,
): AsyncIterable<Buffer> {
  const running = wanted.isHashedByReader === true ? undefined : hashStream("sha256");
  let sizeBytes = 0;
  for await (const chunk of source) {
    sizeBytes += chunk.length;
    if (sizeBytes > wanted.maxBytes)
      throw wrongSize(cache, wanted, `more than the ${wanted.maxBytes} allowed`);
    running?.update(chunk);
    yield chunk;
  }
  checkFile(cache, wanted, running?.digest(), sizeBytes);
}

/**
 * @param hash `undefined` where whoever reads it checks it
 * @throws {DevshellError} `CACHE_INVALID`
 */
export function checkFile(
  cache: string,
  wanted: WantedFile,
  hash: Hash | undefined,
  sizeBytes: number,
): void {
  const isWrongSize = wanted.sizeBytes !== undefined && wanted.sizeBytes !== sizeBytes;
  const found = `${sizeBytes} bytes where ${wanted.sizeBytes} were announced`;
  if (wanted.hash !== undefined && hash !== undefined && !wanted.hash.digest.equals(hash.digest))
    throw invalidFile(
      cache,
      `hash mismatch in file '${wanted.url}'${isWrongSize ? `, which has ${found}` : ""}:\n` +
        `  specified: ${formatHash(wanted.hash, "sri")}\n     got:    ${formatHash(hash, "sri")}`,
    );
  if (isWrongSize) throw wrongSize(cache, wanted, found);
}

function wrongSize(cache: string, wanted: WantedFile, found: string): DevshellError {
  return invalidFile(cache, `file '${wanted.url}' has ${found}`);
}

export function invalidFile(cache: string, why: string): DevshellError {
  return new DevshellError("CACHE_INVALID", `binary cache '${cache}': ${why}`);
}

export const ABSENT_FILE = "CACHE_FILE_ABSENT";

/** A narinfo's promise that is not kept: whoever wanted the file may go on without this cache. */
export function absentFile(cache: string, name: string): DevshellError {
  return new DevshellError(ABSENT_FILE, `file '${name}' does not exist in binary cache '${cache}'`);
}
