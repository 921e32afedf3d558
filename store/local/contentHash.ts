import { closeSync, fstatSync, lstatSync, openSync, readSync } from "node:fs";
import {
  DevshellError,
  formatHash,
  fsPath,
  hashStream,
  type ByteString,
  type Hash,
  type HashAlgorithm,
} from "../../core/index.ts";
import { narChunks } from "../format/nar.ts";
import { HashRewriter } from "../format/rewrite.ts";
import { storePathHashPart } from "../format/storePath.ts";
import type { IngestionMethod, StorePath } from "../types.ts";

const BUFFER_SIZE = 1 << 20;

/**
 * Hashes a regular file's bytes.
 * @throws {DevshellError} `STORE_NOT_REGULAR` for anything else, symlinks included
 */
export function hashFlat(path: ByteString, algorithm: HashAlgorithm): Hash {
  const running = hashStream(algorithm);
  for (const chunk of fileChunks(path)) running.update(chunk);
  return running.digest();
}

/** The bytes of a regular file in pieces that are only valid until the next is asked for. */
export function* fileChunks(path: ByteString): Generator<Buffer> {
  let fd: number;
  try {
    if (!lstatSync(fsPath(path)).isFile())
      throw new DevshellError("STORE_NOT_REGULAR", `Cannot hash "${path}" flat: it is not a regular file`);
    fd = openSync(fsPath(path), "r");
  } catch (error) {
    if (error instanceof DevshellError) throw error;
    throw new DevshellError("STORE_READ_FAILED", `Cannot read "${path}": ${(error as Error).message}`, {
      cause: error,
    });
  }
  try {
    const buffer = Buffer.allocUnsafe(Math.min(BUFFER_SIZE, Math.max(1, fstatSync(fd).size)));
    for (let count = readSync(fd, buffer); count > 0; count = readSync(fd, buffer))
      yield buffer.subarray(0, count);
  } finally {
    closeSync(fd);
  }
}

/** The content in the form that a method hashes: a NAR, or a file's bytes. */
export function contentChunks(path: ByteString, method: IngestionMethod): Generator<Buffer> {
  switch (method) {
    case "nar":
      return narChunks(path);
    case "flat":
    case "text":
      return fileChunks(path);
    case "git":
      throw new DevshellError("STORE_GIT_HASHING", `Cannot hash "${path}": git hashing is not built yet`);
  }
}

/**
 * Hashes content as its address needs it: where the path's own digest occurs it counts as zeros, and its places do.
 * (Nix 2.17 to 2.34 forgot the places; 2.35 and all before count them.)
 */
export function hashWithoutSelf(
  path: ByteString,
  method: IngestionMethod,
  algorithm: HashAlgorithm,
  self: StorePath,
): Hash {
  const hashPart = storePathHashPart(self);
  const running = hashStream(algorithm);
  const rewriter = new HashRewriter(new Map([[hashPart, "\0".repeat(hashPart.length)]]));
  for (const chunk of contentChunks(path, method))
    for (const piece of rewriter.push(chunk)) running.update(piece);
  for (const piece of rewriter.end()) running.update(piece);
  for (const offset of rewriter.offsets) running.update(Buffer.from(`|${offset}`));
  return running.digest();
}

/** As Nix words it where a path comes from elsewhere. */
export function importMismatch(path: StorePath, expected: Hash, actual: Hash): DevshellError {
  return new DevshellError(
    "STORE_HASH_MISMATCH",
    `hash mismatch importing path '${path}';\n  specified: ${formatHash(expected, "sri")}\n  got:       ${formatHash(actual, "sri")}`,
  );
}

export function hashMismatch(what: string, expected: Hash, actual: Hash): DevshellError {
  return new DevshellError(
    "STORE_HASH_MISMATCH",
    `Cannot use "${what}": its hash differs\n  specified: ${formatHash(expected, "sri")}\n  got:       ${formatHash(actual, "sri")}`,
  );
}
