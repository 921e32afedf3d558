import { describe, expect, it } from "vitest";
import { parse, printExpr, type ParseOptions } from "../../lang/syntax/index.ts";
import { registerSource } from "../../lang/value/index.ts";

function show(text: string, options: Partial<ParseOptions> = {}): string {
  const source = registerSource({ kind: "stdin", text }, text);
  return printExpr(parse(source, { baseDir: "/base", homeDir: "/home/me", ...options }));
}

describe("lexer: the longest token wins", () => {
  const cases: [string, string][] = [
    ["a-b:c", '"a-b:c"'],
    ["a+b.c:d", '"a+b.c:d"'],
    ["a_b:c", "(a_b: c)"],
    ["_a:b", "(_a: b)"],
    ["a'b:c", "(a'b: c)"],
    ["a::b", '"a::b"'],
    ["a:\nb", "(a: b)"],
    ["a.b/c", "/base/a.b/c"],
    ["a_b.c+d/e", "/base/a_b.c+d/e"],
    ["a.b.c", "(a).b.c"],
    ["a.b.c/d.e f.g", "(/base/a.b.c/d.e (f).g)"],
    ["-/a", "/base/-/a"],
    ["+/a", "/base/+/a"],
    [".../a", "/base/.../a"],
    ["a//b", "(a // b)"],
    ["a /b", "(a /b)"],
    ["a/ b", "(__div a b)"],
    ["1.5/2", "/base/1.5/2"],
    ["1.5.2/a", "/base/1.5.2/a"],
    ["1.a", "(1 a)"],
    ["a.b-c'd", "(a).b-c'd"],
    ["[ a.b/c.d ]", "[ (/base/a.b/c.d) ]"],
    ["a->b", "(__lessThan b a-)"],
    ["a ->b", "(a -> b)"],
    ["a<b", "(__lessThan a b)"],
    ["<a/b>", '(__findFile __nixPath "a/b")'],
    ["x <a/b", "(__lessThan x /base/a/b)"],
    ["iff.inn.or", "(iff).inn.or"],
    ["{ or = 1; }.or or or'", "({ or = 1; }).or or (or')"],
  ];
  for (const [text, expected] of cases)
    it(JSON.stringify(text), () => {
      expect(show(text)).toBe(expected);
    });
});

describe("lexer: blanks and comments", () => {
  const cases: [string, string][] = [
    ["1 # a\n2", "(1 2)"],
    ["1 # a\r2", "(1 2)"],
    ["1 # a\r\n2\r\n", "(1 2)"],
    ["1 #", "1"],
    ["1 # a", "1"],
    ["#\n#\n\t1 /**/ /* * / ** */ 2 /* a */", "(1 2)"],
    ["/* a */\r\n\t\n 1", "1"],
    ["a/**/b", "(a b)"],
    ["a#b\n", "a"],
  ];
  for (const [text, expected] of cases)
    it(JSON.stringify(text), () => {
      expect(show(text)).toBe(expected);
    });
});

it("tells more words apart than it remembers", () => {
  const words = Array.from(
    { length: 20_000 },
    (_, i) => `${["w", "in", "longer-than-inherit-"][i % 3]}${i * 7}`,
  );
  const text = `[ ${words.map((word) => `${word} (let x = ${word}; in if x then ${word} else x)`).join("\n")} ]`;
  const expected = words.map((word) => `(${word}) ((let x = ${word}; in (if x then ${word} else x))) `);
  expect(show(text)).toBe(`[ ${expected.join("")}]`);
});

it("a text may be parsed while another is, and short texts after long ones", () => {
  const inner: string[] = [];
  const text = `[ (a or) ${"x ".repeat(100_000)} (b or) "''" ]`;
  const printed = show(`[ f or ${text} g or ]`, {
    warn: () => {
      inner.push(show("''\n  a\n    b\n''"), show('"c'.padEnd(300, " ") + '"'));
    },
  });
  expect(printed).toBe(`[ ((f or)) (${show(text)}) ((g or)) ]`);
  expect(inner).toEqual([...Array(2)].flatMap(() => ['"a\\n  b\\n"', `"c${" ".repeat(298)}"`]));
  expect(show("1")).toBe("1");
});
