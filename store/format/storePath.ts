import {
  decodeNix32,
  DevshellError,
  encodeNix32,
  formatHash,
  nameProblem,
  sha256Text,
  type ByteString,
  type Hash,
} from "../../core/index.ts";
import type { OutputName, StorePath } from "../types.ts";

/** Length of a store path's digest: 20 bytes as nixbase32. */
export const HASH_PART_LENGTH = 32;
const MAX_SHOWN_LENGTH = 1000;

const HASH_PART = /^[0-9abcdfghijklmnpqrsvwxyz]{32}$/;

/** The end of an output's fingerprint: references appear in it, a path that names itself as `:self`. */
export interface FixedOutputRequest {
  readonly method: "flat" | "nar" | "text" | "git";
  readonly hash: Hash;
  readonly references?: Iterable<StorePath> | undefined;
  readonly isSelfReferring?: boolean | undefined;
}

/** A path below the store directory, split after its store path. */
export interface SplitStorePath {
  readonly storePath: StorePath;
  /** Empty, or starts with `/`. */
  readonly rest: string;
}

/**
 * @throws {DevshellError} `STORE_NAME_INVALID` unless 1–211 characters of `[A-Za-z0-9+._?=-]` whose first
 *   dash-separated part is neither `.` nor `..`
 */
export function checkStorePathName(name: string): void {
  const problem = nameProblem(name);
  if (problem !== undefined) throw new DevshellError("STORE_NAME_INVALID", shortened(problem));
}

/**
 * @param path `<storeDir>/<digest>-<name>`, nothing below it
 * @throws {DevshellError} `STORE_PATH_INVALID`, saying what is wrong with it
 */
export function parseStorePath(storeDir: string, path: string): StorePath {
  const problem = problemOfPath(storeDir, path);
  if (problem !== undefined) throw invalidPath(path, problem);
  return path as StorePath;
}

/** As `parseStorePath` from the last component alone (narinfo files name references so). */
export function parseStorePathBaseName(storeDir: string, baseName: string): StorePath {
  return parseStorePath(storeDir, `${storeDir}/${baseName}`);
}

/** Whether it is exactly a store path, valid in the database or not. */
export function isStorePath(storeDir: string, path: string): path is StorePath {
  return problemOfPath(storeDir, path) === undefined;
}

/** Whether the path lies below the store directory (its first component need not be a well-formed name). */
export function isInStore(storeDir: string, path: string): boolean {
  return path.length > storeDir.length + 1 && path.startsWith(storeDir) && path[storeDir.length] === "/";
}

/**
 * Splits a path inside a store object, e.g. `/nix/store/…-gcc/bin/gcc`.
 * @throws {DevshellError} `STORE_PATH_INVALID`
 */
export function splitStorePath(storeDir: string, path: string): SplitStorePath {
  if (!isInStore(storeDir, path)) throw invalidPath(path, `it is not in the store "${storeDir}"`);
  const slash = path.indexOf("/", storeDir.length + 1);
  if (slash < 0) return { storePath: parseStorePath(storeDir, path), rest: "" };
  return { storePath: parseStorePath(storeDir, path.slice(0, slash)), rest: path.slice(slash) };
}

/** What follows the digest and its dash. */
export function storePathName(path: StorePath): string {
  return path.slice(path.lastIndexOf("/") + HASH_PART_LENGTH + 2);
}

/** The digest's 32 characters, by which caches and references name a path. */
export function storePathHashPart(path: StorePath): string {
  const start = path.lastIndexOf("/") + 1;
  return path.slice(start, start + HASH_PART_LENGTH);
}

/** `<digest>-<name>`. */
export function storePathBaseName(path: StorePath): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

export function isDerivationPath(path: string): boolean {
  return path.endsWith(".drv");
}

/** The derivation's name: the store path's name without `.drv`. */
export function derivationNameOfPath(drvPath: StorePath): string {
  const name = storePathName(drvPath);
  if (!name.endsWith(".drv"))
    throw new DevshellError(
      "STORE_PATH_NOT_DERIVATION",
      `Cannot use "${drvPath}" as a derivation: its name does not end in ".drv"`,
    );
  return name.slice(0, -4);
}

/** `name` for `out`, else `name-output`. */
export function outputPathName(drvName: string, output: OutputName): string {
  return output === "out" ? drvName : `${drvName}-${output}`;
}

/**
 * Computes where a store object lives; touches no disk.
 * @param type fingerprint type: `source`, `text`, `output:<id>` (references appended with `:`)
 * @param inner hash of the inner fingerprint, SHA-256
 * @throws {DevshellError} `STORE_NAME_INVALID`
 * @see Nix manual, "Complete Store Path Calculation"
 */
export function makeStorePath(storeDir: string, type: string, inner: Hash, name: string): StorePath {
  return storePathOf(storeDir, `${type}:${inner.algorithm}:${formatHash(inner, "base16")}`, name);
}

/** The path of an output of an input-addressed derivation. @param sha256 in base 16 */
export function makeOutputPath(
  storeDir: string,
  output: OutputName,
  sha256: string,
  drvName: string,
): StorePath {
  return storePathOf(storeDir, `output:${output}:sha256:${sha256}`, outputPathName(drvName, output));
}

/** The path of a `.drv` file. @param sha256 in base 16 */
export function makeDerivationPath(
  storeDir: string,
  drvName: string,
  sha256: string,
  references: Iterable<StorePath>,
): StorePath {
  const type = typeWithReferences("text", references, false);
  return storePathOf(storeDir, `${type}:sha256:${sha256}`, `${drvName}.drv`);
}

function storePathOf(storeDir: string, typeAndHash: string, name: string): StorePath {
  const digest = sha256Text(`${typeAndHash}:${storeDir}:${name}`, "latin1");
  const baseName = `${encodeNix32(foldedText(digest))}-${name}`;
  const problem = nameProblem(name);
  if (problem !== undefined)
    throw new DevshellError(
      "STORE_NAME_INVALID",
      shortened(`path '${baseName}' is not a valid store path: ${problem}`),
    );
  return `${storeDir}/${baseName}` as StorePath;
}

const FOLDED = new Uint8Array(20);

/** As `compressHash` to a path's 20 bytes, of a digest as a byte string; valid until the next call. */
function foldedText(digest: ByteString): Uint8Array {
  for (let i = 0; i < 20; i++) FOLDED[i] = digest.charCodeAt(i);
  for (let i = 20; i < digest.length; i++) FOLDED[i - 20]! ^= digest.charCodeAt(i);
  return FOLDED;
}

/** The path of a text file (`builtins.toFile`, `.drv`) by its SHA-256. */
export function makeTextPath(
  storeDir: string,
  name: string,
  hash: Hash,
  references: Iterable<StorePath> = [],
): StorePath {
  return makeStorePath(storeDir, typeWithReferences("text", references, false), hash, name);
}

/**
 * The path of content whose address is its hash.
 * @throws {DevshellError} `STORE_NAME_INVALID`, or `STORE_REFERENCES_FORBIDDEN` where this method allows none
 */
export function makeFixedOutputPath(storeDir: string, name: string, request: FixedOutputRequest): StorePath {
  const { method, hash } = request;
  const references = [...(request.references ?? [])];
  const isSelfReferring = request.isSelfReferring ?? false;
  if (method === "text") {
    if (hash.algorithm !== "sha256")
      throw new DevshellError(
        "STORE_HASH_UNSUPPORTED",
        `Cannot address text "${name}" by ${hash.algorithm}: only sha256 is possible`,
      );
    if (isSelfReferring) throw forbiddenReferences(name);
    return makeTextPath(storeDir, name, hash, references);
  }
  if (method === "nar" && hash.algorithm === "sha256")
    return makeStorePath(storeDir, typeWithReferences("source", references, isSelfReferring), hash, name);
  if (references.length > 0 || isSelfReferring) throw forbiddenReferences(name);
  if (method === "git" && hash.algorithm !== "sha1" && hash.algorithm !== "sha256")
    throw new DevshellError(
      "STORE_HASH_UNSUPPORTED",
      `Cannot address git tree "${name}" by ${hash.algorithm}: only sha1 and sha256 are possible`,
    );
  const prefix = method === "nar" ? "r:" : method === "git" ? "git:" : "";
  const content = `fixed:out:${prefix}${hash.algorithm}:${formatHash(hash, "base16")}:`;
  return storePathOf(storeDir, `output:out:sha256:${sha256Text(content, "hex")}`, name);
}

/** Folds a digest to fewer bytes by exclusive or. */
export function compressHash(digest: Uint8Array, sizeBytes: number): Buffer {
  const folded = Buffer.alloc(sizeBytes);
  for (let i = 0; i < digest.length; i++)
    folded[i % sizeBytes] = (folded[i % sizeBytes] ?? 0) ^ (digest[i] ?? 0);
  return folded;
}

/** Store paths sorted by byte, each once. */
export function sortedPaths(paths: Iterable<StorePath>): readonly StorePath[] {
  return isSorted(paths) ? paths : [...new Set(paths)].sort();
}

function isSorted(paths: Iterable<StorePath>): paths is readonly StorePath[] {
  if (!Array.isArray(paths)) return false;
  for (let i = 1; i < paths.length; i++) if (!(paths[i - 1] < paths[i])) return false;
  return true;
}

/** The order of byte strings. */
export function compareBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Decodes a path's digest to its 20 bytes. */
export function digestOfPath(path: StorePath): Buffer {
  return decodeNix32(storePathHashPart(path), 20);
}

function typeWithReferences(type: string, references: Iterable<StorePath>, isSelfReferring: boolean): string {
  let text = type;
  for (const reference of sortedPaths(references)) text += `:${reference}`;
  return isSelfReferring ? `${text}:self` : text;
}

function problemOfPath(storeDir: string, path: string): string | undefined {
  if (!isInStore(storeDir, path)) return `it is not in the store "${storeDir}"`;
  const start = storeDir.length + 1;
  const hashPart = path.slice(start, start + HASH_PART_LENGTH);
  if (path.length < start + HASH_PART_LENGTH + 1) return "it is too short";
  if (path[start + HASH_PART_LENGTH] !== "-") return "its digest is not followed by a dash";
  if (!HASH_PART.test(hashPart)) return `its digest "${hashPart}" is not base-32`;
  const problem = nameProblem(path.slice(start + HASH_PART_LENGTH + 1));
  return problem === undefined ? undefined : `its name is wrong: ${problem}`;
}

function invalidPath(path: string, why: string): DevshellError {
  return new DevshellError("STORE_PATH_INVALID", `Cannot use "${shortened(path)}" as a store path: ${why}`);
}

/** As much as a message shows: what is no store path may be of any length. */
function shortened(text: string): string {
  return text.length > MAX_SHOWN_LENGTH ? `${text.slice(0, MAX_SHOWN_LENGTH)}…` : text;
}

function forbiddenReferences(name: string): DevshellError {
  return new DevshellError(
    "STORE_REFERENCES_FORBIDDEN",
    `Cannot make fixed output "${name}": it may not refer to other store paths`,
    {
      hint: "`unsafeDiscardReferences` may be needed",
    },
  );
}
