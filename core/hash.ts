import { createHash, hash as hashOnce } from "node:crypto";
import type { ByteString } from "./byteString.ts";
import { DevshellError } from "./error.ts";

/** The algorithms that Nix knows and their digest sizes in bytes. */
export const HASH_SIZE_BYTES = { md5: 16, sha1: 20, sha256: 32, sha512: 64 } as const;
export type HashAlgorithm = keyof typeof HASH_SIZE_BYTES;
export type HashEncoding = "base16" | "nix32" | "base64" | "sri";

/** A digest with its algorithm; `digest.length === HASH_SIZE_BYTES[algorithm]`. */
export interface Hash {
  readonly algorithm: HashAlgorithm;
  readonly digest: Buffer;
}

const NIX32_ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz";
const NIX32_VALUE = new Int8Array(256).fill(-1);
for (let i = 0; i < 32; i++) NIX32_VALUE[NIX32_ALPHABET.charCodeAt(i)] = i;

export function isHashAlgorithm(name: string): name is HashAlgorithm {
  return Object.hasOwn(HASH_SIZE_BYTES, name);
}

/** Hashes bytes at once; a string is taken as a byte string (latin1). */
export function hashBytes(algorithm: HashAlgorithm, data: string | Uint8Array): Hash {
  if (typeof data === "string" && data.length > SCRATCH_BYTES) return hashLongText(algorithm, data);
  const bytes = typeof data === "string" ? scratchOf(data) : data;
  return { algorithm, digest: hashOnce(algorithm, bytes, "buffer") };
}

/**
 * The SHA-256 of a byte string in base 16, or as a byte string itself. Where many small texts are hashed: of the time
 * that `hashBytes` takes for them two thirds are its buffer.
 */
export function sha256Text(text: ByteString, encoding: "hex" | "latin1"): ByteString {
  return text.length > SCRATCH_BYTES
    ? hashLongText("sha256", text).digest.toString(encoding)
    : hashOnce("sha256", scratchOf(text), encoding);
}

/** Where strings are put to be hashed: an allocation for each costs more than hashing it. */
let scratch: Buffer | undefined;
const SCRATCH_BYTES = 1 << 16;
/** As much as a message shows: what is no hash may be of any length. */
const MAX_SHOWN_LENGTH = 1000;

function scratchOf(text: string): Buffer {
  scratch ??= Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  return scratch.subarray(0, scratch.write(text, "latin1"));
}

/** Piece by piece: a copy of the whole would stay until V8 collects its old generation. */
function hashLongText(algorithm: HashAlgorithm, text: string): Hash {
  const running = createHash(algorithm);
  for (let at = 0; at < text.length; at += SCRATCH_BYTES)
    running.update(scratchOf(text.slice(at, at + SCRATCH_BYTES)));
  return { algorithm, digest: running.digest() };
}

/** A running hash: feed it with `update`, end it with `digest`. */
export function hashStream(algorithm: HashAlgorithm): {
  update(data: Uint8Array): void;
  digest(): Hash;
} {
  const running = createHash(algorithm);
  return {
    update: (data) => void running.update(data),
    digest: () => ({ algorithm, digest: running.digest() }),
  };
}

/**
 * Nix's base 32: digits from the last bit to the first, no padding.
 * @returns `ceil(8 n / 5)` characters of `0-9a-z` without `e o t u`
 */
export function encodeNix32(bytes: Uint8Array): string {
  const length = Math.ceil((bytes.length * 8) / 5);
  let text = "";
  for (let n = length - 1; n >= 0; n--) {
    const bit = n * 5;
    const at = bit >> 3;
    const shift = bit & 7;
    const low = (bytes[at] ?? 0) >> shift;
    const high = (bytes[at + 1] ?? 0) << (8 - shift);
    text += NIX32_ALPHABET[(low | high) & 31];
  }
  return text;
}

/**
 * @param sizeBytes the decoded size, which fixes the text's length
 * @throws {DevshellError} `HASH_INVALID` for a wrong length, a foreign character or bits beyond the size
 */
export function decodeNix32(text: string, sizeBytes: number): Buffer {
  const length = Math.ceil((sizeBytes * 8) / 5);
  if (text.length !== length) throw invalid(text, `expected ${length} base-32 characters`);
  const bytes = Buffer.alloc(sizeBytes);
  for (let n = 0; n < length; n++) {
    const digit = NIX32_VALUE[text.charCodeAt(length - 1 - n)] ?? -1;
    if (digit < 0) throw invalid(text, `"${text[length - 1 - n]}" is not a base-32 character`);
    const bit = n * 5;
    const at = bit >> 3;
    const shift = bit & 7;
    bytes[at] = (bytes[at] ?? 0) | ((digit << shift) & 255);
    const carry = digit >> (8 - shift);
    if (at + 1 < sizeBytes) bytes[at + 1] = (bytes[at + 1] ?? 0) | carry;
    else if (carry !== 0) throw invalid(text, "it holds more bits than the hash has");
  }
  return bytes;
}

/** Prints a digest without its algorithm, except for `sri`, which is `<algorithm>-<base64>`. */
export function formatHash(hash: Hash, encoding: HashEncoding): string {
  switch (encoding) {
    case "base16":
      return hash.digest.toString("hex");
    case "nix32":
      return encodeNix32(hash.digest);
    case "base64":
      return hash.digest.toString("base64");
    case "sri":
      return `${hash.algorithm}-${hash.digest.toString("base64")}`;
  }
}

/**
 * Reads any of Nix's forms: `algo:digest`, `algo-base64` (SRI) or a bare digest whose algorithm is given; the
 * digest's length tells its encoding.
 * @param algorithm the expected algorithm; where the text names one too they must agree
 * @throws {DevshellError} `HASH_INVALID`
 */
export function parseHash(text: string, algorithm?: HashAlgorithm): Hash {
  const match = /^([a-z0-9]+)([:-])(.*)$/s.exec(text);
  let named: HashAlgorithm | undefined;
  let digest = text;
  let isSri = false;
  if (match?.[1] !== undefined && isHashAlgorithm(match[1])) {
    named = match[1];
    isSri = match[2] === "-";
    digest = match[3] ?? "";
  }
  if (named !== undefined && algorithm !== undefined && named !== algorithm)
    throw invalid(text, `expected type "${algorithm}"`);
  const type = named ?? algorithm;
  if (type === undefined)
    throw invalid(text, "it does not include a type, nor is the type known from context");
  return { algorithm: type, digest: decodeDigest(text, digest, type, isSri) };
}

function decodeDigest(text: string, digest: string, algorithm: HashAlgorithm, isSri: boolean): Buffer {
  const size = HASH_SIZE_BYTES[algorithm];
  if (!isSri && digest.length === size * 2) {
    if (!/^[0-9a-fA-F]*$/.test(digest)) throw invalid(text, "it is not base-16");
    return Buffer.from(digest, "hex");
  }
  if (!isSri && digest.length === Math.ceil((size * 8) / 5)) return decodeNix32(digest, size);
  // Nix once took SRI hashes without their padding, so there are such.
  const padded = isSri ? digest.padEnd(Math.ceil(size / 3) * 4, "=") : digest;
  if (padded.length === Math.ceil(size / 3) * 4) {
    const bytes = Buffer.from(padded, "base64");
    if (bytes.length === size && bytes.toString("base64") === padded) return bytes;
    throw invalid(text, `it is not ${size} bytes of base-64`);
  }
  throw invalid(text, `it has the wrong length for "${algorithm}"`);
}

function invalid(text: string, why: string): DevshellError {
  const shown = text.length > MAX_SHOWN_LENGTH ? `${text.slice(0, MAX_SHOWN_LENGTH)}…` : text;
  return new DevshellError("HASH_INVALID", `Cannot read hash "${shown}": ${why}`);
}
