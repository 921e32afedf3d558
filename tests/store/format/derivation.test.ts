import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseHash } from "../../../core/index.ts";
import {
  DerivationHasher,
  derivationKind,
  derivationNameOfPath,
  derivationPath,
  dynamicPlaceholder,
  hashPlaceholder,
  makeDerivation,
  parseDerivation,
  printDerivation,
  type Derivation,
  type DerivationRequest,
  type StorePath,
} from "../../../store/index.ts";

const STORE = "/nix/store";
const GOLDEN = join(import.meta.dirname, "../golden/drv");
/** Written by Nix 2.34 from one expression: fixed, floating, deferred, impure, dynamic derivations and their users. */
const goldens = readdirSync(GOLDEN).map((name) => {
  const path = `${STORE}/${name}` as StorePath;
  const text = readFileSync(join(GOLDEN, name), "latin1");
  return { name, path, text, derivation: parseDerivation(STORE, derivationNameOfPath(path), text) };
});
const golden = (name: string): (typeof goldens)[number] => {
  const found = goldens.find((candidate) => candidate.name.endsWith(`-${name}.drv`));
  if (found === undefined) throw new Error(`no golden ${name}`);
  return found;
};

/** The request that leads to a derivation: what the evaluator would ask. */
function requestOf(derivation: Derivation): DerivationRequest {
  const context = new Set<string>(derivation.inputSrcs);
  for (const [drvPath, outputs] of derivation.inputDrvs)
    for (const output of outputs) context.add(`!${output}!${drvPath}`);
  for (const [drvPath, children] of derivation.dynamicInputs ?? [])
    for (const [first, { outputs }] of children)
      for (const output of outputs) context.add(`!${output}!${first}!${drvPath}`);
  const env = new Map(derivation.env);
  for (const output of derivation.outputs.keys()) env.delete(output);
  const output = [...derivation.outputs.values()][0];
  const kind =
    output?.kind === "fixed" || output?.kind === "contentAddressed" || output?.kind === "impure"
      ? output
      : { kind: "inputAddressed" as const };
  return { ...derivation, env, outputs: [...derivation.outputs.keys()], kind, context };
}

const hasher = (): DerivationHasher =>
  new DerivationHasher(STORE, (drvPath) => {
    const found = goldens.find(({ path }) => path === drvPath);
    if (found === undefined) throw new Error(`${drvPath} is not a golden`);
    return found.derivation;
  });

describe("derivations that Nix wrote", () => {
  it("are all there", () => expect(goldens.length).toBe(8));

  it.each(goldens)("$name: printed to the byte, at its path", ({ path, text, derivation }) => {
    expect(printDerivation(derivation)).toBe(text);
    expect(derivationPath(STORE, derivation)).toBe(path);
  });

  it.each(goldens)("$name: made anew from its request", ({ path, text, derivation }) => {
    const made = makeDerivation(requestOf(derivation), hasher(), () => []);
    expect(made.contents).toBe(text);
    expect(made.drvPath).toBe(path);
  });

  it("are made anew one after the other, whatever was made before", () => {
    const shared = hasher();
    for (const { path, text, derivation } of [...goldens, ...goldens.toReversed()]) {
      const made = makeDerivation(requestOf(derivation), shared, () => []);
      expect(made.contents).toBe(text);
      expect(made.drvPath).toBe(path);
    }
  });

  it("have the kinds that were asked for", () => {
    const kinds = Object.fromEntries(
      ["fix", "ca", "impure", "deferred", "usesfix"].map((name) => [
        name,
        derivationKind(golden(name).derivation),
      ]),
    );
    expect(kinds).toEqual({
      fix: "fixed",
      ca: "contentAddressed",
      impure: "impure",
      deferred: "deferred",
      usesfix: "inputAddressed",
    });
  });

  it("name unknown outputs by placeholders", () => {
    const { derivation, path } = golden("usesdyn");
    const dyn = golden("dyn.drv").path;
    expect(derivation.env.get("w")).toBe(dynamicPlaceholder(dyn, ["out", "out"]));
    expect(golden("ca").derivation.env.get("out")).toBe(hashPlaceholder("out"));
    const made = makeDerivation(requestOf(derivation), hasher(), () => []);
    expect(made.drvPath).toBe(path);
    expect(made.outputs.get("out")).toMatch(/^\/[0-9a-z]{52}$/);
  });

  it("takes a derivation's closure for `=` elements of the context", () => {
    const { path, derivation } = golden("fix");
    const request = {
      ...requestOf(derivation),
      name: "deep",
      kind: { kind: "inputAddressed" as const },
      context: new Set([`=${path}`]),
    };
    const made = makeDerivation(request, hasher(), () => [path]);
    expect(made.derivation.inputSrcs).toEqual([path]);
    expect(made.derivation.inputDrvs).toEqual(new Map([[path, ["out"]]]));
  });
});

describe("malformed derivations", () => {
  const text = golden("usesfix").text;
  it.each([
    ["", /byte 0: expected "Derive\("/],
    ["Derive", /byte 0/],
    ['DrvWithVersion("x",', /byte 15: unknown format version "x"/],
    [text.slice(0, 20), /at byte \d+/],
    [`${text}x`, /expected the end/],
    [text.replace('"/bin/sh"', "/bin/sh"), /expected a string but found/],
    [text.replaceAll("/nix/store", "/nix/other"), /not in the store/],
    [golden("fix").text.replace("sha256", "sha257"), /hash algorithm is unknown/],
    [golden("fix").text.replace('"0000', '"1000'), /should be/],
    ['Derive([("a","","",""),("a","","","")],[],[],"","",[],[])', /occurs twice/],
    [`DrvWithVersion("xp-dyn-drv",[],[("${golden("ca").path}",${'([],[("o",'.repeat(100)}`, /nest deeper/],
  ])("%.40s is refused with its offset", (malformed, message) => {
    expect(() => parseDerivation(STORE, "usesfix", malformed)).toThrow(message);
  });

  it("every truncation is an error, never a crash", () => {
    for (let length = 0; length < text.length; length++)
      expect(() => parseDerivation(STORE, "usesfix", text.slice(0, length))).toThrow(
        /Cannot read derivation/,
      );
  });
});

describe("printing and parsing", () => {
  it("round-trip any strings", () => {
    const bytes = fc.string({
      unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
      maxLength: 40,
    });
    fc.assert(
      fc.property(
        bytes,
        bytes,
        fc.array(bytes),
        fc.array(fc.tuple(bytes, bytes)),
        (system, builder, args, pairs) => {
          const derivation: Derivation = {
            name: "x",
            outputs: new Map([["out", { kind: "contentAddressed", algorithm: "sha256", method: "nar" }]]),
            inputDrvs: new Map(),
            inputSrcs: [],
            system,
            builder,
            args,
            env: new Map(pairs),
          };
          const parsed = parseDerivation(STORE, "x", printDerivation(derivation));
          expect(parsed).toEqual(derivation);
        },
      ),
    );
  });

  it("is read in time that grows with its length, however many strings and escapes it has", () => {
    const many = Array.from({ length: 1_000_000 }, () => '"a"').join(",");
    const escapes = "\\n".repeat(1_000_000);
    for (const args of [many, `"${escapes}"`, `"${'\\"'.repeat(500_000)}",${many}`])
      expect(
        parseDerivation(STORE, "x", `Derive([("out","","","")],[],[],"s","b",[${args}],[])`).builder,
      ).toBe("b");
  });

  it("is hashed at the end of a chain longer than the stack", () => {
    const LENGTH = 20_000;
    const pathOf = (index: number): StorePath =>
      `${STORE}/${String(index).padStart(32, "0")}-step.drv` as StorePath;
    const step = (index: number): Derivation => ({
      name: "step",
      outputs: new Map([
        ["out", { kind: "inputAddressed", path: `${STORE}/${"a".repeat(32)}-step` as StorePath }],
      ]),
      inputDrvs: new Map(index === 0 ? [] : [[pathOf(index - 1), ["out"]]]),
      inputSrcs: [],
      system: "s",
      builder: "b",
      args: [],
      env: new Map(),
    });
    const chain = new DerivationHasher(STORE, (path) =>
      step(Number(path.slice(STORE.length + 1).slice(0, 32))),
    );
    expect(chain.hashOfPath(pathOf(LENGTH)).kind).toBe("derivation");
    const circle = new DerivationHasher(STORE, () => step(1));
    expect(() => circle.hashOfPath(pathOf(0))).toThrow("needs itself to be built");
  });

  it("refuses names of outputs that would not be printed as they were read", () => {
    const hash = "a".repeat(32);
    for (const name of ['\\"', "\\n", "\\\\", ""]) {
      expect(() => parseDerivation(STORE, "x", `Derive([("${name}","","","")],[],[],"s","b",[],[])`)).toThrow(
        /cannot be the name of an output/,
      );
      const input = `("${STORE}/${hash}-i.drv",["${name}"])`;
      expect(() =>
        parseDerivation(STORE, "x", `Derive([("out","","","")],[${input}],[],"s","b",[],[])`),
      ).toThrow(/cannot be the name of an output/);
    }
  });

  it("refuses a fixed-output derivation with several outputs", () => {
    const hash = parseHash("sha256:1nwi599w6ycpjnqzq0mgw5k7svpqj1ahfxlnxy88w0ak6cg8xq2x");
    const request: DerivationRequest = {
      name: "x",
      system: "s",
      builder: "b",
      args: [],
      env: new Map(),
      outputs: ["out", "dev"],
      kind: { kind: "fixed", hash, method: "flat" },
      context: new Set(),
    };
    expect(() => makeDerivation(request, hasher(), () => [])).toThrow(/multiple outputs/);
  });
});
