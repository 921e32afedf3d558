import { open } from "node:fs/promises";
import { DevshellError, fsPath, hashStream, type ByteString, type Hash } from "../../core/index.ts";
import type { HashAlgorithm } from "../../core/index.ts";
import { formatContentAddress } from "../format/contentAddress.ts";
import { checkOutputPaths } from "../format/derivationHasher.ts";
import { hashNar } from "../format/nar.ts";
import { NarRestorer, asBuffer, writeError } from "../format/narRestore.ts";
import { parseDerivation } from "../format/parseDerivation.ts";
import {
  checkStorePathName,
  isDerivationPath,
  makeFixedOutputPath,
  makeTextPath,
  sortedPaths,
} from "../format/storePath.ts";
import type { IngestionMethod, StorePath, ValidPathInfo } from "../types.ts";
import { hashFlat } from "./contentHash.ts";
import { canonicalise, deleteTree } from "./files.ts";
import type { LocalStore } from "./localStore.ts";
import { scanReferences } from "./readSource.ts";

/** The largest `.drv` files hold megabytes of scripts. */
const MAX_TEXT_BYTES = 256 << 20;

export interface DumpRequest {
  readonly name: string;
  readonly method: IngestionMethod;
  readonly algorithm: HashAlgorithm;
  readonly references: readonly StorePath[];
  /** What is looked for in the content, to be referred to where it is found. */
  readonly candidates?: Iterable<StorePath> | undefined;
  /** How the content comes: as a NAR, or a single file's bytes. */
  readonly form: "nar" | "flat";
  readonly isRepair?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Adds content that arrives in a stream; its path follows from it. What is there already is read and dropped.
 * @throws {DevshellError} `NAR_…`, `STORE_REFERENCE_INVALID`, `STORE_ADD_UNSUPPORTED`
 */
export async function addDump(
  store: LocalStore,
  request: DumpRequest,
  dump: AsyncIterable<Uint8Array>,
): Promise<ValidPathInfo> {
  checkStorePathName(request.name);
  refuseUnsupported(request);
  const { candidates } = request;
  const given = checkReferences(store, request.name, request.references);
  const isWhole = request.isRepair !== true && candidates === undefined;
  if (request.method === "text" && request.form === "flat" && isWhole) {
    const path = addTextDump(store, request.name, await collect(request, dump), given);
    return store.pathInfo(path);
  }
  const scratch = store.makeScratchPath();
  try {
    const narHash = await writeDump(scratch, request, dump);
    const hash = contentHash(scratch, request, narHash);
    const found = candidates === undefined ? [] : scanReferences(scratch, candidates, undefined);
    const references = sortedPaths(new Set([...given, ...found]));
    const path =
      request.method === "text"
        ? makeTextPath(store.storeDir, request.name, hash, references)
        : makeFixedOutputPath(store.storeDir, request.name, { method: request.method, hash, references });
    if (isDerivationPath(path)) store.checkDerivation(path, scratch);
    return await place(store, path, scratch, request, { hash, narHash, references });
  } finally {
    deleteTree(scratch);
  }
}

/**
 * Adds a text that somebody else made: a derivation must name the outputs that are its own.
 * @throws {DevshellError} `DRV_…`, `STORE_REFERENCE_INVALID`
 */
export function addTextDump(
  store: LocalStore,
  name: string,
  contents: ByteString,
  references: readonly StorePath[],
): StorePath {
  checkReferences(store, name, references);
  if (isDerivationPath(name))
    checkOutputPaths(parseDerivation(store.storeDir, name.slice(0, -".drv".length), contents), store.hasher);
  return store.addText(name, contents, references);
}

function checkReferences(
  store: LocalStore,
  name: string,
  references: readonly StorePath[],
): readonly StorePath[] {
  for (const reference of references)
    if (!store.isValidPath(reference))
      throw new DevshellError(
        "STORE_REFERENCE_INVALID",
        `Cannot add "${name}": it refers to "${reference}", which is not valid`,
      );
  return sortedPaths(references);
}

async function collect({ name, signal }: DumpRequest, dump: AsyncIterable<Uint8Array>): Promise<ByteString> {
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const part of dump) {
    signal?.throwIfAborted();
    sizeBytes += part.length;
    if (sizeBytes > MAX_TEXT_BYTES)
      throw new DevshellError("STORE_ADD_UNSUPPORTED", `Cannot add "${name}": it is too long for a text`);
    parts.push(Buffer.from(part));
  }
  return Buffer.concat(parts, sizeBytes).toString("latin1");
}

function refuseUnsupported({ name, method, algorithm, form }: DumpRequest): void {
  const why =
    method === "git"
      ? "git hashing is not built yet"
      : method === "text" && algorithm !== "sha256"
        ? `text is hashed with SHA-256 only, not with ${algorithm}`
        : method === "nar" && form === "flat"
          ? "a tree comes as a NAR"
          : undefined;
  if (why !== undefined) throw new DevshellError("STORE_ADD_UNSUPPORTED", `Cannot add "${name}": ${why}`);
}

interface NarDigest {
  readonly hash: Hash;
  readonly sizeBytes: number;
}

/** @returns the NAR's digest where it passed by */
async function writeDump(
  scratch: ByteString,
  { form, signal }: DumpRequest,
  dump: AsyncIterable<Uint8Array>,
): Promise<NarDigest | undefined> {
  if (form === "flat") {
    await writeFlat(scratch, dump, signal);
    canonicalise(scratch);
    return undefined;
  }
  const running = hashStream("sha256");
  let sizeBytes = 0;
  using restorer = new NarRestorer(scratch, { isCanonical: true });
  for await (const part of dump) {
    signal?.throwIfAborted();
    const chunk = asBuffer(part);
    sizeBytes += chunk.length;
    running.update(chunk);
    restorer.push(chunk);
  }
  restorer.end();
  return { hash: running.digest(), sizeBytes };
}

async function writeFlat(
  scratch: ByteString,
  dump: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const refused = (error: unknown): never => {
    throw writeError(scratch, error);
  };
  await using file = await open(fsPath(scratch), "wx", 0o644).catch(refused);
  for await (const part of dump) {
    signal?.throwIfAborted();
    await file.writeFile(part).catch(refused);
  }
}

function contentHash(
  scratch: ByteString,
  { method, algorithm }: DumpRequest,
  nar: NarDigest | undefined,
): Hash {
  if (method !== "nar") return hashFlat(scratch, algorithm);
  return algorithm === "sha256" && nar !== undefined ? nar.hash : hashNar(scratch, { algorithm }).hash;
}

async function place(
  store: LocalStore,
  path: StorePath,
  scratch: ByteString,
  request: DumpRequest,
  content: {
    readonly hash: Hash;
    readonly narHash: NarDigest | undefined;
    readonly references: readonly StorePath[];
  },
): Promise<ValidPathInfo> {
  store.addTempRoots([path]);
  using locks = await store.lockPaths([path], { signal: request.signal });
  const isRepair = request.isRepair ?? false;
  if (isRepair || !store.isValidPath(path)) {
    const nar = content.narHash ?? hashNar(scratch);
    store.moveIntoPlace(scratch, path, isRepair);
    store.registerValidPaths([
      {
        path,
        narHash: nar.hash,
        narSizeBytes: nar.sizeBytes,
        references: content.references,
        registrationTime: 0,
        isUltimate: false,
        signatures: [],
        contentAddress: formatContentAddress({ method: request.method, hash: content.hash }),
      },
    ]);
  }
  locks.discard();
  return store.pathInfo(path);
}
