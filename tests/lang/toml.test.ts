import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { DevshellError, textOfBytes } from "../../core/index.ts";
import { errorOf, evaluate } from "./support/evaluate.ts";

const TIMESTAMPS = { features: new Set(["parse-toml-timestamps"]) };

function fromToml(text: string, options = {}): string {
  return evaluate(`builtins.fromTOML ${JSON.stringify(text).replaceAll("${", "\\${")}`, options);
}

function problemOf(text: string): string {
  return errorOf(`builtins.fromTOML ${JSON.stringify(text)}`);
}

describe("TOML", () => {
  it.each([
    ["a.b.c = 1\na.d = 2", "{ a = { b = { c = 1; }; d = 2; }; }"],
    ["[a.b]\nx = 1\n[a]\ny = 2", "{ a = { b = { x = 1; }; y = 2; }; }"],
    ["[[a]]\nx = 1\n[a.b]\ny = 2\n[[a]]", "{ a = [ { b = { y = 2; }; x = 1; } { } ]; }"],
    ["a = [ 1, [ 2 ], # no\n 'x', ]", '{ a = [ 1 [ 2 ] "x" ]; }'],
    ["a = { b.c = 1, 'd e' = {} }", '{ a = { b = { c = 1; }; "d e" = { }; }; }'],
    ["a = 0xff\nb = 0o17\nc = 0b11\nd = 1_000\ne = +1", "{ a = 255; b = 15; c = 3; d = 1000; e = 1; }"],
    ["a = 1e3\nb = -0.5\nc = inf\nd = 6.6e-34", "{ a = 1000; b = -0.5; c = inf; d = 6.6e-34; }"],
    ["a = '''\nx'y'''''", "{ a = \"x'y''\"; }"],
    ['a = """a\\\n   b"""', '{ a = "ab"; }'],
    ["a = true # yes\r\nb = false", "{ a = true; b = false; }"],
    ["", "{ }"],
  ])("%j", (text, value) => {
    expect(fromToml(text)).toBe(value);
  });

  it.each([
    "a",
    "a =",
    "a = 1 b = 2",
    "a = 1\na = 2",
    "a = 01",
    "a = 1__0",
    "[a]\n[a]",
    "a = {}\n[a.b]",
    "a = 1\na.b = 2",
    "a = [1",
    "a = '\n'",
    'a = "\\q"',
    "a = {b = 1,\n}",
    "[[a]]\n[a]",
    "a = [1]\n[[a]]",
    'a = "\\ud800"',
    "= 1",
    "a = tru",
  ])("%j is refused", (text) => {
    expect(problemOf(text)).toMatch(/^while parsing TOML: \[error\] .*\n --> fromTOML\n/s);
  });

  it("refuses integers beyond 64 bits and NUL", () => {
    expect(problemOf("a = 9223372036854775808")).toMatch(/too large integer/);
    expect(fromToml("a = -9223372036854775808")).toBe("{ a = -9223372036854775808; }");
    expect(problemOf('a = "\\u0000"')).toMatch(/contains null bytes/);
  });

  it("gives dates only where that is enabled", () => {
    expect(problemOf("a = 1979-05-27")).toBe("while parsing TOML: Dates and times are not supported");
    expect(fromToml("a = 1979-05-27 07:32:00.1234z", TIMESTAMPS)).toBe(
      '{ a = { _type = "timestamp"; value = "1979-05-27T07:32:00.123400Z"; }; }',
    );
    expect(fromToml("a = 07:32:00", TIMESTAMPS)).toBe(
      '{ a = { _type = "timestamp"; value = "07:32:00"; }; }',
    );
    expect(errorOf('builtins.fromTOML "a = 2023-02-29"', TIMESTAMPS)).toMatch(/invalid date/);
  });
});

/** A document, and what Nix 2.34 makes of it: a value, or a message with its excerpts. */
const GOLDEN = JSON.parse(
  readFileSync(join(import.meta.dirname, "golden/toml.json"), "utf8"),
) as readonly (readonly [document: string, answer: string])[];

describe("TOML of all shapes", () => {
  it.each(GOLDEN)("%j", (document, answer) => {
    // A string of Nix knows no escape for control characters: they stand as they are.
    const quoted = JSON.stringify(document).replaceAll("\\u0001", "\u0001");
    const given = (): string => {
      try {
        return evaluate(`builtins.fromTOML ${quoted}`);
      } catch (error) {
        if (error instanceof DevshellError) return `error: ${textOfBytes(error.message).trimEnd()}`;
        throw error;
      }
    };
    expect(given()).toBe(answer);
  });
});
