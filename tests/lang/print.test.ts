import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { textOfBytes } from "../../core/index.ts";
import {
  createEvaluator,
  formatFixed,
  formatFloat,
  formatJsonFloat,
  printAmbiguous,
  printJson,
  printValue,
  printXml,
  type PrintOptions,
  type Value,
} from "../../lang/index.ts";
import { TestHost } from "./support/testHost.ts";

function valueOf(expr: string): Value {
  return createEvaluator(new TestHost()).evalText(expr, "/base", { kind: "string", text: expr });
}

function print(expr: string, options?: PrintOptions): string {
  return textOfBytes(printValue(valueOf(expr), options));
}

/** Pairs of an expression and what it prints. */
const LAZY = readFileSync(join(import.meta.dirname, "golden/printedLazily.txt"), "utf8")
  .trimEnd()
  .split("\n\n")
  .map((pair) => pair.split("\n") as [string, string]);

describe("the printer of values", () => {
  it.each<[string, PrintOptions, string]>([
    ['{ a = 1 + 1; b = [ (throw "x") 2 ]; }', {}, "{ a = «thunk»; b = «thunk»; }"],
    ['{ a = 1 + 1; b = [ (throw "x") 2 ]; }', { force: true }, "{ a = 2; b = [ «error: x» 2 ]; }"],
    ["let s = { x = 1; }; in [ s s ]", { force: true }, "[ { x = 1; } «repeated» ]"],
    ["let s = { x = s; }; in s", { force: true }, "{ x = «repeated»; }"],
    ["[ { } (builtins.mapAttrs (n: v: v) { }) ]", { force: true }, "[ { } «repeated» ]"],
    ["[ { } (removeAttrs { } [ ]) ]", { force: true }, "[ { } «repeated» ]"],
    ['let e = removeAttrs { a = 1; } [ "a" ]; in [ { } e e ]', { force: true }, "[ { } { } «repeated» ]"],
    ["[ { } (builtins.intersectAttrs { a = 1; } { }) ]", { force: true }, "[ { } «repeated» ]"],
    ["[ { } (builtins.intersectAttrs { a = 1; } { b = 1; }) ]", { force: true }, "[ { } { } ]"],
    ["[ { } { ${null} = 1; } { ${null} = 1; ${null} = 2; } ]", { force: true }, "[ { } { } { } ]"],
    ["let s = { a = 1; }; in [ s (removeAttrs s [ ]) ]", { force: true }, "[ { a = 1; } { a = 1; } ]"],
    [
      "{ b = 1; type = 2; a = 3; }",
      { force: true, maxAttributes: 2 },
      "{ type = 2; a = 3; «1 attribute elided» }",
    ],
    ["[ 1 2 3 ]", { maxItems: 1 }, "[ 1 «2 items elided» ]"],
    ['"abcdef"', { maxStringLength: 2 }, '"ab" «4 bytes elided»'],
    ["{ a.b.c = 1; }", { force: true, maxDepth: 2 }, "{ a = { b = { ... }; }; }"],
    [
      "{ a = 1; b = [ 1 [ 2 ] ]; c = [ ]; d = [ 1 ]; }",
      { force: true, prettyIndent: 2 },
      "{\n  a = 1;\n  b = [\n    1\n    [ 2 ]\n  ];\n  c = [ ];\n  d = [ 1 ];\n}",
    ],
    [
      "[ map (map 1) (x: x) ]",
      { force: true },
      "[ «primop map» «partially applied primop map» «lambda @ «string»:1:16» ]",
    ],
    ["let f = x: x; in f", {}, "«lambda f @ «string»:1:9»"],
    [
      'derivation { name = "x"; system = "s"; builder = "b"; }',
      { force: true, derivationPaths: true },
      "«derivation /nix/store/5wq5jx7219pmi3xklyhl77fjbqvy6qaj-x.drv»",
    ],
  ])("prints %s with %o", (expr, options, text) => {
    expect(print(expr, options)).toBe(text);
  });

  it("throws where it is told to", () => {
    expect(() => print('[ (throw "x") ]', { force: true, errors: "throw" })).toThrow("x");
    expect(print('[ (throw "x") ]', { force: true, errors: "throwTopLevel" })).toBe("[ «error: x» ]");
  });

  it("prints the older form", () => {
    const ambiguous = (expr: string): string => textOfBytes(printAmbiguous(valueOf(expr)));
    expect(
      ambiguous("let l = [ f map g (1 + 1) ]; f = x: x; g = map 1; in builtins.seq f (builtins.seq g l)"),
    ).toBe("[ <LAMBDA> <PRIMOP> <PRIMOP-APP> <CODE> ]");
    expect(ambiguous('let x = { a = x; "b c" = 1.5; }; in builtins.deepSeq x x')).toBe(
      '{ a = «repeated»; "b c" = 1.5; }',
    );
  });

  // As `nix-instantiate --eval` of Nix 2.34 prints them.
  it.each(LAZY)("shows of %s what Nix has evaluated", (expr, printed) => {
    const evaluator = createEvaluator(new TestHost(), { isFullyLazy: true });
    const value = evaluator.evalText(expr, "/base", { kind: "string", text: expr });
    expect(textOfBytes(printAmbiguous(value))).toBe(printed);
  });

  it("prints JSON with contexts collected", () => {
    const evaluator = createEvaluator(new TestHost());
    const context = new Set<string>();
    const expr = '{ d = derivation { name = "x"; system = "s"; builder = "b"; }; n = [ 1.0 null ]; }';
    const value = evaluator.evalText(expr, "/base", { kind: "string", text: expr });
    expect(printJson(evaluator.runtime, value, context)).toMatch(
      /^\{"d":"\/nix\/store\/[^"]+-x","n":\[1\.0,null\]\}$/,
    );
    expect([...context]).toEqual(["!out!/nix/store/5wq5jx7219pmi3xklyhl77fjbqvy6qaj-x.drv"]);
  });

  it("prints XML with places where asked", () => {
    const xml = printXml(valueOf("{ a = x: x; }"), new Set(), { isStrict: true, hasLocations: true });
    expect(xml).toBe(
      '<?xml version=\'1.0\' encoding=\'utf-8\'?>\n<expr>\n  <attrs>\n    <attr column="3" line="1" name="a">\n      <function column="7" line="1">\n        <varpat name="x" />\n      </function>\n    </attr>\n  </attrs>\n</expr>\n',
    );
  });
});

describe("floats", () => {
  // What C's printf gives for "%.6g" and "%f", and nlohmann's library.
  it.each([
    [0.1, "0.1", "0.100000", "0.1"],
    [100000.5, "100000", "100000.500000", "100000.5"],
    [100001.5, "100002", "100001.500000", "100001.5"],
    [0.0078125, "0.0078125", "0.007812", "0.0078125"],
    [1e21, "1e+21", "1000000000000000000000.000000", "1e+21"],
    [1e15, "1e+15", "1000000000000000.000000", "1e+15"],
    [123456789012345, "1.23457e+14", "123456789012345.000000", "123456789012345.0"],
    [5e-324, "4.94066e-324", "0.000000", "5e-324"],
    [-0, "-0", "-0.000000", "-0.0"],
    [999999.5, "1e+06", "999999.500000", "999999.5"],
    [Infinity, "inf", "inf", "null"],
    [NaN, "nan", "nan", "null"],
    [-NaN, "-nan", "-nan", "null"],
  ])("%d", (value, short, fixed, json) => {
    expect([formatFloat(value), formatFixed(value), formatJsonFloat(value)]).toEqual([short, fixed, json]);
  });
});
