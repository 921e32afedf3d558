import { describe, expect, it } from "vitest";
import { DevshellError } from "../../core/index.ts";
import { parse, printExpr, type Expr } from "../../lang/syntax/index.ts";
import { registerSource } from "../../lang/value/index.ts";
import { evaluate, reportOf } from "./support/evaluate.ts";
import { Random } from "./fuzz/random.ts";

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

/** What is told well-formed at a glance, or nearly is: one part of the grammar after the other. */
const VALUES = [
  'build { pname = "a"; src = fetchurl { url = mirror://b/c-1.0.tar.gz; sha256 = "d"; }; }',
  "with b.c; { d = with e; [ f g.h ]; }",
  "f (a.b c) [ d (e f) ] { } rec { g = h; i.j = 1; }",
  'if a.b then c else if d then [ ] else "e"',
  "f { inherit a b; inherit (c.d) e f; }",
  "f { inherit; inherit () a; }",
  "f { inherit a; a = b; }",
  "f { a = b; a = c; }",
  "f { a.b = c; a.d = e; }",
  "f { a.b.c = d; e = f.g or h; }",
  "f a.b or c.d or e",
  "f or",
  "f { or = a; }",
  'a.b or (c d) ++ e // f + "g"',
  "a ++ b+c",
  "a +b",
  "a ++b/c",
  "f a//b",
  "f a+b/c",
  "f a.b+c/d",
  "(f a).b/c",
  "f (a b).c",
  "f a.b:c",
  "f https://a.b/c?d=e",
  "f a_b://c",
  "f x:x",
  "f (x: x)",
  "f { a, b }: c",
  "f { }: a",
  "f 12 0 1.5 .5 1.a",
  "f 9223372036854775808",
  "f 123456789012345 1/2",
  "f ./a ../b/c.patch",
  "f ./a/",
  "f ./a//b",
  "f ./a/${b}",
  "f .../a ~/b <c>",
  "f /a/b",
  'f "a\\"b$$c$d$${e}\\${f}${g.h}"',
  'f "a\\\\" "${b "c${d}"}"',
  'f "${a b"',
  "f ''\n    a ''${b} $${c} ${d} '''e ''\\n $''",
  "f ''a'b'$c'''",
  "f ''a$'' ''$$''",
  "f ''${a}''b''c''",
  "f __curPos",
  "f a''b'' c'",
  "f let { body = 1; }",
  "f -1",
  "f (-a) (!b)",
  "f (a == b) (a ? b)",
  "f a then b",
  "f [ a then ]",
  "f [ (a) (b c).d \"e\" ''f'' { }.g ]",
  "f [ a; ]",
  "f { a b; }",
  "f { a = b }",
  "f { ; }",
  "f rec a",
  "f (with a; b) (if c then d else e)",
  "with a; b: c",
  "assert a; b",
  "f a |> b",
  'f a."b" c.${d}',
  'f { "a" = b; ${c} = d; }',
  "f ) ] }",
  `f ${"(".repeat(40)}a${")".repeat(40)}`,
  `f ${"[ ".repeat(40)}a${" ]".repeat(40)}`,
  `f { ${Array.from({ length: 70 }, (_, i) => `a${i} = b;`).join(" ")} }`,
];

/** Put into them at random. */
const INSERTIONS = [
  ..."; { } ( ) [ ] \" '' ' $ ${ \\ / . + : = or a 1 # /* */ - @ , inherit rec then ~ < http://".split(" "),
  "",
  " ",
  "\n",
  "\r",
  " with a; ",
  " let ",
];
/** More for a longer run. */
const CHANGED = Number(process.env["DEVSHELL_DEFERRED_CHANGES"] ?? 3000);

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
    ...VALUES.map((value) => `a = ${value};\n`),
    "a   =\n b c # d;\n /* ; */ ;\n",
    "a = f { };\n  a.b = c;\n",
    "a = { b = c; };\n  a.d = e;\n",
    "a = rec { b = c; };\n  a = { d = e; };\n",
    "a = ({ b = c; });\n  a.d = e;\n",
    "a = f b # c\r;\n;\n",
    "a = f { b = c; }\n  d = e;\n",
    "a == f b;\n",
    "a = f b; c",
    "a = f /* b;\n",
    'a = f "b;\n',
    "a = f ''b;\n",
    'a = f "${b;\n',
    "a = f b\0c;\n",
  ];
  for (const definition of definitions)
    it(JSON.stringify(definition), () => {
      expect(show("with x; ", definition)).toBe(show("f x yyy ", definition));
    });

  it(
    "nobody can tell where something is put in or left out",
    () => {
      const random = new Random(20261123);
      for (let i = 0; i < CHANGED; i++) {
        let value = random.pick(VALUES);
        for (let changes = random.below(2); changes >= 0; changes--) {
          const at = random.below(value.length + 1);
          value = value.slice(0, at) + random.pick(INSERTIONS) + value.slice(at + random.below(3));
        }
        const definition = `a = ${value};\n`;
        expect(show("with x; ", definition), definition).toBe(show("f x yyy ", definition));
      }
    },
    60_000 + 3 * CHANGED,
  );

  it("they are deferred, and so well tested", () => {
    const kindsOf = (values: readonly string[]): readonly string[] => {
      const withSet = parseSet("with x; ", values.map((value, i) => `a${i} = ${value};`).join("\n"));
      const set = withSet.kind === "with" ? withSet.body : withSet;
      return set.kind === "attrs" ? set.defs.slice(-values.length).map((def) => def.value.kind) : [];
    };
    const kinds = kindsOf(["callPackage ../a { }", "b.c", "f: e", "{ }"]);
    expect(kinds).toEqual(["deferred", "deferred", "lambda", "attrs"]);
    expect(new Set(kindsOf(VALUES.slice(0, 5)))).toEqual(new Set(["deferred"]));
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
      i = call ../a {
        b = with deep; [ y set.lost ];
      };
    }; in ${body}`;
  const evaluateSet = (body: string): string => evaluate(`(${program(body)}) { y = 7; }`);

  it("evaluates them, with variables from everywhere", () => {
    expect(evaluateSet("[ set.a set.b set.c (set.a.path == ../a) ]")).toBe(
      "[ { args = { }; path = /a; } 1 7 true ]",
    );
    expect(evaluateSet("builtins.length (builtins.attrNames set)")).toBe("67");
  });

  it("fails in them at their places", () => {
    expect(reportOf(`(${program("set.d")}) { y = 7; }`)).toContain("oh");
    expect(evaluateSet("builtins.head (set.i.args.b)")).toBe("7");
    const lost = reportOf(`(${program("builtins.elemAt set.i.args.b 1")}) { y = 7; }`);
    expect(lost).toMatch(/:73:28[^]*attribute 'lost' missing/);
    expect(reportOf(`(${program("set.g")}) { y = 7; }`)).toMatch(/undefined variable 'absent'[^]*:71:11/);
  });
});
