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
