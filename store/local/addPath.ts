import { lstatSync } from "node:fs";
import { DevshellError, fsPath, hashStream, type ByteString, type Hash } from "../../core/index.ts";
import { formatContentAddress } from "../format/contentAddress.ts";
import { NAR_TOKENS, narChunks, type NarDigest } from "../format/nar.ts";
import { NarRestorer } from "../format/narRestore.ts";
import { ReferenceScanner } from "../format/references.ts";
import { isDerivationPath, makeFixedOutputPath, sortedPaths } from "../format/storePath.ts";
import type { StorePath } from "../types.ts";
import type { StoreAccess } from "./access.ts";
import { fileChunks, hashMismatch } from "./contentHash.ts";
import { deleteTree, moveTree } from "./files.ts";
import { rememberAnswers } from "./readSource.ts";
import type { AddPathOptions } from "./types.ts";

const MAX_COPY_ATTEMPTS = 3;
/** Content up to this is held while it is hashed, so that it is read once; what is there already is not written. */
const HELD_BYTES = 32 << 20;

/**
 * Copies a file or tree into the store; its path follows from its content.
 * @throws {DevshellError} `STORE_HASH_MISMATCH`, naming both hashes, and what reading and writing throw
 */
export function addPath(store: StoreAccess, source: ByteString, options: AddPathOptions): StorePath {
  const request = { ...options, filter: rememberAnswers(options.filter) };
  for (let attempt = 1; attempt <= MAX_COPY_ATTEMPTS; attempt++) {
    const path = tryToAdd(store, source, request);
    if (path !== undefined) return path;
  }
  throw new DevshellError(
    "STORE_SOURCE_CHANGING",
    `Cannot copy "${source}" to the store: it changes while it is read`,
    { hint: "try again once nothing writes to it" },
  );
}

/** @returns `undefined` where the source changed between two readings: its path would be wrong */
function tryToAdd(store: StoreAccess, source: ByteString, options: AddPathOptions): StorePath | undefined {
  const { name, method, expectedHash, isRepair = false } = options;
  const reading = read(store, source, options);
  try {
    const { hash } = reading.digests;
    if (expectedHash !== undefined && !hash.digest.equals(expectedHash.digest))
      throw hashMismatch(source, expectedHash, hash);
    const references =
      options.references === undefined ? reading.references : sortedPaths(options.references);
    const path = makeFixedOutputPath(store.storeDir, name, { method, hash, references });
    if (options.isDryRun === true) return path;
    store.addTempRoots([path]);
    if (!isRepair && store.isValidPath(path)) return path;
    const isPlaced = store.placePath(path, isRepair, (scratch) => {
      const nar = write(reading, source, options, scratch);
      if (nar === undefined) return undefined;
      if (isDerivationPath(path)) store.checkDerivation(path, scratch);
      return {
        path,
        narHash: nar.hash,
        narSizeBytes: nar.sizeBytes,
        references,
        registrationTime: 0,
        isUltimate: false,
        signatures: [],
        contentAddress: formatContentAddress({ method, hash }),
      };
    });
    return isPlaced ? path : undefined;
  } finally {
    if (reading.written !== undefined) deleteTree(reading.written);
  }
}

interface Digests {
  /** As the address needs it. */
  readonly hash: Hash;
  readonly nar: NarDigest;
}

interface Reading {
  readonly digests: Digests;
  readonly references: readonly StorePath[];
  /** The NAR, of what is small. */
  readonly held?: readonly Buffer[] | undefined;
  /** Where the content has been written while it was read. */
  readonly written?: ByteString | undefined;
}

/** Reads the source once: hashes it, looks for references, and keeps or writes what may be needed next. */
function read(store: StoreAccess, source: ByteString, options: AddPathOptions): Reading {
  const hasher = new SourceHasher(options);
  const scanner =
    options.references === undefined && options.candidates !== undefined
      ? new ReferenceScanner(options.candidates)
      : undefined;
  let held: Buffer[] | undefined = options.isDryRun === true ? undefined : [];
  let heldBytes = 0;
  let written: ByteString | undefined;
  let restorer: NarRestorer | undefined;
  try {
    for (const chunk of hasher.chunks(source)) {
      scanner?.push(chunk);
      restorer?.push(chunk);
      if (held === undefined) continue;
      held.push(Buffer.from(chunk));
      heldBytes += chunk.length;
      if (heldBytes <= HELD_BYTES) continue;
      // Whatever has no namesake is new: then nothing is written in vain.
      if (!store.db.hasName(options.name)) {
        written = store.makeScratchPath();
        restorer = new NarRestorer(written, { isCanonical: true });
        for (const each of held) restorer.push(each);
      }
      held = undefined;
    }
    restorer?.end();
    return { digests: hasher.digests(), references: sortedPaths(scanner?.found ?? []), held, written };
  } catch (error) {
    restorer?.[Symbol.dispose]();
    if (written !== undefined) deleteTree(written);
    throw error;
  }
}

/** @returns what lies at `scratch` now; `undefined` where it is other content than was read before */
function write(
  reading: Reading,
  source: ByteString,
  options: AddPathOptions,
  scratch: ByteString,
): NarDigest | undefined {
  const { digests, held, written } = reading;
  if (written !== undefined) {
    moveTree(written, scratch);
    return digests.nar;
  }
  const hasher = new SourceHasher(options);
  using restorer = new NarRestorer(scratch, { isCanonical: true });
  for (const chunk of held ?? hasher.chunks(source)) restorer.push(chunk);
  restorer.end();
  if (held !== undefined) return digests.nar;
  return hasher.digests().hash.digest.equals(digests.hash.digest) ? digests.nar : undefined;
}

/** Hashes a source in passing: its NAR, and where that is another its content as the address needs it. */
class SourceHasher {
  readonly #options: AddPathOptions;
  readonly #content: ReturnType<typeof hashStream>;
  readonly #nar: ReturnType<typeof hashStream> | undefined;
  #narSizeBytes = 0;

  constructor(options: AddPathOptions) {
    const { method, algorithm = "sha256" } = options;
    this.#options = options;
    this.#content = hashStream(algorithm);
    this.#nar = method === "nar" && algorithm === "sha256" ? undefined : hashStream("sha256");
  }

  /** The source's NAR; a chunk is only valid until the next is asked for. */
  *chunks(source: ByteString): Generator<Buffer> {
    const { method, filter } = this.#options;
    const isFlat = method === "flat";
    const chunks = isFlat
      ? flatNarChunks(source, (part) => this.#content.update(part))
      : narChunks(source, { filter });
    for (const chunk of chunks) {
      if (!isFlat) this.#content.update(chunk);
      this.#nar?.update(chunk);
      this.#narSizeBytes += chunk.length;
      yield chunk;
    }
  }

  digests(): Digests {
    const hash = this.#content.digest();
    return { hash, nar: { hash: this.#nar?.digest() ?? hash, sizeBytes: this.#narSizeBytes } };
  }
}

/** The NAR of a regular file's bytes: a flat file's address knows no executable bit, and it is stored without. */
function* flatNarChunks(source: ByteString, see: (part: Buffer) => void): Generator<Buffer> {
  const sizeBytes = lstatSync(fsPath(source), { throwIfNoEntry: false })?.size ?? 0;
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(sizeBytes));
  yield Buffer.concat([NAR_TOKENS.magic, NAR_TOKENS.openRegular, NAR_TOKENS.contents, size]);
  let left = sizeBytes;
  for (const part of fileChunks(source)) {
    left -= part.length;
    if (left < 0) break;
    see(part);
    yield part;
  }
  if (left !== 0)
    throw new DevshellError(
      "STORE_SOURCE_CHANGING",
      `Cannot read "${source}": it changed while it was read`,
      {
        hint: "try again once nothing writes to it",
      },
    );
  yield Buffer.concat([Buffer.alloc((8 - (sizeBytes % 8)) % 8), NAR_TOKENS.close]);
}
