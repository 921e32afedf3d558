import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { DevshellError } from "../../core/index.ts";
import { AccessRules } from "../../env/host/accessRules.ts";
import { StoreHost } from "../../env/host/storeHost.ts";
import { InputTracker } from "../../env/inputTracker.ts";
import { AttrSet, createEvaluator, forceString } from "../../lang/index.ts";
import { printDerivation, type StorePath } from "../../store/index.ts";
import { byteCases, refusedExpressions } from "./byteForByte/cases.ts";
import { memoryStore } from "./memoryStore.ts";

const FIXTURES = resolve(import.meta.dirname, "fixtures");
/** Made by byteForByte/fromPeer.ts from a real Nix. */
const golden = JSON.parse(
  readFileSync(join(import.meta.dirname, "byteForByte/golden.json"), "utf8"),
) as Record<string, { readonly drvPath: string; readonly sha256: string }>;

function instantiate(expression: string): { readonly drvPath: string; readonly sha256: string } {
  const store = memoryStore();
  const host = new StoreHost({
    store,
    tracker: new InputTracker("/nix/store"),
    rules: new AccessRules("impure", "/nix/store"),
    system: "x86_64-linux",
    isReadOnly: false,
    environment: { HOME: "/homeless" },
    resolveEntry: (entry) => entry,
    realise: () => {
      throw new Error("nothing is built here");
    },
    fetch: () => {
      throw new Error("nothing is fetched here");
    },
    onMessage: () => {},
  });
  const evaluator = createEvaluator(host, {
    features: new Set(["ca-derivations", "impure-derivations"]),
  });
  const text = Buffer.from(expression, "utf8").toString("latin1");
  const value = evaluator.evalText(text, FIXTURES, { kind: "string", text });
  if (!(value instanceof AttrSet)) throw new Error("expected a derivation");
  const drvPath = forceString(value.get("drvPath") ?? null, 0, "") as StorePath;
  host.flush();
  const bytes = Buffer.from(printDerivation(host.derivation(drvPath)), "latin1");
  return { drvPath, sha256: createHash("sha256").update(bytes).digest("hex") };
}

describe("derivations are real Nix's, to the byte", () => {
  it("has a golden for each of more than 200 expressions", () => {
    expect(Object.keys(golden).length).toBeGreaterThan(200);
    expect(new Set(byteCases.map(({ name }) => name)).size).toBe(byteCases.length);
    expect(byteCases.filter(({ name }) => golden[name] === undefined)).toEqual([]);
  });

  for (const { name, expression } of byteCases)
    it(name, () => expect(instantiate(expression)).toEqual(golden[name]));

  for (const expression of refusedExpressions)
    it(`refuses ${(expression.split("\nin\n")[1] ?? "").slice(0, 80)}`, () => {
      let error: unknown;
      try {
        instantiate(expression);
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toBeInstanceOf(DevshellError);
    });
});
