import { describe, expect, it } from "vitest";
import { DevshellError, formatError } from "../../core/index.ts";
import { reportOf } from "./support/failures.ts";

describe("error reports", () => {
  it("name the attribute, its definition and the place of use", () => {
    expect(reportOf('let\n  s = {\n    a = throw "no";\n  };\nin\ns.a')).toBe(
      [
        "error:",
        "       … while evaluating the attribute 'a'",
        "         at «string»:6:1:",
        "            5| in",
        "            6| s.a",
        "             | ^",
        "",
        "       … from the definition of 'a'",
        "         at «string»:3:5:",
        "            2|   s = {",
        '            3|     a = throw "no";',
        "             |     ^",
        "            4|   };",
        "",
        "       … while calling the 'throw' builtin",
        "         at «string»:3:9:",
        "            2|   s = {",
        '            3|     a = throw "no";',
        "             |         ^",
        "            4|   };",
        "",
        "       error: no",
      ].join("\n"),
    );
  });

  it("say nothing of the place of a function that mapAttrs got in place", () => {
    expect(reportOf('(builtins.mapAttrs (x: x + "1") { foo = 1; }).foo')).not.toContain("1:21");
  });

  it("suggest near names", () => {
    expect(reportOf("{ hello = 1; help = 2; }.helo")).toMatch(
      /error: attribute 'helo' missing\n {7}Did you mean one of hello or help\?$/,
    );
    expect(reportOf("({ colour }: 1) { color = 1; }")).toContain("called without required argument 'colour'");
    expect(reportOf("({ colour ? 1 }: 1) { color = 1; }")).toContain("Did you mean colour?");
    expect(reportOf("let value = 1; in vlaue")).toContain("hint: did you mean 'value'?");
    expect(reportOf("with { make = 1; }; with { gcc = 1; }; maek")).toMatch(
      /error: undefined variable 'maek'\n(?:.*\n)+ {7}hint: did you mean 'make'\?$/,
    );
  });

  it("mark where an infinite recursion is entered", () => {
    expect(reportOf("let a = b; b = a + 1; in a")).toContain("… entering the infinite recursion");
  });

  it.each([
    ["let a = { b = a.b; }; in a.b", "1:11"],
    ["let a = { b = a.b or 1; }; in a.b", "1:11"],
    ["let a = { b.c = a.b.c; }; in a.b.c", "1:11"],
    ["let x = { y = x.y.z; }; in x.y", "1:15"],
    ["let x = { y = f x.y; }; f = a: a; in x.y", "1:11"],
    ["let f = x: x.a; s = { a = f s; }; in s.a", "1:23"],
    ["let fix = f: let x = f x; in x; in (fix (self: { a = self.b; b = self.a; })).a", "1:50"],
    ["let x = { a = x.a; }; in x == x", "1:11"],
  ])("place an infinite recursion where Nix does: %s", (text, place) => {
    expect(reportOf(text)).toContain(`error: infinite recursion encountered\n       at «string»:${place}:`);
  });

  it("give an infinite recursion that a builtin enters no place but its call, as Nix", () => {
    expect(reportOf("let a = builtins.length a; in a")).toMatch(
      /… while calling the 'length' builtin\n +at «string»:1:9:\n(?:.*\n)+ +error: infinite recursion encountered$/,
    );
  });

  it("give each operator of a row of `++` or `!` its frame", () => {
    const framesOf = (text: string): string[] =>
      reportOf(text, { showTrace: true })
        .split("\n")
        .filter((line) => /…|error: |at «/.test(line))
        .map((line) => line.trim());
    expect(framesOf('[ ] ++ [ 1 ] ++ (throw "x") ++ 4')).toEqual([
      "… in the right operand of '++'",
      "at «string»:1:14:",
      "… in the right operand of '++'",
      "at «string»:1:29:",
      "… in the left operand of '++'",
      "at «string»:1:18:",
      "… while calling the 'throw' builtin",
      "at «string»:1:18:",
      "error: x",
    ]);
    expect(framesOf("1 ++ [ ] ++ 3")).toEqual([
      "… in the right operand of '++'",
      "at «string»:1:10:",
      "… while evaluating one of the elements to concatenate",
      "at «string»:1:10:",
      "error: expected a list but found an integer: 3",
    ]);
    expect(framesOf('!!(throw "x")').filter((line) => line.includes("'!'"))).toHaveLength(2);
  });

  it("show function calls with the trace", () => {
    const report = reportOf('let f = x: throw x; in f "no"', { showTrace: true });
    expect(report).toContain("… from call site\n         at «string»:1:24:");
    expect(report).toContain("… while calling 'f'\n         at «string»:1:9:");
  });

  it("cut long traces unless asked not to", () => {
    const error = new DevshellError("TEST", "broken", { hint: "mend it" });
    for (let i = 0; i < 9; i++) error.trace.push({ message: `frame ${i}` });
    const short = formatError(error);
    expect(short).toContain("frame 8");
    expect(short).not.toContain("frame 0");
    expect(short).toContain("(stack trace truncated; use '--show-trace' to show the full, detailed trace)");
    expect(formatError(error, { showTrace: true })).toContain("frame 0");
    expect(short).toMatch(/error: broken\n {7}hint: mend it$/);
  });

  it("count repeated frames", () => {
    const error = new DevshellError("TEST", "broken");
    for (let i = 0; i < 20; i++) error.trace.push({ message: "again" });
    expect(formatError(error, { showTrace: true })).toContain("(19 duplicate frames omitted)");
  });

  it("print what is no error of ours plainly", () => {
    expect(formatError(new Error("odd"))).toBe("error: odd");
  });
});
