import { describe, expect, it } from "vitest";
import { hashBytes } from "../../core/index.ts";
import { isSameRequest } from "../../env/host/isSameRequest.ts";
import type { InstantiateRequest } from "../../lang/index.ts";

const KINDS: readonly (() => InstantiateRequest["kind"])[] = [
  () => ({ kind: "inputAddressed" }),
  () => ({ kind: "fixed", hash: hashBytes("sha256", "x"), method: "nar" }),
  () => ({ kind: "fixed", hash: hashBytes("sha256", "y"), method: "nar" }),
  () => ({ kind: "fixed", hash: { ...hashBytes("sha256", "x"), algorithm: "sha512" }, method: "nar" }),
  () => ({ kind: "fixed", hash: hashBytes("sha256", "x"), method: "flat" }),
  () => ({ kind: "contentAddressed", algorithm: "sha256", method: "nar" }),
  () => ({ kind: "contentAddressed", algorithm: "sha512", method: "nar" }),
  () => ({ kind: "contentAddressed", algorithm: "sha256", method: "text" }),
  () => ({ kind: "impure", algorithm: "sha256", method: "nar" }),
];

function request(change: Partial<InstantiateRequest> = {}): InstantiateRequest {
  return {
    name: "a",
    system: "x86_64-linux",
    builder: "/bin/sh",
    args: ["-c", "true"],
    env: new Map([
      ["a", "1"],
      ["b", "2"],
    ]),
    outputs: ["out", "dev"],
    kind: { kind: "inputAddressed" },
    context: new Set(["/nix/store/a", "/nix/store/b"]),
    isSubmittingOutputs: false,
    ...change,
  };
}

describe("isSameRequest", () => {
  it("takes requests of the same contents as the same", () => {
    for (const kind of KINDS)
      expect(isSameRequest(request({ kind: kind() }), request({ kind: kind() }))).toBe(true);
    const context = new Set(["/nix/store/b", "/nix/store/a"]);
    expect(isSameRequest(request(), request({ context }))).toBe(true);
  });

  it.each<Partial<InstantiateRequest>>([
    { system: "i686-linux" },
    { builder: "/bin/bash" },
    { args: ["-c"] },
    { args: ["-c", "true", ""] },
    { args: ["true", "-c"] },
    { env: new Map([["a", "1"]]) },
    {
      env: new Map([
        ["a", "1"],
        ["b", ""],
      ]),
    },
    {
      env: new Map([
        ["a", "1"],
        ["c", "2"],
      ]),
    },
    { outputs: ["dev", "out"] },
    { context: new Set(["/nix/store/a"]) },
    { context: new Set(["/nix/store/a", "/nix/store/c"]) },
    { isSubmittingOutputs: true },
  ])("tells %j from another", (change) => {
    expect(isSameRequest(request(), request(change))).toBe(false);
    expect(isSameRequest(request(change), request())).toBe(false);
  });

  it("tells each kind of output from the others", () => {
    for (const a of KINDS)
      for (const b of KINDS)
        expect(isSameRequest(request({ kind: a() }), request({ kind: b() }))).toBe(a === b);
  });
});
