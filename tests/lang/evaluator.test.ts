import { describe, expect, it } from "vitest";
import { textOfBytes } from "../../core/index.ts";
import { EMPTY_SET, Lambda, createEvaluator } from "../../lang/index.ts";
import { evaluate, failureOf } from "./support/failures.ts";
import { TestHost } from "./support/testHost.ts";

describe("evaluation", () => {
  const cases: [string, string, string][] = [
    ["arithmetic", "[ (1 + 2 * 3) (7 / -2) (0.5 + 1) (-3 - -4) ]", "[ 7 -3 1.5 1 ]"],
    ["64-bit integers", "9007199254740993 + 9007199254740993", "18014398509481986"],
    ["strings", '"a${"b"}c" + "d" + toString [ 1 true null "x" ]', '"abcd1 1  x"'],
    ["paths", '[ (./a + "/b") (./. + "/../c") ]', "[ /base/a/b /c ]"],
    [
      "curried functions",
      "let f = a: b: c: [ a b c ]; g = f 1; h = g 2; in [ (h 3) (g 4 5) (f 6 7 8) ]",
      "[ [ 1 2 3 ] [ 1 4 5 ] [ 6 7 8 ] ]",
    ],
    [
      "a held argument is not shared",
      "let f = a: b: let c = a + b; in c; g = f 1; in [ (g 1) (g 2) ]",
      "[ 2 3 ]",
    ],
    ["inner argument hides outer", "(x: x: x) 1 2", "2"],
    ["formals", "({ a, b ? a + 1, ... }@s: [ a b (s.c or 0) ]) { a = 1; c = 3; }", "[ 1 2 3 ]"],
    ["defaults see later formals", "({ a ? b, b ? 2 }: a) { }", "2"],
    ["rec", "rec { a = b; b = 1; c = { inherit a; }; }", "{ a = 1; b = 1; c = { a = 1; }; }"],
    ["rec with __overrides", "(rec { a = 1; b = a; __overrides = { a = 2; z = 3; }; }).b", "2"],
    ["let sees itself", "let x = { y = x.z; z = 5; }; in x.y", "5"],
    [
      "lets in branches",
      "map (x: if x then let a = 1; in a else let b = 2; c = b; in c) [ true false ]",
      "[ 1 2 ]",
    ],
    ["inherit from", "let s = { a = 1; b = 2; }; inherit (s) a b; in [ a b ]", "[ 1 2 ]"],
    ["inherit in rec sees outside", "let a = 1; in rec { inherit a; b = a; }", "{ a = 1; b = 1; }"],
    ["with is weaker than let", "let a = 1; in with { a = 2; b = 3; }; [ a b ]", "[ 1 3 ]"],
    ["inner with first", "with { a = 1; b = 1; }; with { a = 2; }; [ a b ]", "[ 2 1 ]"],
    ["dynamic attributes", '{ ${"a" + "b"} = 1; ${null} = 2; c.${"d"} = 3; }', "{ ab = 1; c = { d = 3; }; }"],
    [
      "select or",
      "[ ({ a = 1; }.a or 2) ({ }.a or 2) ({ a.b = 3; }.a.c.d or 4) (1 . a or 5) ]",
      "[ 1 2 4 5 ]",
    ],
    [
      "has attribute",
      "let s = { a.b = 1; }; in [ (s ? a.b) (s ? a.c) (s ? a.b.c) (1 ? a) ]",
      "[ true false false false ]",
    ],
    ["update", "{ a = 1; b = { c = 1; }; } // { b = 2; } // { d = 3; }", "{ a = 1; b = 2; d = 3; }"],
    [
      "a fold that appends leaves what it is given alone",
      "let s = [ 1 ]; y = [ 9 ]; in [ (builtins.foldl' (a: x: a ++ [ x ]) s [ 2 3 ]) s (builtins.foldl' (a: x: a ++ x) [ ] [ y [ ] [ 8 ] [ 7 ] ]) y ]",
      "[ [ 1 2 3 ] [ 1 ] [ 9 8 7 ] [ 9 ] ]",
    ],
    [
      "a fold that appends what it reads of its list",
      "[ (builtins.foldl' (a: x: a ++ [ (builtins.length a) ]) [ ] [ 0 0 0 ]) (map (f: builtins.length (f 0)) (builtins.foldl' (a: x: a ++ [ (_: a) ]) [ ] [ 0 0 0 ])) (builtins.foldl' (a: a: a ++ [ 1 ]) [ ] [ [ 5 ] [ 6 ] ]) ]",
      "[ [ 0 1 2 ] [ 0 1 2 ] [ 6 1 ] ]",
    ],
    ["functors", "({ __functor = self: x: x + self.n; n = 2; }) 3", "5"],
    ["old let", "let { a = 1; body = a + 1; }", "2"],
    [
      "equality",
      "[ (1 == 1.0) ({ a = 1; } == { a = 1; }) ([ 1 ] == [ 2 ]) ((x: x) == (x: x)) (null == false) ]",
      "[ true true false false false ]",
    ],
    [
      "a set equals itself in spite of its functions",
      "let s = { f = x: x; }; in [ (s == s) ([ s.f ] == [ s.f ]) (s.f == s.f) ]",
      "[ true false false ]",
    ],
    [
      "lists compare item by item",
      '[ ([ 1 2 ] < [ 1 3 ]) ([ 1 ] < [ 1 1 ]) ("a" < "b") ]',
      "[ true true true ]",
    ],
    [
      "tryEval",
      '[ (builtins.tryEval (throw "x")).success (builtins.tryEval (assert false; 1)).success (builtins.tryEval 1).value ]',
      "[ false false 1 ]",
    ],
    ["__curPos outside a file", "__curPos", "null"],
    ["laziness", '(let x = throw "no"; in { a = 1; b = x; }).a', "1"],
    ["implication", '[ (false -> throw "no") (true -> false) ]', "[ true false ]"],
  ];
  for (const [name, text, expected] of cases)
    it(name, () => {
      expect(evaluate(text)).toBe(expected);
    });

  it("keeps attribute sets of many names in step", () => {
    const names = Array.from({ length: 60 }, (_, i) => `n${i} = ${i};`).join(" ");
    expect(
      evaluate(
        `let s = { ${names} }; t = s // { n3 = 100; }; in [ s.n3 t.n3 t.n59 (builtins.length (builtins.attrNames t)) ]`,
      ),
    ).toBe("[ 3 100 59 60 ]");
    expect(
      evaluate(
        'let go = n: s: if n == 0 then s else go (n - 1) (s // { "k${toString n}" = n; }); s = go 500 { }; in [ s.k1 s.k500 (builtins.length (builtins.attrValues s)) ]',
      ),
    ).toBe("[ 1 500 500 ]");
  });

  it("knows folds whose list may grow in place", () => {
    const isKnown = (text: string): boolean => {
      const value = createEvaluator(new TestHost()).evalText(text, "/base", { kind: "string", text });
      return value instanceof Lambda && value.code.appended !== undefined;
    };
    expect(isKnown("a: x: a ++ [ x ]")).toBe(true);
    expect(isKnown("let y = 1; in a: x: a ++ (if x ? b then [ x.b y ] else map toString { z = x; }.z)")).toBe(
      true,
    );
    for (const text of [
      "a: x: a ++ [ a ]",
      "a: x: a ++ x.${a}",
      "a: x: a ++ (_: a) 1",
      "a: x: x ++ a",
      "a: x: a ++ { inherit a; }.a",
      "x: a: a ++ [ x ]",
      "a: a: a ++ [ 1 ]",
      "{ a }: x: a ++ [ x ]",
      "a: x: y: a ++ [ x ]",
    ])
      expect([text, isKnown(text)]).toEqual([text, false]);
  });

  it.each([8191, 8192, 8193, 16_384, 20_000])("joins %i strings, empty ones too", (count) => {
    const numbers = Array.from({ length: count }, (_, i) => (i % 3 === 0 ? "" : String(i)));
    const list = `builtins.genList (i: if i / 3 * 3 == i then "" else toString i) ${count}`;
    for (const separator of ["", ", "])
      expect(evaluate(`builtins.concatStringsSep "${separator}" (${list})`)).toBe(
        JSON.stringify(numbers.join(separator)),
      );
  });

  it("computes a thunk once", () => {
    const host = new TestHost();
    evaluate('let x = builtins.trace "once" 1; in [ x x (x + x) ]', {}, host);
    expect(host.messages).toEqual(["trace: once"]);
  });

  it("fails again without computing again", () => {
    const host = new TestHost();
    evaluate(
      'let x = builtins.trace "once" (throw "no"); in [ (builtins.tryEval x).success (builtins.tryEval x).success ]',
      {},
      host,
    );
    expect(host.messages).toEqual(["trace: once"]);
  });
});

describe("failures", () => {
  const cases: [string, string][] = [
    ["let x = x; in x", "LANG_INFINITE_RECURSION: infinite recursion encountered"],
    ["x: y", "LANG_UNDEFINED_VARIABLE: undefined variable 'y'"],
    // All of a set is evaluated, though it is compared with itself.
    ['let x = { a = throw "no"; }; in x == x', "LANG_THROWN: no"],
    ["{ a = b; }.c or 1", "LANG_UNDEFINED_VARIABLE: undefined variable 'b'"],
    ["with { }; y", "LANG_UNDEFINED_VARIABLE: undefined variable 'y'"],
    ["1 2", "LANG_TYPE: attempt to call something which is not a function but an integer: 1"],
    ["{ a = 1; }.b", "LANG_ATTRIBUTE_MISSING: attribute 'b' missing"],
    [
      "({ a }: a) { }",
      "LANG_ARGUMENT_MISSING: function 'anonymous lambda' called without required argument 'a'",
    ],
    [
      "let f = { a }: a; in f { a = 1; b = 2; }",
      "LANG_TYPE: function 'f' called with unexpected argument 'b'",
    ],
    ["if 1 then 2 else 3", "LANG_TYPE: expected a Boolean but found an integer: 1"],
    ["1 ++ [ ]", "LANG_TYPE: expected a list but found an integer: 1"],
    [
      "builtins.foldl' (a: x: a ++ x) [ ] [ [ 1 ] 2 [ 3 ] ]",
      "LANG_TYPE: expected a list but found an integer: 2",
    ],
    ["builtins.foldl' (a: x: a ++ x) 1 [ [ 1 ] ]", "LANG_TYPE: expected a list but found an integer: 1"],
    ['1 + "a"', "LANG_TYPE: cannot add a string to an integer"],
    ['"${1}"', "LANG_TYPE: cannot coerce an integer to a string: 1"],
    ["1 / 0", "LANG_EVAL: division by zero"],
    ["9223372036854775807 + 1", "LANG_EVAL: integer overflow in adding 9223372036854775807 + 1"],
    [
      "assert 1 == 2; 3",
      "LANG_ASSERTION: an integer with value '1' is not equal to an integer with value '2'",
    ],
    ["assert false; 3", "LANG_ASSERTION: assertion 'false' failed"],
    [
      '{ a = 1; ${"" + "a"} = 2; }',
      "LANG_EVAL: dynamic attribute 'a' already defined at \u00c2\u00abstring\u00c2\u00bb:1:3",
    ],
    ["(x: x) < 1", "LANG_TYPE: cannot compare a function with an integer"],
  ];
  for (const [text, expected] of cases)
    it(text, () => {
      expect(failureOf(text)).toContain(expected);
    });

  // Where the stack itself ends, only the program as it is built is certain: tests/cli/depth.test.ts.
  it("ends endless recursion with an error of ours", () => {
    expect(failureOf("let f = x: 1 + f x; in f 1", { maxCallDepth: 50 })).toContain("LANG_STACK_OVERFLOW");
  });

  it("counts calls within calls, each once, and forgets those that failed", () => {
    const count = "let f = a: b: if a == 0 then b else f (a - 1) (b + 1); in";
    expect(evaluate(`${count} f 40 0`, { maxCallDepth: 50 })).toBe("40");
    expect(failureOf(`${count} f 60 0`, { maxCallDepth: 50 })).toContain("LANG_STACK_OVERFLOW");
    const caught = `let f = a: b: g (a + b); g = x: throw "no"; in builtins.foldl'
      (n: i: if (builtins.tryEval (f i 1)).success then n else n + 1) 0 (builtins.genList (i: i) 200)`;
    expect(evaluate(caught, { maxCallDepth: 50 })).toBe("200");
    const delayed = "let f = x: if x == 0 then 0 else 1 + builtins.head (map f [ (x - 1) ]); in";
    expect(evaluate(`${delayed} f 20`, { maxCallDepth: 50 })).toBe("20");
    expect(failureOf(`${delayed} f 30`, { maxCallDepth: 50 })).toContain("LANG_STACK_OVERFLOW");
  });

  it.each([
    ["compared", "f 0 == f 1"],
    ["compared in lists", "[ [ (f 0) ] ] == [ [ (f 1) ] ]"],
    ["asserted to be equal", "assert f 0 == f 1; true"],
    ["turned into a string", '"${g 0}"'],
    ["printed as XML", "builtins.toXML (f 0)"],
    ["printed as JSON", "builtins.toJSON (f 0)"],
    ["evaluated deeply", "builtins.deepSeq (f 0) 1"],
  ])("a limit of calls bounds endless values that are %s", (_, expression) => {
    const endless = "let f = n: { inner = f (n + 1); }; g = n: { __toString = _: g (n + 1); }; in";
    expect(failureOf(`${endless} ${expression}`, { maxCallDepth: 50 })).toContain("LANG_STACK_OVERFLOW");
  });

  it("a limit of calls leaves values alone that are not as deep", () => {
    const nested = "let f = n: if n == 0 then { } else { inner = f (n - 1); }; in";
    expect(evaluate(`${nested} f 40 == f 40`, { maxCallDepth: 50 })).toBe("true");
    expect(evaluate(`${nested} builtins.deepSeq (f 20) 1`, { maxCallDepth: 50 })).toBe("1");
    const pairs = `${nested} builtins.all (n: f 9 == f 9) (builtins.genList (n: n) 100)`;
    expect(evaluate(pairs, { maxCallDepth: 50 })).toBe("true");
  });
});

describe("commands' helpers", () => {
  it("call functions with what is given, along an attribute path", () => {
    const evaluator = createEvaluator(new TestHost());
    const text = "{ n ? 1 }: { a = [ 5 { b = { m ? 2, ... }: n + m; } ]; }";
    const value = evaluator.evalText(text, "/", { kind: "string", text });
    const { slot } = evaluator.selectAttrPath(value, "a.1.b", EMPTY_SET);
    expect(evaluator.autoCall(slot, EMPTY_SET)).toBe(3);
    expect(() => evaluator.selectAttrPath(value, "aa", EMPTY_SET)).toThrow(
      "attribute 'aa' in selection path 'aa' not found",
    );
    expect(() => evaluator.selectAttrPath(value, "a.7", EMPTY_SET)).toThrow("out of range");
  });

  it("import once, and directories by their default.nix", () => {
    const host = new TestHost();
    host.files.set("/virtual/a.nix", 'builtins.trace "read" { path = ./b; pos = __curPos; }');
    const evaluator = createEvaluator(host);
    evaluator.evalFile("/virtual/a.nix");
    expect(evaluator.evalText("(import /virtual/a.nix).pos.line", "/", { kind: "stdin", text: "" })).toBe(1);
    expect(host.messages).toEqual(["trace: read"]);
  });

  it("show what a name stands for once it is known, although it was not when it was named", () => {
    const host = new TestHost();
    evaluate("let x = { repeating = x; tracing = builtins.trace x true; }; in x.tracing", {}, host);
    expect(host.messages.map(textOfBytes)).toEqual([
      "trace: { repeating = «repeated»; tracing = «potential infinite recursion»; }",
    ]);
  });
});
