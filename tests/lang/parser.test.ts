import { describe, expect, it } from "vitest";
import { DevshellError, formatError } from "../../core/index.ts";
import { parse, posOfExpr, printExpr } from "../../lang/syntax/index.ts";
import { registerSource, sourcePos } from "../../lang/value/index.ts";

const options = { baseDir: "/base", homeDir: "/home/me" };

function show(text: string, allowsPipes = false): string {
  return printExpr(parse(registerSource({ kind: "stdin", text }, text), { ...options, allowsPipes }));
}

function problem(text: string): string {
  try {
    show(text);
  } catch (error) {
    if (error instanceof DevshellError) return `${error.message} @ ${error.pos?.line}:${error.pos?.column}`;
    throw error;
  }
  throw new Error(`parses: ${text}`);
}

describe("parse: operators", () => {
  const cases: [string, string][] = [
    ["1 + 2 * 3", "(1 + (__mul 2 3))"],
    ["a - b - c", "(__sub (__sub a b) c)"],
    ["a ++ b ++ c", "(a ++ (b ++ c))"],
    ["a // b // c", "(a // (b // c))"],
    ["a -> b -> c", "(a -> (b -> c))"],
    ["!a && b || c", "(((! a) && b) || c)"],
    ["!a + b == c", "((! (a + b)) == c)"],
    ["!a ? b", "(! ((a) ? b))"],
    ["-a ? b", "(((__sub 0 a)) ? b)"],
    ["a < b", "(__lessThan a b)"],
    ["a >= b", "(! (__lessThan a b))"],
    ["f x y", "(f x y)"],
    ["(f x) y", "(f x y)"],
    ["a.b or c.d", "(a).b or ((c).d)"],
    ["map or [ ]", "(map or [ ])"],
    ['a ? b."c".${d}', '((a) ? b.c."${d}")'],
  ];
  for (const [text, expected] of cases)
    it(text, () => {
      expect(show(text)).toBe(expected);
    });

  it("pipes only where they are switched on", () => {
    expect(show("a |> b |> c", true)).toBe("(c (b a))");
    expect(show("a <| b <| c", true)).toBe("(a (b c))");
    expect(problem("a |> b")).toContain("'pipe-operators' is disabled");
  });

  it("comparisons do not chain", () => {
    expect(problem("a == b == c")).toBe("syntax error, unexpected '==' @ 1:8");
    expect(problem("a < b < c")).toBe("syntax error, unexpected '<' @ 1:7");
    expect(show("(a == b) == c")).toBe("((a == b) == c)");
  });
});

describe("parse: literals", () => {
  const cases: [string, string][] = [
    ["9223372036854775807", "9223372036854775807"],
    [".5", "0.5"],
    ["1.", "1"],
    ["1e3", "(1 e3)"],
    ["1.5e3", "1500"],
    ["./a/../b", "/base/b"],
    ["a/b", "/base/a/b"],
    ["~/x", "/home/me/x"],
    ["~/../x", "/home/me/../x"],
    ["./${a}/b", '(/base/ + a + "/b")'],
    ["<nixpkgs/lib>", '(__findFile __nixPath "nixpkgs/lib")'],
    ["http://a.b/c?d=e", '"http://a.b/c?d=e"'],
    ["x:y", '"x:y"'],
    ["x: y", "(x: y)"],
    ['"a${b}c"', '("a" + b + "c")'],
    ['"${b}"', "(b)"],
    ['"$${b} \\${c} \\n"', '"$\\${b} \\${c} \\n"'],
    ['"a\r\nb"', '"a\\nb"'],
    ["''\n    a\n      b\n  ''", '"a\\n  b\\n"'],
    ["''  x ${y}\n     z''", '("x " + y + "\\n   z")'],
    ["'' a ''${b} ''' $ ' ''", "\"a ${b} '' $ ' \""],
    ["''\n    $\n      '\n  \n   c\n     ''", '" $\\n   \'\\n\\nc\\n"'],
    ["/* a */ 1 # b", "1"],
    ["__curPos", "__curPos"],
  ];
  for (const [text, expected] of cases)
    it(JSON.stringify(text), () => {
      // Escapes keep the pieces of an indented string apart in the tree; the text is what matters here.
      expect(
        show(text)
          .replaceAll('" + "', "")
          .replace(/^\((".*")\)$/, "$1"),
      ).toBe(expected.replace(/^\((".*")\)$/, "$1"));
    });

  it("refuses what does not fit", () => {
    expect(problem("9223372036854775808")).toBe("invalid integer '9223372036854775808' @ 1:1");
    expect(problem("./a/ 1")).toBe("path has a trailing slash @ 1:5");
    expect(problem('"\0"')).toContain("null bytes");
  });

  it("says of a path at the end of the text what Nix's lexer says, which steps back to end it", () => {
    expect(problem("./a/")).toBe("path has a trailing slash @ 1:1");
    expect(problem("./a//")).toBe("path has a trailing slash @ 1:5");
    expect(problem("/x//y")).toBe("syntax error, unexpected end of path, expecting '${' @ 1:1");
    expect(problem("/x//y ")).toBe("syntax error, unexpected end of path, expecting '${' @ 1:4");
    expect(problem("[ ../b")).toContain("unexpected end of file @ 1:3");
    expect(problem("[ ./${a}b")).toContain("unexpected end of file @ 1:9");
    expect(problem("[ ./${a}")).toContain("unexpected end of file @ 1:8");
    expect(problem("[ ../b ")).toContain("unexpected end of file @ 1:8");
  });
});

describe("parse: sets and functions", () => {
  const cases: [string, string][] = [
    ["{ a.b = 1; a.c = 2; }", "{ a = { b = 1; c = 2; }; }"],
    ["{ a = { b = 1; }; a.c = 2; }", "{ a = { b = 1; c = 2; }; }"],
    ["rec { inherit a; inherit (b) c d; }", "rec { inherit a; inherit (b) c d; }"],
    ["{ x = { inherit (a) p; }; x = { inherit (b) q r; }; }", "{ x = { inherit (a) p; inherit (b) q r; }; }"],
    ['{ "a b" = 1; ${c} = 2; ${"d"} = 3; }', '{ "a b" = 1; d = 3; "${c}" = 2; }'],
    ["{ a, b ? 1, ... }@c: a", "({ a, b ? 1, ... } @ c: a)"],
    ["c@{ a }: a", "({ a } @ c: a)"],
    ["{ }: 1", "({  }: 1)"],
    ["{ a, }: 1", "({ a }: 1)"],
    ["let a = 1; in a", "(let a = 1; in a)"],
    ["let { body = 1; }", "(rec { body = 1; }).body"],
    ["with a; assert b; if c then d else e", "(with a; assert b; (if c then d else e))"],
  ];
  for (const [text, expected] of cases)
    it(text, () => {
      expect(show(text)).toBe(expected);
    });
});

it("each operator of a long row of ? knows its place", () => {
  const text = ` { }${" ? a".repeat(100_000)}`;
  const pos = posOfExpr(parse(registerSource({ kind: "stdin", text }, text), options));
  expect(sourcePos(pos)).toMatchObject({ line: 1, column: 2 });
});

describe("parse: errors are Nix's", () => {
  const cases: [string, string][] = [
    ["{ a = 1; a = 2; }", "attribute 'a' already defined at «stdin»:1:3 @ 1:10"],
    ["{ a.b = 1; a = { b = 2; }; }", "attribute 'a.b' already defined at «stdin»:1:3 @ 1:18"],
    ["{ x, y, x }: x", "duplicate formal function argument 'x' @ 1:9"],
    ["a@{ a }: x", "duplicate formal function argument 'a' @ 1:1"],
    ["{ 1 = x; }", "syntax error, unexpected integer, expecting 'inherit' @ 1:3"],
    ["{ a ... }", "syntax error, unexpected '...', expecting '.' or '=' @ 1:5"],
    ["{ x, y : 1 }", "syntax error, unexpected ':', expecting '}' or ',' @ 1:8"],
    ["a.if", "syntax error, unexpected 'if', expecting identifier or 'or' or '${' or '\"' @ 1:3"],
    ["if 1 else", "syntax error, unexpected 'else', expecting 'then' @ 1:6"],
    ["123 \u00e9", "syntax error, unexpected invalid token, expecting end of file @ 1:5"],
    ["let a = 1; b", "syntax error, unexpected end of file, expecting '.' or '=' @ 1:13"],
    ['a "b$', "syntax error, unexpected end of file, expecting '\"' @ 1:6"],
    ["", "syntax error, unexpected end of file @ 1:1"],
    ["let ${a} = 1; in a", "dynamic attributes not allowed in let @ 1:1"],
    ["{ inherit ${a}; }", "dynamic attributes not allowed in inherit @ 1:11"],
  ];
  for (const [text, expected] of cases)
    it(JSON.stringify(text), () => {
      expect(Buffer.from(problem(text), "latin1").toString()).toBe(expected);
    });

  it("a function has as many formals as Nix counts", () => {
    const formals = Array.from({ length: 65536 }, (_, i) => `a${i}`);
    expect(problem(`f ({ ${formals.join(", ")}, ... }: 1)`)).toBe(
      "too many formal arguments, implementation supports at most 65535 @ 1:4",
    );
    expect(() => show(`{ ${formals.slice(1).join(", ")} }: 1`)).not.toThrow();
  });

  it("shows the lines around the place", () => {
    const text = "{\n  a = 1;\n  b = ;\n}\n";
    let report = "";
    try {
      show(text);
    } catch (error) {
      report = formatError(error);
    }
    expect(report).toBe(
      [
        "error: syntax error, unexpected ';'",
        "       at «stdin»:3:7:",
        "            2|   a = 1;",
        "            3|   b = ;",
        "             |       ^",
        "            4| }",
      ].join("\n"),
    );
  });
});
