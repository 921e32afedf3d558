import { describe, expect, it } from "vitest";
import {
  formatContentAddress,
  generateSecretKey,
  hasTrustedSignature,
  parseContentAddress,
  parseNarInfo,
  parsePublicKey,
  parseSecretKey,
  printNarInfo,
  publicKeyOf,
  signPathInfo,
} from "../../../store/index.ts";

/** Written and signed by Nix 2.34. */
const TEXT = `StorePath: /nix/store/dns6hnbvkvmzvl2ds4gc1jjimwxkszbj-tree
URL: nar/1nwi599w6ycpjnqzq0mgw5k7svpqj1ahfxlnxy88w0ak6cg8xq2x.nar
Compression: none
FileHash: sha256:1nwi599w6ycpjnqzq0mgw5k7svpqj1ahfxlnxy88w0ak6cg8xq2x
FileSize: 102160
NarHash: sha256:1nwi599w6ycpjnqzq0mgw5k7svpqj1ahfxlnxy88w0ak6cg8xq2x
NarSize: 102160
References: 
Sig: test-1:1QfsSwjJyC2yihSQfvtyot3kUawaobChyhcOKsR2opeAHGpnT3SBzlaw6xnA1DqwDUqH2U1wVk2NFoBdzmDVBQ==
CA: fixed:r:sha256:1nwi599w6ycpjnqzq0mgw5k7svpqj1ahfxlnxy88w0ak6cg8xq2x
`;
const SECRET =
  "test-1:ui5WCdSCVoUDIXPOIq5o80tYE0N4FJ6gMzwtzI/6LzuSNqXHsVhz4FyfOg5Gq8rrjupvbfcxgrpVI9vTm0d4ZA==";
const PUBLIC = "test-1:kjalx7FYc+BcnzoORqvK647qb233MYK6VSPb05tHeGQ=";
const info = parseNarInfo("/nix/store", TEXT, "test");

describe("narinfo", () => {
  it("prints what it read", () => expect(printNarInfo(info)).toBe(TEXT));

  it("signs and verifies as Nix does", () => {
    expect(`Sig: ${signPathInfo(info, parseSecretKey(SECRET))}`).toBe(TEXT.split("\n")[8]);
    expect(hasTrustedSignature(info, [parsePublicKey(PUBLIC)])).toBe(true);
    expect(hasTrustedSignature({ ...info, narSizeBytes: 102_161 }, [parsePublicKey(PUBLIC)])).toBe(false);
    expect(hasTrustedSignature({ ...info, references: [info.path] }, [parsePublicKey(PUBLIC)])).toBe(false);
    expect(hasTrustedSignature(info, [{ ...parsePublicKey(PUBLIC), name: "other" }])).toBe(false);
    expect(
      hasTrustedSignature({ ...info, signatures: ["", ":", "test-1:", "test-1:AAAA"] }, [
        parsePublicKey(PUBLIC),
      ]),
    ).toBe(false);
  });

  it("makes keys that verify", () => {
    const key = generateSecretKey("mine");
    expect(hasTrustedSignature({ ...info, signatures: [signPathInfo(info, key)] }, [publicKeyOf(key)])).toBe(
      true,
    );
  });

  it.each([
    ["nothing", "", /line 1: expected a line end|missing/],
    ["no line end", TEXT.trimEnd(), /line 10: expected a line end/],
    ["no colon", TEXT.replace("URL: ", "URL "), /line 2: expected "Name: value"/],
    ["no path", TEXT.replace(/StorePath.*\n/, ""), /"StorePath" is missing/],
    ["no hash", TEXT.replace(/NarHash.*\n/, ""), /"NarHash" is missing/],
    ["no size", TEXT.replace(/NarSize.*\n/, ""), /"NarSize" is missing/],
    ["zero size", TEXT.replace("NarSize: 102160", "NarSize: 0"), /line 7: "NarSize" is zero/],
    ["negative size", TEXT.replace("NarSize: 102160", "NarSize: -1"), /line 7/],
    ["huge size", TEXT.replace("NarSize: 102160", "NarSize: 99999999999999999999"), /line 7/],
    ["bad hash", TEXT.replace("NarHash: sha256:1n", "NarHash: sha256:en"), /line 6: NarHash/],
    [
      "other algorithm",
      TEXT.replace(/NarHash: .*/, "NarHash: md5:5d41402abc4b2a76b9719d911017c592"),
      /line 6/,
    ],
    ["path twice", TEXT + "URL: http://evil\n", /line 11: "URL" occurs twice/],
    ["path outside", TEXT.replace("/nix/store/", "/nix/../etc/"), /line 1/],
    ["reference outside", TEXT.replace("References: ", "References: ../../etc/passwd"), /line 8/],
    ["two signatures in one", TEXT.replace("Sig: ", "Sig: a:AAAA "), /line 9: signature ".*" is corrupt/],
    ["no signature", TEXT.replace(/^Sig: .*$/m, "Sig: test-1"), /line 9: signature "test-1" is corrupt/],
    ["a long key name", TEXT.replace("Sig: ", `Sig: ${"k".repeat(2000)}`), /line 9: signature/],
    ["CA", TEXT.replace("CA: fixed", "CA: mended"), /line 10/],
  ])("%s is refused", (_name, text, message) => {
    expect(() => parseNarInfo("/nix/store", text, "test")).toThrow(message);
  });

  it("does not print a bad secret key", () => {
    expect(() => parseSecretKey("name:c2VjcmV0")).toThrow(
      /^Cannot read secret key "name": expected "<name>:<base64 of 64 bytes>"$/,
    );
  });
});

describe("content addresses", () => {
  it.each([
    "fixed:r:sha256:1nwi599w6ycpjnqzq0mgw5k7svpqj1ahfxlnxy88w0ak6cg8xq2x",
    "fixed:sha256:1nwi599w6ycpjnqzq0mgw5k7svpqj1ahfxlnxy88w0ak6cg8xq2x",
    "fixed:git:sha1:kpcd173cq987hw957sx6m0868wv3x6d9",
    "text:sha256:1nwi599w6ycpjnqzq0mgw5k7svpqj1ahfxlnxy88w0ak6cg8xq2x",
  ])("%s round-trips", (text) => expect(formatContentAddress(parseContentAddress(text))).toBe(text));

  it.each(["", "fixed", "fixed:", "fixed:sha256:", "fixed:r:sha9:x", "nar:sha256:x", "text:r:sha256:x"])(
    '"%s" is refused',
    (text) => {
      expect(() => parseContentAddress(text)).toThrow(/Cannot read/);
    },
  );
});
