import { describe, expect, it } from "vitest";
import { DevshellError } from "../../core/index.ts";
import { parse, printExpr, type Expr } from "../../lang/syntax/index.ts";
import { registerSource } from "../../lang/value/index.ts";
import { evaluate, reportOf } from "./support/evaluate.ts";

// Big sets within a `with` parse their definitions when asked for (`DeferredExpr`). Nobody may be able to tell.

const FILLERS = Array.from({ length: 60 }, (_, i) => `  filler${i} = ${i};\n`).join("");
const options = { baseDir: "/base", homeDir: "/home/me" };

function parseSet(prefix: string, definitions: string): Expr {
  const text = `${prefix}{\n${FILLERS}${definitions}}`;
  return parse(registerSource({ kind: "stdin", text }, text), options);
}

/** The set printed, or the problem with its place. @param prefix what stands before the set, eight characters long */
function show(prefix: string, definitions: string): string {
  try {
    const printed = printExpr(parseSet(prefix, definitions));
    return printed.slice(printed.indexOf("{"), -1).replace(/;? *$/, "");
  } catch (error) {
    if (error instanceof DevshellError) return `${error.message} @ ${error.pos?.line}:${error.pos?.column}`;
    throw error;
  }
}

describe("deferred definitions", () => {
  const definitions = [
    "a = callPackage ../a/b.nix { };\n",
    "a = callPackage ../a {};\n",
    "a = x.y.callPackage ./a_b/c+d/e-f { };\n",
    "a = b;\n",
    "a = b.c-d.e';\n",
    "a = b;",
    "a = callPackage ../a { };\n  a = b;\n",
    "filler3 = callPackage ../a { };\n",
    "a = b;\n  a.c = d;\n",
    "a = callPackage ../a/ { };\n",
    "a = callPackage ..//a { };\n",
    "a = callPackage ../a { } b;\n",
    "a = callPackage ../a { b };\n",
    "a = callPackage ../a { ;\n",
    "a = callPackage ../a { }\n  b = c;\n",
    "a = in;\n",
    "a = rec;\n",
    "a = or;\n",
    "a = b.or;\n",
    "a = b.if;\n",
    "a = let.b;\n",
    "a = if.callPackage ../a { };\n",
    "a = inherit ../a { };\n",
    "a = iffy.letter.inn;\n",
    "a = b/c;\n",
    "a = b:c;\n",
    "a = b.c/d;\n",
    "a = b.5;\n",
    "a = b . c;\n",
    "a = b\0;\n",
    "a = ;\n",
    "a = __curPos;\n",
    "in = b;\n",
    '"a" = b;\n  or = c;\n  a.b = c;\n',
  ];
  for (const definition of definitions)
    it(JSON.stringify(definition), () => {
      expect(show("with x; ", definition)).toBe(show("f x yyy ", definition));
    });

  it("they are deferred, and so well tested", () => {
    const withSet = parseSet("with x; ", "a = callPackage ../a { };\n  c = b.c;\n  d = e f;\n");
    const set = withSet.kind === "with" ? withSet.body : withSet;
    const kinds = set.kind === "attrs" ? set.defs.slice(-3).map((def) => def.value.kind) : [];
    expect(kinds).toEqual(["deferred", "deferred", "call"]);
  });

  const program = (body: string): string => `
    let f = path: args: { inherit path args; }; in
    with { call = f; deep.x = 1; fails = throw "oh"; };
    { y }: let set = {\n${FILLERS}
      a = call ../a { };
      b = deep.x;
      c = y;
      d = fails;
      e = set.g.h;
      g = absent;
    }; in ${body}`;
  const evaluateSet = (body: string): string => evaluate(`(${program(body)}) { y = 7; }`);

  it("evaluates them, with variables from everywhere", () => {
    expect(evaluateSet("[ set.a set.b set.c (set.a.path == ../a) ]")).toBe(
      "[ { args = { }; path = /a; } 1 7 true ]",
    );
    expect(evaluateSet("builtins.length (builtins.attrNames set)")).toBe("66");
  });

  it("fails in them at their places", () => {
    expect(reportOf(`(${program("set.d")}) { y = 7; }`)).toContain("oh");
    expect(reportOf(`(${program("set.g")}) { y = 7; }`)).toMatch(/undefined variable 'absent'[^]*:71:11/);
  });
});
