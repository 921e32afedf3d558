import { describe, expect, it } from "vitest";
import { textOfBytes } from "../../core/index.ts";
import { createEvaluator } from "../../lang/index.ts";
import type { EvalHost } from "../../lang/index.ts";
import { TestHost } from "./support/testHost.ts";

function evaluatorWith(level: "warn" | "fatal", rule: string) {
  const warnings: string[] = [];
  const host = {
    storeDir: "/nix/store",
    currentSystem: "x86_64-linux",
    currentTime: 0,
    environmentVariable: (name: string) => (name === "HOME" ? "/home/u" : undefined),
    warn: (message: string) => void warnings.push(message),
  } as unknown as EvalHost;
  const evaluator = createEvaluator(host, { lints: new Map([[rule, level]]) });
  const parse = (text: string) => evaluator.parse(text, "/base", { kind: "string", text });
  return { parse, warnings, evaluator };
}

describe("lints", () => {
  it("warn of `or` as an operand's last word", () => {
    const { parse, warnings } = evaluatorWith("warn", "lint-url-literals");
    parse("with { }; [ (x or) ] ++ x (x or) ++ (x or 1)");
    expect(warnings).toEqual([]);
    parse("with { }; [ x\n  or ]");
    parse("with { }; x x or");
    parse("with { }; x.y or x or");
    expect(warnings.map((text) => textOfBytes(text).split("\n").slice(0, -1))).toEqual(
      ["1:13", "1:13", "1:18"].map((place, index) => [
        `at «string»:${place}: This expression uses \`or\` as an identifier in a way that will change in a future Nix release.`,
        "Wrap this entire expression in parentheses to preserve its current meaning:",
        ...["    (x\n  or)", "    (x or)", "    (x or)"][index]!.split("\n"),
      ]),
    );
  });

  it("warn with the place, and name the setting", () => {
    const { parse, warnings } = evaluatorWith("warn", "lint-short-path-literals");
    parse("[ a/b ./c ]");
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toBe(
      "relative path literal 'a/b' should be prefixed with '.' for clarity: './a/b' (lint-short-path-literals)\n" +
        "         at «string»:1:3:\n              1| [ a/b ./c ]\n               |   ^",
    );
  });

  it.each([
    ["lint-absolute-path-literals", "/tmp/foo", "absolute path literals are not portable"],
    ["lint-absolute-path-literals", "~/foo", "home path literals are not portable"],
    ["lint-url-literals", "http://example.com", "URL literals are disallowed"],
    ["lint-short-path-literals", "a/b", "relative path literal 'a/b'"],
  ])("%s fails at %s when fatal", (rule, text, message) => {
    expect(() => evaluatorWith("fatal", rule).parse(text)).toThrow(message);
  });

  it("leave what they do not mind", () => {
    const { parse, warnings } = evaluatorWith("fatal", "lint-short-path-literals");
    parse('[ ./a ../b /c "http://d" ]');
    expect(warnings).toEqual([]);
  });
});

describe("parsing alone", () => {
  it("finds undefined variables", () => {
    const { parse } = evaluatorWith("warn", "lint-url-literals");
    expect(() => parse("x: y")).toThrow("undefined variable 'y'");
  });
});

describe("the built-in search path", () => {
  it("is found, and not part of builtins.nixPath", () => {
    const host = {
      storeDir: "/nix/store",
      currentSystem: "x86_64-linux",
      currentTime: 0,
      environmentVariable: () => undefined,
      resolveSearchPathEntry: (entry: string) => entry,
      fileType: (path: string) => (path === "/built-in" ? "directory" : undefined),
    } as unknown as EvalHost;
    const evaluator = createEvaluator(host, {
      searchPath: [{ prefix: "a", value: "/a" }],
      builtInSearchPath: [{ prefix: "own", value: "/built-in" }],
    });
    const run = (text: string) => evaluator.evalText(text, "/", { kind: "string", text });
    expect(evaluator.findFile("own")).toBe("/built-in");
    expect(run("builtins.length builtins.nixPath")).toBe(1);
  });
});

describe("an identifier `or`", () => {
  it.each([
    ["let or = 1; in [ (x: x) or ]", "((x: x) or)"],
    ["let or = 1; in (x: x) (y: y) or", "((y: y) or)"],
    ["let or = 1; in { a = 2; }.a or (x: x) or", "((x: x) or)"],
  ])("is warned of in %s", (text, shown) => {
    const host = new TestHost();
    createEvaluator(host).parse(text, "/", { kind: "string", text });
    expect(host.messages.join()).toContain(shown);
  });

  it("is not where it means the same with parentheses", () => {
    const host = new TestHost();
    const text = "let or = x: x; f = x: x; in map or [ (f or) ]";
    createEvaluator(host).parse(text, "/", { kind: "string", text });
    expect(host.messages).toEqual([]);
  });
});
