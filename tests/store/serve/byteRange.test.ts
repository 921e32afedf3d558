import { describe, expect, it } from "vitest";
import { readByteRange } from "../../../store/serve/byteRange.ts";
import { listenUrl, parseListenAddress } from "../../../store/serve/listenAddress.ts";

describe("readByteRange", () => {
  it.each([
    ["bytes=0-0", { kind: "part", start: 0, end: 1 }],
    ["bytes=10-", { kind: "part", start: 10, end: 100 }],
    ["bytes=10-19", { kind: "part", start: 10, end: 20 }],
    ["bytes=90-1000", { kind: "part", start: 90, end: 100 }],
    ["bytes=-5", { kind: "part", start: 95, end: 100 }],
    ["bytes=-1000", { kind: "part", start: 0, end: 100 }],
    ["Bytes= 1-2 ", { kind: "part", start: 1, end: 3 }],
    ["bytes=100-", { kind: "unsatisfiable" }],
    ["bytes=-0", { kind: "unsatisfiable" }],
    [undefined, { kind: "whole" }],
    ["bytes=20-10", { kind: "whole" }],
    ["bytes=-", { kind: "whole" }],
    ["bytes=0-1,3-4", { kind: "whole" }],
    ["bytes=99999999999999999999-", { kind: "whole" }],
    ["bytes=0x1-2", { kind: "whole" }],
    ["lines=1-2", { kind: "whole" }],
  ])("%s", (header, range) => {
    expect(readByteRange(header, 100)).toEqual(range);
  });

  it("of nothing is never satisfiable", () => {
    expect(readByteRange("bytes=0-", 0)).toEqual({ kind: "unsatisfiable" });
    expect(readByteRange("bytes=-1", 0)).toEqual({ kind: "unsatisfiable" });
  });
});

describe("parseListenAddress", () => {
  it.each([
    ["5000", { host: "127.0.0.1", port: 5000 }],
    [":5000", { port: 5000 }],
    ["0.0.0.0:80", { host: "0.0.0.0", port: 80 }],
    ["cache.example.org:8080", { host: "cache.example.org", port: 8080 }],
    ["[::1]:0", { host: "::1", port: 0 }],
    ["unix:/run/cache.sock", { path: "/run/cache.sock" }],
  ])("%s", (text, options) => {
    expect(parseListenAddress(text)).toEqual(options);
  });

  it.each(["", "localhost", "70000", "::1:80", "a:b:1", "unix:", "[::1]", "127.0.0.1:"])("not %j", (text) => {
    expect(() => parseListenAddress(text)).toThrow(/Cannot listen on/);
  });

  it("is named as clients write it", () => {
    expect(listenUrl({ address: "::1", port: 80 })).toBe("http://[::1]:80");
    expect(listenUrl({ address: "127.0.0.1", port: 5000 })).toBe("http://127.0.0.1:5000");
  });
});
