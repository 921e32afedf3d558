import { describe, expect, it } from "vitest";
import { JsonError, parseJson, type JsonBuilder } from "../../lang/builtins/json/jsonParser.ts";
import { errorOf, evaluate } from "./support/evaluate.ts";

const PLAIN: JsonBuilder<unknown, string[]> = {
  string: (text) => text,
  integer: (value) => value,
  float: (value) => ({ float: value }),
  boolean: (value) => value,
  null: () => null,
  list: (items) => items,
  shape: (names) => names,
  object: (names, values) => new Map(names.map((name, i) => [name, values[i]])),
};

function messageOf(text: string): string {
  try {
    parseJson(text, PLAIN);
  } catch (error) {
    if (error instanceof JsonError)
      return error.message.replace(/^\[json\.exception\.\w+\.\d+\] (?:parse error at )?/, "");
  }
  return "valid";
}

describe("JSON", () => {
  // As nlohmann's library words them, which Nix shows.
  it.each([
    [
      "",
      "line 1, column 1: attempting to parse an empty input; check that your input string or stream contains the expected JSON",
    ],
    [
      "{",
      "line 1, column 2: syntax error while parsing object key - unexpected end of input; expected string literal",
    ],
    [
      '{"a"',
      "line 1, column 5: syntax error while parsing object separator - unexpected end of input; expected ':'",
    ],
    ["[1 2]", "line 1, column 4: syntax error while parsing array - unexpected number literal; expected ']'"],
    [
      "[1,]",
      "line 1, column 4: syntax error while parsing value - unexpected ']'; expected '[', '{', or a literal",
    ],
    [
      "{a:1}",
      "line 1, column 2: syntax error while parsing object key - invalid literal; last read: '{a'; expected string literal",
    ],
    [
      "1 2",
      "line 1, column 3: syntax error while parsing value - unexpected number literal; expected end of input",
    ],
    [
      "01",
      "line 1, column 2: syntax error while parsing value - unexpected number literal; expected end of input",
    ],
    [
      "1.",
      "line 1, column 3: syntax error while parsing value - invalid number; expected digit after '.'; last read: '1.'",
    ],
    [
      '"a\nb"',
      "line 2, column 0: syntax error while parsing value - invalid string: control character U+000A (LF) must be escaped to \\u000A or \\n; last read: '\"a<U+000A>'",
    ],
    [
      '"\xff"',
      "line 1, column 2: syntax error while parsing value - invalid string: ill-formed UTF-8 byte; last read: '\"\xff'",
    ],
    [
      '"\\ud800x"',
      "line 1, column 8: syntax error while parsing value - invalid string: surrogate U+D800..U+DBFF must be followed by U+DC00..U+DFFF; last read: '\"\\ud800x'",
    ],
    ["1e999", "number overflow parsing '1e999'"],
    ["18446744073709551615", "unsigned json number 18446744073709551615 outside of Nix integer range"],
  ])("%j fails: %s", (text, message) => {
    expect(messageOf(text)).toBe(message);
  });

  it("tells integers from floats, to 64 bits", () => {
    expect(parseJson("[1,1.0,-0,1E2,9007199254740993,-9223372036854775809]", PLAIN)).toEqual([
      1,
      { float: 1 },
      0,
      { float: 100 },
      9007199254740993n,
      { float: -(2 ** 63) },
    ]);
  });

  it("keeps the last of equal names, wherever records differ", () => {
    expect(parseJson('[{"a":1,"b":2},{"a":3,"b":4},{"a":1,"a":2},{"b":1},{}]', PLAIN)).toEqual([
      new Map([
        ["a", 1],
        ["b", 2],
      ]),
      new Map([
        ["a", 3],
        ["b", 4],
      ]),
      new Map([["a", 2]]),
      new Map([["b", 1]]),
      new Map(),
    ]);
  });

  it("reads objects of very many names", () => {
    const names = Array.from({ length: 30_000 }, (_, i) => `"n${i}":${i}`);
    expect(parseJson(`{${names.join(",")},"n0":7}`, PLAIN)).toHaveProperty("size", 30_000);
  });

  it("nests as deep as memory allows", () => {
    const depth = 200_000;
    let value = parseJson("[".repeat(depth) + "]".repeat(depth), PLAIN);
    let levels = 0;
    while (Array.isArray(value)) {
      levels++;
      value = value[0];
    }
    expect(levels).toBe(depth);
  });

  it("reads 10 MB of records in linear time", () => {
    const record = '{"id":1,"name":"package","deps":["a","b"],"meta":{"x":1.5,"ok":true,"n":null}}';
    const text = `[${Array.from({ length: 120_000 }, () => record).join(",")}]`;
    const start = performance.now();
    parseJson(text, PLAIN);
    expect(performance.now() - start).toBeLessThan(60_000);
  });

  it("is printed as bytes, and refused where it would be no UTF-8", () => {
    expect(evaluate('builtins.toJSON "é\\u007f\\n"')).toBe('"\\"éu007f\\\\n\\""');
    expect(errorOf('builtins.toJSON (builtins.substring 0 1 "é")')).toMatch(
      /incomplete UTF-8 string; last byte: 0xC3/,
    );
    expect(errorOf('builtins.toJSON (builtins.substring 0 1 "é" + "x")')).toMatch(
      /invalid UTF-8 byte at index 1: 0x78/,
    );
  });
});
