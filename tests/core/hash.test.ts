import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  DevshellError,
  HASH_SIZE_BYTES,
  formatHash,
  hashBytes,
  parseHash,
  sha256Text,
  type HashAlgorithm,
} from "../../core/index.ts";

const algorithms = Object.keys(HASH_SIZE_BYTES) as HashAlgorithm[];

describe("hash", () => {
  it("prints the empty SHA-256 as Nix does", () => {
    const hash = hashBytes("sha256", "");
    expect(formatHash(hash, "nix32")).toBe("0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73");
    expect(formatHash(hash, "sri")).toBe("sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
  });

  it("reads back every encoding of every digest", () => {
    fc.assert(
      fc.property(fc.constantFrom(...algorithms), fc.string(), (algorithm, text) => {
        const hash = hashBytes(algorithm, Buffer.from(text));
        for (const encoding of ["base16", "nix32", "base64"] as const) {
          expect(parseHash(formatHash(hash, encoding), algorithm)).toEqual(hash);
          expect(parseHash(`${algorithm}:${formatHash(hash, encoding)}`)).toEqual(hash);
        }
        expect(parseHash(formatHash(hash, "sri"))).toEqual(hash);
      }),
    );
  });

  it("hashes byte strings of any length without a buffer, too", () => {
    for (const text of ["", "a", "\0\x80\xff", "\xe9".repeat((1 << 16) - 1), "\xe9".repeat((1 << 16) + 1)]) {
      const { digest } = hashBytes("sha256", text);
      expect(sha256Text(text, "hex")).toBe(digest.toString("hex"));
      expect(sha256Text(text, "latin1")).toBe(digest.toString("latin1"));
    }
  });

  it.each([
    "",
    "sha256:",
    "sha256:zz",
    "md5:e",
    "nope:00",
    `sha256:${"u".repeat(52)}`,
    `sha256:${"z".repeat(52)}`,
  ])("refuses %j", (text) => {
    expect(() => parseHash(text)).toThrow(DevshellError);
  });
});
