import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { DevshellError } from "../../core/index.ts";
import { parseDataSpec } from "../../env/spec/parseDataSpec.ts";
import {
  missingNames,
  replaceName,
  shortMessage,
  spanOfPosition,
  suggestionsOf,
} from "../../vscode-extension/src/spec/errorPlaces.ts";
import { rangeOfSpan } from "../../vscode-extension/src/spec/lineRanges.ts";
import { mendsOf } from "../../vscode-extension/src/spec/mendSpec.ts";
import { parseSpecDocument } from "../../vscode-extension/src/spec/specDocument.ts";
import { specFileOf } from "../../vscode-extension/src/spec/specFile.ts";
import { validateSpec, type SpecProblem } from "../../vscode-extension/src/spec/validateSpec.ts";
import { schema } from "./specSchema.ts";

function problemsOf(name: string, text: string): SpecProblem[] {
  const file = specFileOf(`/p/${name}`, "plaintext");
  if (file === undefined) throw new Error(name);
  return validateSpec(parseSpecDocument(text, file), schema);
}

/** The text after each mend, by the mend's kind and name. */
function mended(name: string, text: string): Record<string, string> {
  const file = specFileOf(`/p/${name}`, "plaintext");
  if (file === undefined) throw new Error(name);
  const document = parseSpecDocument(text, file);
  const mends = validateSpec(document, schema).flatMap((problem) => mendsOf(document, problem));
  return Object.fromEntries(
    mends.map(({ kind, name: what, span, text: put }) => [
      `${kind} ${what}`,
      text.slice(0, span.start) + put + text.slice(span.end),
    ]),
  );
}

describe("problems of a data spec", () => {
  it.each([
    ["devshell.yaml", "pakages: [gcc]\n", "pakages", 'unknown field "pakages"', ["packages"]],
    ["devshell.toml", "suite = 'sid'\npakages = []\n", "pakages", 'unknown field "pakages"', ["packages"]],
    ["devshell.json", '{ "pakages": [] }', '"pakages"', 'unknown field "pakages"', ["packages"]],
    ["devshell.yaml", "packages: gcc\n", "gcc", '"packages": expected a list, found the string "gcc"', []],
    ["devshell.yaml", "env:\n  A-B: x\n", "A-B", '"env": found name "A-B", which does not match', []],
    ["devshell.toml", "[env]\nX = []\n", "[]", '"env.X": expected a string or a number or true or false', []],
    ["devshell.yaml", "services:\n  web: {}\n", "{}", '"services.web": lacks the field "command"', []],
    ["devshell.toml", '[services.web]\ncomand = "x"\n', "comand", 'unknown field "comand"', ["command"]],
    [
      "devshell.yaml",
      "packages:\n  - gcc\n  - 'a b'\n",
      "'a b'",
      '"packages[1]": found the string "a b"',
      [],
    ],
    ["devshell.yaml", "packages:\n- 1\n", "1", '"packages[0]": expected a string, found the number 1', []],
  ])("%s %j", (name, text, marked, message, suggestions) => {
    const [problem] = problemsOf(name, text);
    expect(problem?.message).toContain(message);
    expect(text.slice(problem?.start, problem?.end)).toBe(marked);
    expect(problem?.suggestions).toEqual(suggestions);
  });

  it("are all told, and none of what is right", () => {
    expect(problemsOf("devshell.yaml", "a: 1\nb: 2\npure: 3\n").length).toBe(3);
    expect(problemsOf("devshell.yaml", "packages: [gcc@12, make]\nenv: { A: 1 }\npure: true\n")).toEqual([]);
    expect(problemsOf("package.json", '{ "name": "x" }')).toEqual([]);
    expect(problemsOf("package.json", '{ "nonsense": 1, "devshell": { "pur": true } }').length).toBe(1);
    expect(problemsOf("devshell.yaml", "")).toEqual([]);
  });

  it("of syntax have the parser's place", () => {
    const text = 'collection: debian\npackages: ["gcc\n';
    const [problem] = problemsOf("devshell.yaml", text);
    expect(problem).toMatchObject({ code: "SPEC_SYNTAX" });
    const [toml] = problemsOf("devshell.toml", "a = 1\nb = = 2\n");
    expect(toml).toMatchObject({ code: "SPEC_SYNTAX", start: "a = 1\nb = ".length });
  });

  it("are the CLI's, word for word and place for place", () => {
    const scalar = fc.oneof(
      fc.constantFrom("gcc", "a b", "", "$x"),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
    );
    const key = fc.constantFrom(
      "packages",
      "pakages",
      "env",
      "unset",
      "pure",
      "services",
      "command",
      "1x",
      "A",
    );
    const value = fc.letrec((tie) => ({
      any: fc.oneof({ maxDepth: 3 }, scalar, fc.array(tie("any"), { maxLength: 3 }), tie("map")),
      map: fc.dictionary(key, tie("any"), { maxKeys: 3 }),
    }));
    fc.assert(
      fc.property(value.map, fc.constantFrom("devshell.yaml", "devshell.json"), (data, name) => {
        const text = name.endsWith("json") ? JSON.stringify(data, undefined, 2) : stringify(data);
        const problems = problemsOf(name, text);
        let thrown: unknown;
        try {
          parseDataSpec(`/p/${name}`, text, name.endsWith("json") ? "json" : "yaml");
        } catch (error) {
          thrown = error;
        }
        const [first] = problems;
        if (!(thrown instanceof DevshellError)) {
          expect(first).toBeUndefined();
          return;
        }
        const more = problems.length - 1;
        const rest = more > 0 ? ` (and ${more} more ${more === 1 ? "problem" : "problems"})` : "";
        expect(thrown.message).toBe(`Cannot use spec "/p/${name}": ${first?.message}${rest}`);
        expect(thrown.suggestions).toEqual(first?.suggestions);
        const { start } = rangeOfSpan(text, first ?? { start: 0, end: 0 });
        expect({ line: start.line + 1, column: start.character + 1 }).toMatchObject({
          line: thrown.pos?.line,
          column: thrown.pos?.column,
        });
      }),
      { numRuns: 300 },
    );
  });
});

describe("mends", () => {
  it.each([
    ["devshell.yaml", "a: 1\npakages: [gcc]\n", "change packages", "a: 1\npackages: [gcc]\n"],
    ["devshell.json", '{ "pakages": [] }', "change packages", '{ "packages": [] }'],
    ["devshell.toml", "'pakages' = []\n", "change packages", "'packages' = []\n"],
    ["devshell.yaml", "xyz:\n  - a\n  - b\npure: true\n", "remove xyz", "pure: true\n"],
    ["devshell.yaml", "pure: true\nxyz: 1 # why\n", "remove xyz", "pure: true\n"],
    ["devshell.yaml", "{ pure: true, xyz: 1 }\n", "remove xyz", "{ pure: true }\n"],
    ["devshell.yaml", "{ xyz: 1, pure: true }\n", "remove xyz", "{ pure: true }\n"],
    ["devshell.json", '{\n  "xyz": [\n    1\n  ],\n  "pure": true\n}', "remove xyz", '{\n  "pure": true\n}'],
    ["devshell.json", '{\n  "pure": true,\n  "xyz": {}\n}', "remove xyz", '{\n  "pure": true\n}'],
    ["devshell.json", '{ "xyz": 1 }', "remove xyz", "{  }"],
    [
      "devshell.toml",
      "pure = true\nxyz = [\n 1,\n]\nsuite = 'sid'\n",
      "remove xyz",
      "pure = true\nsuite = 'sid'\n",
    ],
    ["devshell.toml", "[xyz]\na = 1\n\n[env]\nA = 'b'\n", "remove xyz", "[env]\nA = 'b'\n"],
    ["devshell.yaml", "packages: gcc\n", "makeList gcc", "packages: [gcc]\n"],
    ["devshell.toml", 'packages = "gcc"\n', 'makeList "gcc"', 'packages = ["gcc"]\n'],
    ["devshell.yaml", "packages: [3]\n", "makeText 3", 'packages: ["3"]\n'],
    ["devshell.yaml", 'pure: "yes"\n', "makeBoolean true", "pure: true\n"],
  ])("%s %j: %s", (name, text, mend, expected) => {
    expect(mended(name, text)[mend]).toBe(expected);
  });

  it("leave what is written in several places", () => {
    expect(mended("devshell.toml", "xyz.a = 1\npure = true\nxyz.b = 2\n")).toEqual({});
  });
});

describe("places of errors", () => {
  const position = (line: number, column: number, endColumn?: number) => ({
    path: "/p/x",
    line,
    column,
    endColumn,
  });
  const marked = (text: string, ...[line, column, end]: [number, number, number?]): string => {
    const span = spanOfPosition(text, position(line, column, end));
    return text.slice(span.start, span.end);
  };

  it("count bytes, and mark the word or what the CLI says", () => {
    expect(marked('a = "é𝒳" + bee;', 1, 16)).toBe("bee");
    expect(marked("let x = 1;\nin yy-z", 2, 4)).toBe("yy-z");
    expect(marked("packages: [ gcc@12 ]", 1, 13, 19)).toBe("gcc@12");
    expect(marked("a;", 1, 2)).toBe(";");
    expect(marked("{ a = 1;\n", 2, 1)).toBe("");
    expect(marked("{ a = 1;", 1, 9)).toBe(";");
    expect(marked("a\nb", 9, 9)).toBe("b");
    expect(marked("", 1, 1)).toBe("");
  });

  it("mark the name that is missing, where another stands before it", () => {
    const error = { code: "LANG_ATTRIBUTE_MISSING", message: "attribute 'mkae' missing" };
    const text = "[ pkgs.mkaee\n  pkgs.mkae ]";
    const span = spanOfPosition(text, position(1, 3), missingNames(error));
    expect(span.start).toBe(text.lastIndexOf("mkae"));
    expect(missingNames({ code: "LANG_THROWN", message: "no 'x' here" })).toEqual([]);
  });

  it("have replacements that keep quotes and version", () => {
    const missing = {
      code: "SPEC_PACKAGE",
      message: 'Cannot find package "gccc" in the collection "debian"',
    };
    expect(replaceName('"gccc@12"', "gcc", missing)).toBe('"gcc@12"');
    expect(replaceName("gccc", "gcc", missing)).toBe("gcc");
    expect(replaceName("make", "gcc", missing)).toBeUndefined();
    expect(replaceName("", "gcc", missing)).toBeUndefined();
    expect(
      replaceName("x'", "y", { code: "LANG_UNDEFINED_VARIABLE", message: "undefined variable 'x''" }),
    ).toBe("y");
  });

  it("have a short message, and suggestions from the hint, too", () => {
    expect(shortMessage('Cannot use spec "/a b/x": unknown field "y"')).toBe('Unknown field "y"');
    const error = { code: "LANG_UNDEFINED_VARIABLE", message: "undefined variable 'mkae'", suggestions: [] };
    expect(suggestionsOf({ ...error, hint: "did you mean 'make'?" })).toEqual(["make"]);
    expect(suggestionsOf({ ...error, hint: "try later" })).toEqual([]);
    expect(suggestionsOf({ ...error, suggestions: ["bkae", "mjae", "make"] })).toEqual([
      "make",
      "mjae",
      "bkae",
    ]);
  });
});
