import { createReadStream } from "node:fs";
import { resolve } from "node:path";
import {
  DevshellError,
  bytesOfText,
  formatHash,
  hashStream,
  isHashAlgorithm,
  parseHash,
  systemErrorText,
  type Hash,
  type HashAlgorithm,
  type HashEncoding,
} from "../../core/index.ts";
import { parseCommandLine, usageError, type CommonFlags } from "./commandLine.ts";
import { printHelp, printLine, printVersion } from "./output.ts";

/** `nix-hash`: hashes files and trees, or rewrites hashes. */
export async function runNixHash(argv: readonly string[]): Promise<number> {
  const words: string[] = [];
  let algorithm: HashAlgorithm | undefined;
  let encoding: HashEncoding = "base16";
  let isFlat = false;
  let isTruncated = false;
  let action: "hash" | "convert" | "help" | "version" = "hash";
  const flags = parseCommandLine("nix-hash", argv, (word, next) => {
    const format = /^--(to-)?(base16|base32|base64|sri)$/.exec(word);
    if (format !== null) {
      encoding = encodingOf(format[2] ?? "");
      if (format[1] !== undefined) action = "convert";
    } else if (word === "--help") action = "help";
    else if (word === "--version") action = "version";
    else if (word === "--flat") isFlat = true;
    else if (word === "--truncate") isTruncated = true;
    else if (word === "--type") algorithm = algorithmOf(next());
    else if (word.startsWith("-")) return false;
    else words.push(word);
    return true;
  });
  switch (action as "hash" | "convert" | "help" | "version") {
    case "help":
      return printHelp("nix-hash");
    case "version":
      return printVersion("nix-hash");
    case "convert":
      for (const word of words) printLine(formatHash(parseHash(word, algorithm), encoding));
      return 0;
    case "hash":
      for (const word of words) {
        const hash = await hashOf(word, isFlat ? "flat" : "nar", algorithm ?? "md5", flags);
        printLine(formatHash(isTruncated ? await truncated(hash) : hash, encoding));
      }
      return 0;
  }
}

export function encodingOf(name: string): HashEncoding {
  switch (name) {
    case "base32":
    case "nix32":
      return "nix32";
    case "base16":
    case "base64":
    case "sri":
      return name;
    default:
      throw usageError(
        "nix hash",
        `unknown hash format '${name}', expect 'base16', 'base32', 'base64', or 'sri'`,
      );
  }
}

export function algorithmOf(name: string): HashAlgorithm {
  if (isHashAlgorithm(name)) return name;
  throw usageError(
    "nix hash",
    `unknown hash algorithm '${name}', expect 'blake3', 'md5', 'sha1', 'sha256', or 'sha512'`,
  );
}

/** Of a file's bytes (also a pipe's: `<(…)`), or of a tree's NAR. */
export async function hashOf(
  word: string,
  method: "flat" | "nar",
  algorithm: HashAlgorithm,
  flags: CommonFlags,
): Promise<Hash> {
  if (method === "nar") {
    const [{ hashNar }, { usesCaseHack }] = await Promise.all([
      import("../../store/index.ts"),
      import("./nixStore/archive.ts"),
    ]);
    const options = { algorithm, isCaseHacked: usesCaseHack(flags) };
    return hashNar(bytesOfText(resolve(word)), options).hash;
  }
  const running = hashStream(algorithm);
  try {
    for await (const chunk of createReadStream(resolve(word), { highWaterMark: 1 << 20 }))
      running.update(chunk as Buffer);
  } catch (error) {
    throw readFailure(word, error);
  }
  return running.digest();
}

/** As Nix words it. */
function readFailure(word: string, error: unknown): unknown {
  if (!(error instanceof Error) || !("errno" in error) || !("code" in error)) return error;
  if (error.code === "EISDIR") return new DevshellError("HASH_FAILED", "read of 65536 bytes: Is a directory");
  return new DevshellError("HASH_FAILED", `opening file "${word}": ${systemErrorText(Number(error.errno))}`, {
    cause: error,
  });
}

/** A digest folded to 20 bytes, as in store paths. */
export async function truncated(hash: Hash): Promise<Hash> {
  if (hash.digest.length <= 20) return hash;
  const { compressHash } = await import("../../store/index.ts");
  return { ...hash, digest: compressHash(hash.digest, 20) };
}
