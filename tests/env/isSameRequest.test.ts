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

/** The same after a derivation was made of it. */
function made(change: Partial<InstantiateRequest> = {}): InstantiateRequest {
  const { env, ...others } = request(change);
  return { ...others, env: new Map([...env, ["out", "/nix/store/o"], ["dev", "/nix/store/d"]]) };
}

describe("isSameRequest", () => {
  it("takes requests of the same contents as the same", () => {
    for (const kind of KINDS)
      expect(isSameRequest(made({ kind: kind() }), request({ kind: kind() }))).toBe(true);
    const context = new Set(["/nix/store/b", "/nix/store/a"]);
    expect(isSameRequest(made(), request({ context }))).toBe(true);
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
    { outputs: ["dev"] },
    { context: new Set(["/nix/store/a"]) },
    { context: new Set(["/nix/store/a", "/nix/store/c"]) },
    { isSubmittingOutputs: true },
  ])("tells %j from another", (change) => {
    expect(isSameRequest(made(), request(change))).toBe(false);
    expect(isSameRequest(made(change), request())).toBe(false);
  });

  it("does not compare what a request says itself of an output's variable", () => {
    const env = new Map([...request().env, ["out", "x"]] as const);
    expect(isSameRequest(made(), request({ env }))).toBe(false);
  });

  it("tells each kind of output from the others", () => {
    for (const a of KINDS)
      for (const b of KINDS) expect(isSameRequest(made({ kind: a() }), request({ kind: b() }))).toBe(a === b);
  });
});
