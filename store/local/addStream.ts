import { DevshellError, hashStream, type ByteString, type Hash } from "../../core/index.ts";
import { parseContentAddress } from "../format/contentAddress.ts";
import { NarRestorer, asBuffer } from "../format/narRestore.ts";
import { isDerivationPath, makeFixedOutputPath, sortedPaths, storePathName } from "../format/storePath.ts";
import type { NarDigest } from "../format/nar.ts";
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
  const { signal, isRepair = false } = options;
  holdReferences(store, info);
  using locks = options.isLocked === true ? undefined : await store.lockPaths([info.path], { signal });
  const existing = isRepair ? undefined : store.queryPathInfo(info.path);
  if (existing !== undefined) {
    locks?.discard();
    return existing;
  }
  const scratch = store.makeScratchPath();
  try {
    const nar = await unpack(scratch, source, options, (sizeBytes) => {
      if (info.narSizeBytes > 0 && sizeBytes > info.narSizeBytes) throw sizeMismatch(info, sizeBytes);
    });
    if (info.narSizeBytes > 0 && nar.sizeBytes !== info.narSizeBytes) throw sizeMismatch(info, nar.sizeBytes);
    if (!nar.hash.digest.equals(info.narHash.digest)) throw importMismatch(info.path, info.narHash, nar.hash);
    const valid = register(store, info, scratch, nar, isRepair);
    locks?.discard();
    return valid;
  } finally {
    deleteTree(scratch);
  }
}

/**
 * Adds a path whose NAR comes before its name and references, which `describe` is asked for once that has been read.
 * What is there already is read and dropped.
 * @throws {DevshellError} `NAR_…`, `STORE_REFERENCE_INVALID`; then nothing is registered
 */
export async function addStreamNamedLater(
  store: StoreAccess,
  source: AsyncIterable<Uint8Array>,
  describe: () => Promise<Omit<IncomingPathInfo, "narHash" | "narSizeBytes">>,
): Promise<ValidPathInfo> {
  const scratch = store.makeScratchPath();
  try {
    const nar = await unpack(scratch, source, {});
    const info = { ...(await describe()), narHash: nar.hash, narSizeBytes: nar.sizeBytes };
    holdReferences(store, info);
    using locks = await store.lockPaths([info.path], {});
    const valid = store.queryPathInfo(info.path) ?? register(store, info, scratch, nar, false);
    locks.discard();
    return valid;
  } finally {
    deleteTree(scratch);
  }
}

function holdReferences(store: StoreAccess, info: IncomingPathInfo): void {
  // What it refers to stays until it is registered itself, whoever collects meanwhile.
  store.addTempRoots([info.path, ...info.references]);
  // Known before anything is downloaded: registering would fail at the end.
  for (const reference of info.references)
    if (reference !== info.path && !store.isValidPath(reference))
      throw new DevshellError(
        "STORE_REFERENCE_INVALID",
        `Cannot import "${info.path}": it refers to "${reference}", which is not valid`,
      );
}

async function unpack(
  scratch: ByteString,
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { signal, onProgress }: Pick<AddStreamOptions, "signal" | "onProgress">,
  checkSize?: (sizeBytes: number) => void,
): Promise<NarDigest> {
  const running = hashStream("sha256");
  let sizeBytes = 0;
  using restorer = new NarRestorer(scratch, { isCanonical: true });
  for await (const part of source) {
    signal?.throwIfAborted();
    const chunk = asBuffer(part);
    sizeBytes += chunk.length;
    checkSize?.(sizeBytes);
    running.update(chunk);
    restorer.push(chunk);
    onProgress?.(sizeBytes);
  }
  restorer.end();
  return { hash: running.digest(), sizeBytes };
}

/** Checks what was unpacked, as far as its NAR does not tell, and makes it the path. */
function register(
  store: StoreAccess,
  info: IncomingPathInfo,
  scratch: ByteString,
  nar: NarDigest,
  isRepair: boolean,
): ValidPathInfo {
  if (info.contentAddress !== undefined) checkContentAddress(store.storeDir, info, scratch, nar.hash);
  if (isDerivationPath(info.path)) store.checkDerivation(info.path, scratch);
  const valid: ValidPathInfo = {
    path: info.path,
    deriver: info.deriver,
    narHash: nar.hash,
    narSizeBytes: nar.sizeBytes,
    references: sortedPaths(info.references),
    registrationTime: 0,
    isUltimate: info.isUltimate ?? false,
    signatures: info.signatures ?? [],
    contentAddress: info.contentAddress,
  };
  store.moveIntoPlace(scratch, info.path, isRepair);
  store.registerValidPaths([valid], isRepair);
  return valid;
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
