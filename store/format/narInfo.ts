import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
  verify,
  type KeyObject,
} from "node:crypto";
import { DevshellError, formatHash, parseHash, type Hash } from "../../core/index.ts";
import type { StorePath } from "../types.ts";
import { formatContentAddress, parseContentAddress } from "./contentAddress.ts";
import {
  compareBytes,
  parseStorePath,
  parseStorePathBaseName,
  sortedPaths,
  storePathBaseName,
} from "./storePath.ts";

/** What a binary cache says of a path. */
export interface NarInfo {
  readonly path: StorePath;
  /** Relative to the cache, or absolute. */
  readonly url: string;
  /** `none`, `xz`, `zstd`, `gzip`, `bzip2`, `br` …; `bzip2` where not said, as ever. */
  readonly compression: string;
  readonly fileHash?: Hash | undefined;
  readonly fileSizeBytes?: number | undefined;
  readonly narHash: Hash;
  readonly narSizeBytes: number;
  readonly references: readonly StorePath[];
  readonly deriver?: StorePath | undefined;
  readonly signatures: readonly string[];
  readonly contentAddress?: string | undefined;
}

/** What a signature covers. */
export type SignedPathInfo = Pick<NarInfo, "path" | "narHash" | "narSizeBytes" | "references">;

/** `<name>:<base64>` of 64 bytes: the seed and the public key. */
export interface SecretKey {
  readonly name: string;
  readonly bytes: Buffer;
}

export interface PublicKey {
  readonly name: string;
  readonly bytes: Buffer;
}

/** A narinfo is a screenful; references to 10,000 paths fit. */
const MAX_NARINFO_LENGTH = 1 << 20;
/** Of a reason that quotes a line, which may be of any length. */
const MAX_REASON_LENGTH = 2000;

/**
 * Reads a `.narinfo` file.
 * @param whence where it came from, for messages
 * @throws {DevshellError} `NARINFO_INVALID`, naming the line
 */
export function parseNarInfo(storeDir: string, text: string, whence: string): NarInfo {
  if (text.length > MAX_NARINFO_LENGTH) throw invalid(whence, undefined, "it is longer than 1 MB");
  const fields = new Map<string, string>();
  const signatures: string[] = [];
  const lineOf = new Map<string, number>();
  const lines = text.split("\n");
  if (lines.pop() !== "") throw invalid(whence, lines.length + 1, "expected a line end");
  for (const [index, line] of lines.entries()) {
    const colon = line.indexOf(":");
    if (colon < 0 || (line[colon + 1] !== " " && line.length > colon + 1))
      throw invalid(whence, index + 1, 'expected "Name: value"');
    const name = line.slice(0, colon);
    const value = line.slice(colon + 2);
    if (name === "Sig") signatures.push(signatureIn(value, whence, index + 1));
    else {
      if (fields.has(name) && KNOWN.has(name)) throw invalid(whence, index + 1, `"${name}" occurs twice`);
      fields.set(name, value);
      lineOf.set(name, index + 1);
    }
  }
  const field = <T>(name: string, read: (value: string) => T): T | undefined => {
    const value = fields.get(name);
    if (value === undefined) return undefined;
    try {
      return read(value);
    } catch (error) {
      if (!(error instanceof DevshellError)) throw error;
      throw invalid(
        whence,
        lineOf.get(name),
        error.code === "NARINFO_INVALID" ? error.message : `${name}: ${error.message}`,
      );
    }
  };
  const required = <T>(name: string, value: T | undefined): T => {
    if (value === undefined) throw invalid(whence, undefined, `"${name}" is missing`);
    return value;
  };
  const size = (value: string): number => {
    const number = Number(value);
    if (!/^\d{1,16}$/.test(value) || !Number.isSafeInteger(number))
      throw new DevshellError("NARINFO_INVALID", `"${value}" is not a size`);
    return number;
  };
  const sha256 = (value: string): Hash => {
    const hash = parseHash(value);
    if (hash.algorithm !== "sha256")
      throw new DevshellError("NARINFO_INVALID", `"${value}" is not a SHA-256`);
    return hash;
  };
  const narSizeBytes = required("NarSize", field("NarSize", size));
  if (narSizeBytes === 0) throw invalid(whence, lineOf.get("NarSize"), '"NarSize" is zero');
  const url = required("URL", fields.get("URL"));
  if (url === "") throw invalid(whence, lineOf.get("URL"), '"URL" is empty');
  return {
    path: required(
      "StorePath",
      field("StorePath", (value) => parseStorePath(storeDir, value)),
    ),
    url,
    compression: fields.get("Compression") || "bzip2",
    fileHash: field("FileHash", sha256),
    fileSizeBytes: field("FileSize", size),
    narHash: required("NarHash", field("NarHash", sha256)),
    narSizeBytes,
    references: field("References", (value) => parseBaseNames(storeDir, value)) ?? [],
    deriver: field("Deriver", (value) =>
      value === "unknown-deriver" || value === "" ? undefined : parseStorePathBaseName(storeDir, value),
    ),
    signatures,
    contentAddress: field("CA", (value) =>
      value === "" ? undefined : formatContentAddress(parseContentAddress(value)),
    ),
  };
}

/** Prints a `.narinfo` file as Nix does. */
export function printNarInfo(info: NarInfo): string {
  const lines = [`StorePath: ${info.path}`, `URL: ${info.url}`, `Compression: ${info.compression}`];
  if (info.fileHash !== undefined) lines.push(`FileHash: sha256:${formatHash(info.fileHash, "nix32")}`);
  if (info.fileSizeBytes !== undefined) lines.push(`FileSize: ${info.fileSizeBytes}`);
  lines.push(`NarHash: sha256:${formatHash(info.narHash, "nix32")}`, `NarSize: ${info.narSizeBytes}`);
  lines.push(`References: ${sortedPaths(info.references).map(storePathBaseName).join(" ")}`);
  if (info.deriver !== undefined) lines.push(`Deriver: ${storePathBaseName(info.deriver)}`);
  for (const signature of info.signatures) lines.push(`Sig: ${signature}`);
  if (info.contentAddress !== undefined) lines.push(`CA: ${info.contentAddress}`);
  return `${lines.join("\n")}\n`;
}

/** The text that a path's signatures sign. */
export function narInfoFingerprint(info: SignedPathInfo): string {
  return `1;${info.path};sha256:${formatHash(info.narHash, "nix32")};${info.narSizeBytes};${sortedPaths(info.references).join(",")}`;
}

/** @returns `<key name>:<base64>` */
export function signPathInfo(info: SignedPathInfo, key: SecretKey): string {
  return signText(narInfoFingerprint(info), key);
}

/** @returns `<key name>:<base64>` */
export function signText(text: string, key: SecretKey): string {
  return `${key.name}:${signBytes(text, key)}`;
}

/** Each signature once, by key name and then by its bytes: the order in which Nix writes them. */
export function sortedSignatures(signatures: Iterable<string>): string[] {
  const bytesOf = (signature: string): Buffer =>
    Buffer.from(signature.slice(signature.indexOf(":") + 1), "base64");
  const nameOf = (signature: string): string => signature.slice(0, signature.indexOf(":"));
  return [...new Set(signatures)].sort(
    (a, b) => compareBytes(nameOf(a), nameOf(b)) || Buffer.compare(bytesOf(a), bytesOf(b)),
  );
}

/** Whether one of the signatures is by one of the keys. */
export function hasTrustedSignature(
  info: SignedPathInfo & Pick<NarInfo, "signatures">,
  keys: readonly PublicKey[],
): boolean {
  return info.signatures.some((signature) => isSignedBy(info, signature, keys));
}

export function isSignedBy(info: SignedPathInfo, signature: string, keys: readonly PublicKey[]): boolean {
  return verifyText(narInfoFingerprint(info), signature, keys);
}

/** Whether a signature of a text is by one of the keys. */
export function verifyText(text: string, signature: string, keys: readonly PublicKey[]): boolean {
  const colon = signature.indexOf(":");
  const name = signature.slice(0, colon);
  const bytes = Buffer.from(signature.slice(colon + 1), "base64");
  if (colon <= 0 || bytes.length !== 64) return false;
  const fingerprint = Buffer.from(text, "latin1");
  return keys.some(
    (key) => key.name === name && verify(null, fingerprint, keyObjectOf(key, publicKeyObject), bytes),
  );
}

/** What separates signatures in the database, or lines of a narinfo, is in none. */
const SIGNATURE = /^[^:\s\0-\x20\x7f]+:[A-Za-z0-9+/]+={0,2}$/;
/** 88 characters are the signature itself. */
const MAX_SIGNATURE_LENGTH = 1024;
/** A path has a handful; anyone may add to them. */
export const MAX_SIGNATURES = 1000;

/** Whether a text has the form `<key name>:<base64>`. */
export function isSignature(text: string): boolean {
  return text.length <= MAX_SIGNATURE_LENGTH && SIGNATURE.test(text);
}

/** @throws {DevshellError} `SIGNATURE_INVALID` where it has not the form `<key name>:<base64>` */
export function checkSignatureForm(signature: string): string {
  if (!isSignature(signature))
    throw new DevshellError(
      "SIGNATURE_INVALID",
      `signature ${JSON.stringify(signature.slice(0, 80))} is corrupt`,
    );
  return signature;
}

/** @throws {DevshellError} `KEY_INVALID` */
export function parsePublicKey(text: string): PublicKey {
  return parseKey(text, 32, "public");
}

/** @throws {DevshellError} `KEY_INVALID`; its message holds nothing of the key but its name */
export function parseSecretKey(text: string): SecretKey {
  return parseKey(text, 64, "secret");
}

export function generateSecretKey(name: string): SecretKey {
  const { privateKey } = generateKeyPairSync("ed25519");
  const jwk = privateKey.export({ format: "jwk" });
  return {
    name,
    bytes: Buffer.concat([Buffer.from(jwk.d ?? "", "base64url"), Buffer.from(jwk.x ?? "", "base64url")]),
  };
}

export function publicKeyOf(key: SecretKey): PublicKey {
  return { name: key.name, bytes: key.bytes.subarray(32) };
}

export function formatKey(key: PublicKey | SecretKey): string {
  return `${key.name}:${key.bytes.toString("base64")}`;
}

const KNOWN = new Set([
  "StorePath",
  "URL",
  "Compression",
  "FileHash",
  "FileSize",
  "NarHash",
  "NarSize",
  "References",
  "Deriver",
  "CA",
]);

/** Of what is registered with a path, a signature in another form would keep others from reading all of it. */
function signatureIn(value: string, whence: string, line: number): string {
  try {
    return checkSignatureForm(value);
  } catch (error) {
    if (!(error instanceof DevshellError)) throw error;
    throw invalid(whence, line, error.message);
  }
}

function parseBaseNames(storeDir: string, value: string): StorePath[] {
  return value
    .split(" ")
    .filter((name) => name !== "")
    .map((name) => parseStorePathBaseName(storeDir, name));
}

function signBytes(text: string, key: SecretKey): string {
  return sign(null, Buffer.from(text, "latin1"), keyObjectOf(key, privateKeyObject)).toString("base64");
}

/** Reading a key takes as long as verifying by it, and there are thousands of signatures by one. */
const keyObjects = new WeakMap<PublicKey | SecretKey, KeyObject>();

function keyObjectOf<K extends PublicKey | SecretKey>(key: K, read: (key: K) => KeyObject): KeyObject {
  let object = keyObjects.get(key);
  if (object === undefined) keyObjects.set(key, (object = read(key)));
  return object;
}

function privateKeyObject(key: SecretKey): KeyObject {
  const d = key.bytes.subarray(0, 32).toString("base64url");
  const x = key.bytes.subarray(32).toString("base64url");
  return createPrivateKey({ key: { kty: "OKP", crv: "Ed25519", d, x }, format: "jwk" });
}

function publicKeyObject(key: PublicKey): KeyObject {
  return createPublicKey({
    key: { kty: "OKP", crv: "Ed25519", x: key.bytes.toString("base64url") },
    format: "jwk",
  });
}

function parseKey(text: string, sizeBytes: number, kind: string): { name: string; bytes: Buffer } {
  const colon = text.indexOf(":");
  const name = text.slice(0, Math.max(colon, 0));
  const bytes = Buffer.from(text.slice(colon + 1).trim(), "base64");
  if (name === "" || bytes.length !== sizeBytes)
    throw new DevshellError(
      "KEY_INVALID",
      `Cannot read ${kind} key "${name}": expected "<name>:<base64 of ${sizeBytes} bytes>"`,
    );
  return { name, bytes };
}

function invalid(whence: string, line: number | undefined, why: string): DevshellError {
  return new DevshellError(
    "NARINFO_INVALID",
    `Cannot read narinfo "${whence}"${line === undefined ? "" : ` at line ${line}`}: ${why.slice(0, MAX_REASON_LENGTH)}`,
  );
}
