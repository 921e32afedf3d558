import { describe, expect, it } from "vitest";
import { hashBytes, parseHash } from "../../../core/index.ts";
import {
  checkStorePathName,
  isStorePath,
  makeFixedOutputPath,
  makeTextPath,
  makeStorePath,
  parseStorePath,
  splitStorePath,
  storePathHashPart,
  storePathName,
} from "../../../store/format/storePath.ts";

const STORE = "/nix/store";
const VALID = "/nix/store/dns6hnbvkvmzvl2ds4gc1jjimwxkszbj-tree";

describe("store paths", () => {
  it("are those that Nix computes", () => {
    const tree = parseHash("sha256:1nwi599w6ycpjnqzq0mgw5k7svpqj1ahfxlnxy88w0ak6cg8xq2x");
    expect(makeFixedOutputPath(STORE, "tree", { method: "nar", hash: tree })).toBe(VALID);
    const file = hashBytes("md5", "hello");
    expect(makeFixedOutputPath(STORE, "file", { method: "flat", hash: file })).toBe(
      "/nix/store/4lgr8dzhrrlwki74ngqa2xgfaijcvy6b-file",
    );
    const run = hashBytes("sha256", "#!/bin/sh\n");
    expect(makeFixedOutputPath(STORE, "run", { method: "flat", hash: run })).toBe(
      "/nix/store/9q533j0pd00jvfqqlclqnnnjf8dsxjgk-run",
    );
    const inner = makeTextPath(STORE, "u", hashBytes("sha256", "u"));
    expect(makeTextPath(STORE, "t.txt", hashBytes("sha256", `hello ${inner}`), [inner])).toBe(
      "/nix/store/5x6m1i2bfcn0f3r3m7izb11c5ry0s9q1-t.txt",
    );
  });

  it("split into digest, name and what lies below", () => {
    const path = parseStorePath(STORE, VALID);
    expect(storePathHashPart(path)).toBe("dns6hnbvkvmzvl2ds4gc1jjimwxkszbj");
    expect(storePathName(path)).toBe("tree");
    expect(splitStorePath(STORE, `${VALID}/bin/x`)).toEqual({ storePath: VALID, rest: "/bin/x" });
    expect(splitStorePath(STORE, VALID)).toEqual({ storePath: VALID, rest: "" });
  });

  it.each([
    ["/nix/store", "not in the store"],
    ["/nix/storex/dns6hnbvkvmzvl2ds4gc1jjimwxkszbj-tree", "not in the store"],
    ["/nix/store/tree", "too short"],
    ["/nix/store/dns6hnbvkvmzvl2ds4gc1jjimwxkszbjxtree", "not followed by a dash"],
    ["/nix/store/ens6hnbvkvmzvl2ds4gc1jjimwxkszbj-tree", "not base-32"],
    ["/nix/store/dns6hnbvkvmzvl2ds4gc1jjimwxkszbj-", "too short|empty"],
    [`${VALID}/bin`, "illegal character"],
    [`${VALID}\0`, "illegal character"],
  ])("refuses %s", (path, why) => {
    expect(isStorePath(STORE, path)).toBe(false);
    expect(() => parseStorePath(STORE, path)).toThrow(new RegExp(why));
  });

  it("bounds names as Nix does", () => {
    for (const name of ["a", "a".repeat(211), "+-._?=", ".a", "..a", "-", ".gitignore"])
      expect(() => checkStorePathName(name)).not.toThrow();
    for (const name of ["", "a".repeat(212), ".", "..", ".-a", "..-a", "a/b", "a b", "é", "a\n"])
      expect(() => checkStorePathName(name)).toThrow(/^name /);
  });

  it("says which path cannot be, as Nix does", () => {
    const digest = hashBytes("sha256", "x");
    expect(() => makeStorePath(STORE, "text", digest, "a b")).toThrow(
      /^path '[0-9a-z]{32}-a b' is not a valid store path: name 'a b' contains illegal character ' '$/,
    );
  });
});
