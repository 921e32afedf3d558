import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HashRewriter } from "../../../store/format/rewrite.ts";
import { ReferenceScanner, type StorePath } from "../../../store/index.ts";

const DIGESTS = [
  "dns6hnbvkvmzvl2ds4gc1jjimwxkszbj",
  "00000000000000000000000000000000",
  "4lgr8dzhrrlwki74ngqa2xgfaijcvy6b",
];
const paths = DIGESTS.map((digest) => `/nix/store/${digest}-x` as StorePath);
const digest = fc.constantFrom(...DIGESTS, "1".repeat(32));
/** Digests among base-32 text, foreign bytes, and digests cut short. */
const text = fc
  .array(
    fc.oneof(
      digest,
      digest.map((value) => value.slice(1)),
      fc.string({ unit: fc.constantFrom("0", "a", "b", "-", "/", "e", "\0"), maxLength: 50 }),
    ),
  )
  .map((parts) => Buffer.from(parts.join(""), "latin1"));

const cut = (bytes: Buffer, cuts: readonly number[]): Buffer[] => {
  const places = [...new Set([0, ...cuts.map((at) => at % (bytes.length + 1)), bytes.length])].sort(
    (a, b) => a - b,
  );
  return places.slice(1).map((end, i) => Buffer.from(bytes.subarray(places[i], end)));
};

describe("the reference scanner", () => {
  it("finds exactly what occurs, wherever the stream is cut", () => {
    fc.assert(
      fc.property(text, fc.array(fc.nat(2000)), (bytes, cuts) => {
        const scanner = new ReferenceScanner(paths);
        for (const chunk of cut(bytes, cuts)) scanner.push(chunk);
        const expected = paths.filter((_, i) => bytes.includes(DIGESTS[i] ?? ""));
        expect([...scanner.found].sort()).toEqual(expected.sort());
      }),
      { numRuns: 500 },
    );
  });
});

describe("the rewriter", () => {
  it("replaces everywhere and says where, wherever the stream is cut", () => {
    fc.assert(
      fc.property(text, fc.array(fc.nat(2000)), (bytes, cuts) => {
        const from = DIGESTS[0] ?? "";
        const rewriter = new HashRewriter(new Map([[from, "#".repeat(32)]]));
        const pieces = cut(bytes, cuts).flatMap((chunk) => rewriter.push(chunk));
        const result = Buffer.concat([...pieces, ...rewriter.end()]).toString("latin1");
        const source = bytes.toString("latin1");
        expect(result).toBe(source.replaceAll(from, "#".repeat(32)));
        expect(rewriter.offsets).toEqual(
          [...source.matchAll(new RegExp(from, "g"))].map((match) => match.index),
        );
      }),
    );
  });
});
