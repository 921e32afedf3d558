import { DevshellError, hashStream, type ByteString, type Hash } from "../../core/index.ts";
import { parseContentAddress } from "../format/contentAddress.ts";
import { NarRestorer, asBuffer } from "../format/narRestore.ts";
import { isDerivationPath, makeFixedOutputPath, sortedPaths, storePathName } from "../format/storePath.ts";
import type { ValidPathInfo } from "../types.ts";
import type { StoreAccess } from "./access.ts";
import { hashMismatch, hashWithoutSelf, importMismatch } from "./contentHash.ts";
import { deleteTree } from "./files.ts";
import type { AddStreamOptions, IncomingPathInfo } from "./types.ts";

/**
 * Adds a path whose hash is known beforehand from its NAR (substitution, copying, import).
 * @throws {DevshellError} `STORE_HASH_MISMATCH`, `STORE_SIZE_MISMATCH`, `NAR_…`; then nothing is registered
 */
export async function addStream(
  store: StoreAccess,
  info: IncomingPathInfo,
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: AddStreamOptions,
): Promise<ValidPathInfo> {
  const { signal, isRepair = false, onProgress } = options;
  // What it refers to stays until it is registered itself, whoever collects meanwhile.
  store.addTempRoots([info.path, ...info.references]);
  // Known before anything is downloaded: registering would fail at the end.
  for (const reference of info.references)
    if (reference !== info.path && !store.isValidPath(reference))
      throw new DevshellError(
        "STORE_REFERENCE_INVALID",
        `Cannot import "${info.path}": it refers to "${reference}", which is not valid`,
      );
  using locks = options.isLocked === true ? undefined : await store.lockPaths([info.path], { signal });
  const existing = isRepair ? undefined : store.queryPathInfo(info.path);
  if (existing !== undefined) {
    locks?.discard();
    return existing;
  }
  const scratch = store.makeScratchPath();
  try {
    const running = hashStream("sha256");
    let sizeBytes = 0;
    using restorer = new NarRestorer(scratch, { isCanonical: true });
    for await (const part of source) {
      signal?.throwIfAborted();
      const chunk = asBuffer(part);
      sizeBytes += chunk.length;
      if (info.narSizeBytes > 0 && sizeBytes > info.narSizeBytes) throw sizeMismatch(info, sizeBytes);
      running.update(chunk);
      restorer.push(chunk);
      onProgress?.(sizeBytes);
    }
    restorer.end();
    if (info.narSizeBytes > 0 && sizeBytes !== info.narSizeBytes) throw sizeMismatch(info, sizeBytes);
    const narHash = running.digest();
    if (!narHash.digest.equals(info.narHash.digest)) throw importMismatch(info.path, info.narHash, narHash);
    if (info.contentAddress !== undefined) checkContentAddress(store.storeDir, info, scratch, narHash);
    if (isDerivationPath(info.path)) store.checkDerivation(info.path, scratch);
    const valid: ValidPathInfo = {
      path: info.path,
      deriver: info.deriver,
      narHash,
      narSizeBytes: sizeBytes,
      references: sortedPaths(info.references),
      registrationTime: 0,
      isUltimate: info.isUltimate ?? false,
      signatures: info.signatures ?? [],
      contentAddress: info.contentAddress,
    };
    store.moveIntoPlace(scratch, info.path, isRepair);
    store.registerValidPaths([valid], isRepair);
    locks?.discard();
    return valid;
  } finally {
    deleteTree(scratch);
  }
}

function checkContentAddress(
  storeDir: string,
  info: IncomingPathInfo,
  scratch: ByteString,
  narHash: Hash,
): void {
  const address = parseContentAddress(info.contentAddress ?? "");
  if (address.method === "git")
    throw new DevshellError(
      "STORE_GIT_HASHING",
      `Cannot import "${info.path}": git hashing is not built yet`,
    );
  const references = info.references.filter((reference) => reference !== info.path);
  const isSelfReferring = references.length < info.references.length;
  const expected = makeFixedOutputPath(storeDir, storePathName(info.path), {
    ...address,
    references,
    isSelfReferring,
  });
  if (expected !== info.path)
    throw new DevshellError(
      "STORE_CA_MISMATCH",
      `Cannot import "${info.path}": its content address "${info.contentAddress}" belongs to "${expected}"`,
    );
  const { method, hash } = address;
  // Content that does not name its own path, as nearly all: this is what was hashed on its way.
  if (method === "nar" && hash.algorithm === "sha256" && hash.digest.equals(narHash.digest)) return;
  const actual = hashWithoutSelf(scratch, method, hash.algorithm, info.path);
  if (!actual.digest.equals(hash.digest)) throw hashMismatch(info.path, hash, actual);
}

function sizeMismatch(info: IncomingPathInfo, sizeBytes: number): DevshellError {
  const got = sizeBytes > info.narSizeBytes ? "more" : `${sizeBytes}`;
  return new DevshellError(
    "STORE_SIZE_MISMATCH",
    `Cannot import "${info.path}": expected ${info.narSizeBytes} bytes but found ${got}`,
  );
}
