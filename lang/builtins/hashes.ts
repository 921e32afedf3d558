import {
  HASH_SIZE_BYTES,
  decodeNix32,
  formatHash,
  hashBytes,
  isHashAlgorithm,
  type Hash,
  type HashAlgorithm,
  type HashEncoding,
} from "../../core/index.ts";
import {
  NO_POS,
  evalError,
  forceAttrs,
  forceString,
  forceStringNoContext,
  getAttr,
  type Runtime,
} from "../value/index.ts";
import { define1, define2, failure, type Definition } from "./define.ts";

export function hashBuiltins({ host }: Runtime): readonly Definition[] {
  return [
    define2("hashString", "type s", "The hash of a string, in base 16.", (_, type, s) => {
      const algorithm = parseHashAlgorithm(
        forceStringNoContext(
          type,
          NO_POS,
          "while evaluating the first argument passed to builtins.hashString",
        ),
      );
      const text = forceString(
        s,
        NO_POS,
        "while evaluating the second argument passed to builtins.hashString",
      );
      return formatHash(hashBytes(algorithm, text), "base16");
    }),
    define1(
      "convertHash",
      "args",
      "A hash in another form: `{ hash, hashAlgo ? …, toHashFormat }`.",
      (_, args) => {
        const set = forceAttrs(
          args,
          NO_POS,
          "while evaluating the first argument passed to builtins.convertHash",
        );
        const text = forceStringNoContext(
          getAttr(set, "hash", "while locating the attribute 'hash'"),
          NO_POS,
          "while evaluating the attribute 'hash'",
        );
        const algorithmSlot = set.get("hashAlgo");
        const algorithm =
          algorithmSlot === undefined
            ? undefined
            : parseHashAlgorithm(
                forceStringNoContext(algorithmSlot, NO_POS, "while evaluating the attribute 'hashAlgo'"),
              );
        const format = forceStringNoContext(
          getAttr(set, "toHashFormat", "while locating the attribute 'toHashFormat'"),
          NO_POS,
          "while evaluating the attribute 'toHashFormat'",
        );
        if (format === "base32") host.warn('"base32" is a deprecated alias for hash format "nix32".');
        const encoding = parseHashFormat(format);
        return formatHash(parseNixHash(text, algorithm), encoding);
      },
    ),
  ];
}

const FORMATS: Readonly<Record<string, HashEncoding>> = {
  base16: "base16",
  base32: "nix32",
  nix32: "nix32",
  base64: "base64",
  sri: "sri",
};

function parseHashFormat(name: string): HashEncoding {
  const format = Object.hasOwn(FORMATS, name) ? FORMATS[name] : undefined;
  if (format === undefined)
    throw failure(`unknown hash format '${name}', expect 'base16', 'base32', 'base64', or 'sri'`);
  return format;
}

export function parseHashAlgorithm(name: string): HashAlgorithm {
  if (isHashAlgorithm(name)) return name;
  if (name === "blake3")
    throw failure(
      "experimental Nix feature 'blake3-hashes' is disabled; add '--extra-experimental-features blake3-hashes' to enable it",
    );
  throw evalError(
    "usage",
    `unknown hash algorithm '${name}', expect 'blake3', 'md5', 'sha1', 'sha256', or 'sha512'`,
  );
}

/** Any of Nix's forms of a hash; an empty text is the hash of zeros, with a warning. */
export function parseHashAllowEmpty(
  text: string,
  algorithm: HashAlgorithm | undefined,
  warn: (message: string) => void,
): Hash {
  if (text !== "") return parseNixHash(text, algorithm);
  if (algorithm === undefined) throw failure("empty hash requires explicit hash algorithm");
  const zeros: Hash = { algorithm, digest: Buffer.alloc(HASH_SIZE_BYTES[algorithm]) };
  warn(`found empty hash, assuming '${formatHash(zeros, "sri")}'`);
  return zeros;
}

/** Any of Nix's forms of a hash, with Nix's own wording of what is wrong with it. */
export function parseNixHash(text: string, algorithm?: HashAlgorithm): Hash {
  let named: HashAlgorithm | undefined;
  let digest = text;
  let isSri = false;
  const colon = text.indexOf(":");
  const dash = text.indexOf("-");
  if (colon >= 0) {
    named = parseHashAlgorithm(text.slice(0, colon));
    digest = text.slice(colon + 1);
  } else if (dash >= 0) {
    named = parseHashAlgorithm(text.slice(0, dash));
    digest = text.slice(dash + 1);
    isSri = true;
  }
  if (named === undefined && algorithm === undefined)
    throw failure(`hash '${text}' does not include a type, nor is the type otherwise known from context`);
  if (named !== undefined && algorithm !== undefined && named !== algorithm)
    throw failure(`hash '${text}' should have type '${algorithm}'`);
  const type = (named ?? algorithm)!;
  return { algorithm: type, digest: decodeDigest(digest, type, isSri) };
}

function decodeDigest(digest: string, algorithm: HashAlgorithm, isSri: boolean): Buffer {
  const size = HASH_SIZE_BYTES[algorithm];
  if (!isSri && digest.length === size * 2) {
    if (/^[0-9a-fA-F]*$/.test(digest)) return Buffer.from(digest, "hex");
    throw failure(`invalid base16 hash '${digest}', length 0 != expected length ${size}`);
  }
  if (!isSri && digest.length === Math.ceil((size * 8) / 5)) {
    try {
      return decodeNix32(digest, size);
    } catch {
      // What has bits beyond the hash is a byte longer; what holds anything else is nothing.
      const length = /^[0-9abcdfghijklmnpqrsvwxyz]*$/.test(digest) ? size + 1 : 0;
      throw failure(`invalid nix32 hash '${digest}', length ${length} != expected length ${size}`);
    }
  }
  if (isSri || digest.length === Math.ceil(size / 3) * 4) {
    const bytes = Buffer.from(digest, "base64");
    const isBase64 = /^[A-Za-z0-9+/]*=*$/.test(digest);
    if (bytes.length === size && isBase64) return bytes;
    throw failure(
      `invalid ${isSri ? "SRI" : "Base64"} hash '${digest}', length ${isBase64 ? bytes.length : 0} != expected length ${size}`,
    );
  }
  throw failure(`hash '${digest}' has wrong length for hash algorithm '${algorithm}'`);
}
