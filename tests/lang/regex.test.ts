import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RegexMachine } from "../../lang/builtins/regex/machine.ts";
import { compileRegex } from "../../lang/builtins/regex/program.ts";
import { Regex, RegexError } from "../../lang/builtins/regex/regex.ts";
import { parseRegex } from "../../lang/builtins/regex/syntax.ts";
import { translateRegex } from "../../lang/builtins/regex/translate.ts";

function split(pattern: string, text: string): unknown[] {
  const parts: unknown[] = [];
  let last = 0;
  new Regex(pattern).forEachMatch(text, (start, end, groups) => {
    parts.push(text.slice(last, start), [...groups]);
    last = end;
  });
  return [...parts, text.slice(last)];
}

function reasonOf(pattern: string): string {
  try {
    parseRegex(pattern);
  } catch (error) {
    if (error instanceof RegexError) return error.reason;
  }
  return "valid";
}

const PATTERNS = [
  "(a|b)*c",
  "([a-c]+)(b?)",
  "a*(ab)?",
  "(a+)(b{1,2})?c*",
  "((a)b)+",
  "[^a]+|a",
  "(x|a)(b)?",
  "a?b?c?",
  "(ab|c)+d?",
  "^a*$",
];

describe("regular expressions", () => {
  it.each([
    "(",
    ")",
    "a**b)",
    "*",
    "a|*",
    "{1}",
    "a{",
    "a{2,1}",
    "a{,2}",
    "[",
    "[a",
    "[[:foo:]]",
    "[b-a]",
    "[a-[:alpha:]]",
    "[-----]",
    "\\",
    "\\d",
    "\\]",
    "[[.-.]]",
    "^*",
    "(*a)",
  ])("%s is none", (pattern) => {
    expect(reasonOf(pattern)).toBe("syntax");
  });

  it.each(["a{99995}", "(a{1,1000}){1,1000}", "((a{100}){100}){100}"])("%s is too large", (pattern) => {
    expect(reasonOf(pattern)).toBe("space");
  });

  it.each([
    "",
    "()",
    "a||b",
    "(|a)",
    "a}",
    "a]",
    "[]a]",
    "[^]a]",
    "[a-]",
    "[--a]",
    "[[.hyphen.]-a]",
    "a{0}",
    "a{2}{3}",
    "a*+",
    "a**",
  ])("%s is valid", (pattern) => {
    expect(reasonOf(pattern)).toBe("valid");
  });

  it("compares ranges as signed bytes", () => {
    expect(reasonOf("[\x01-\xff]")).toBe("syntax");
    expect(new Regex("[\x80-\x01]").matchWhole("\xff")).toEqual([]);
  });

  it("takes the longest of alternatives, and the first greedy way otherwise", () => {
    expect(split("a|ab|abc", "abcd")).toEqual(["", [], "d"]);
    expect(split("a*(ab)?", "aab")).toEqual(["", [undefined], "", [undefined], "b", [undefined], ""]);
  });

  it("keeps what a group matched in an earlier round", () => {
    expect(new Regex("((a)|b)*").matchWhole("ab")).toEqual(["b", "a"]);
  });

  it.each([
    ["(a*)*b", "a".repeat(50_000)],
    ["(a|a)*b", "a".repeat(50_000)],
    ["(.*a)*(.*b)*c", "ab".repeat(10_000)],
    ["(x+x+)+y", "x".repeat(20_000)],
    [".*.*.*.*.*.*.*=", "x".repeat(5_000)],
  ])("%s cannot hang", (pattern, text) => {
    expect(new Regex(pattern).matchWhole(text)).toBeUndefined();
  });

  it("splits long texts in time that grows with them", () => {
    expect(split("(a|b)|c", "abcd".repeat(20_000))).toHaveLength(120_001);
  });

  it("gives the same by JavaScript's engine as by its own", () => {
    let translatedCount = 0;
    fc.assert(
      fc.property(fc.constantFrom(...PATTERNS), fc.stringMatching(/^[abcdx]{0,10}$/), (pattern, text) => {
        const parsed = parseRegex(pattern);
        const translated = translateRegex(parsed, false);
        if (translated === undefined) return;
        translatedCount++;
        const match = new RegExp(`^(?:${translated.source})$`).exec(text);
        const captures = new RegexMachine(compileRegex(parsed), text).search({
          from: 0,
          isExact: true,
          isContinuation: false,
          hasPrevious: false,
        });
        const groups = captures?.slice(2);
        const own =
          groups === undefined
            ? undefined
            : Array.from({ length: parsed.groupCount }, (_, i) =>
                groups[i * 2 + 1]! < 0 ? undefined : text.slice(groups[i * 2], groups[i * 2 + 1]),
              );
        expect(own).toEqual(match === null ? undefined : match.slice(1));
      }),
      { numRuns: 2000, seed: 1 },
    );
    expect(translatedCount).toBeGreaterThan(500);
  });
});
