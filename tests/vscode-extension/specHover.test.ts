import { describe, expect, it } from "vitest";
import {
  escapeMarkdown,
  fieldHover,
  packageHover,
  scriptHover,
  topicAt,
  variableHover,
  type SpecTopic,
} from "../../vscode-extension/src/spec/hoverSpec.ts";
import { isPackagesReport } from "../../vscode-extension/src/spec/packagesShape.ts";
import { parseSpecDocument } from "../../vscode-extension/src/spec/specDocument.ts";
import { specFileOf } from "../../vscode-extension/src/spec/specFile.ts";
import type { EnvironmentReport, VariableReport } from "../../cli/protocol/types.ts";
import { schema } from "./specSchema.ts";

const l10n = {
  t: (message: string, ...args: (string | number)[]) =>
    message.replace(/\{(\d+)\}/g, (_, n) => String(args[Number(n)])),
};

function topic(name: string, text: string, word: string): SpecTopic | undefined {
  const file = specFileOf(`/p/${name}`, "plaintext");
  if (file === undefined) throw new Error(name);
  return topicAt(parseSpecDocument(text, file), text.indexOf(word) + 1, schema);
}

const report = (variables: readonly VariableReport[]): EnvironmentReport => ({
  protocol: 1,
  state: "ready",
  id: "",
  name: "devshell",
  directory: "/p",
  selection: [],
  spec: { kind: "data", path: "/p/devshell.yaml", root: "/p" },
  drvPath: "/nix/store/x.drv",
  storeDir: "/nix/store",
  isPure: false,
  keep: [],
  variables,
  searchPaths: { programs: [], headers: [], libraries: [], pkgConfig: [] },
  scripts: [],
  packages: ["gcc"],
  roots: [
    "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-gcc-12.2.0",
    "/nix/store/1123456789abcdfghijklmnpqrsvwxyz-gcc-wrapper-12",
  ],
  hook: { state: "none" },
  watch: [],
  warnings: [],
  durationMs: 1,
});

describe("what a place is about", () => {
  it.each([
    ["devshell.yaml", "packages:\n  - gcc@12\n", "packages", { kind: "field", name: "packages" }],
    ["devshell.yaml", "packages:\n  - gcc@12\n", "gcc", { kind: "package", name: "gcc", version: "12" }],
    ["devshell.toml", 'inputsFrom = ["pan"]\n', "pan", { kind: "package", name: "pan" }],
    ["devshell.toml", "[env]\nCC = 'gcc'\n", "CC", { kind: "variable", name: "CC" }],
    ["devshell.json", '{ "unset": ["CC"] }', "CC", { kind: "variable", name: "CC" }],
    ["devshell.json", '{ "scripts": { "build": "make" } }', "build", { kind: "script", name: "build" }],
    ["package.json", '{ "devshell": { "pure": true } }', "pure", { kind: "field", name: "pure" }],
  ])("%s %j at %s", (name, text, word, expected) => {
    expect(topic(name, text, word)).toMatchObject(expected);
  });

  it("is nothing outside of the spec, in a value, in an unknown field", () => {
    expect(topic("package.json", '{ "name": "pure" }', "name")).toBeUndefined();
    expect(topic("devshell.yaml", "suite: sid\n", "sid")).toBeUndefined();
    expect(topic("devshell.yaml", "suits: sid\n", "suits")).toBeUndefined();
  });

  it("marks the word, quotes included", () => {
    const text = '{ "packages": ["gcc"] }';
    expect(topic("devshell.json", text, "gcc")).toMatchObject({
      start: text.indexOf('"gcc'),
      end: text.indexOf("]"),
    });
  });
});

describe("hovers", () => {
  it("of fields say type, meaning and default", () => {
    const text = fieldHover("collection", schema.properties?.["collection"] ?? {}, l10n);
    expect(text).toMatch(/^\*\*collection\*\*: string\n\n/);
    expect(text).toContain('Default: `"debian"`');
  });

  it("of variables say the value and who set it, but no secret", () => {
    const variables: readonly VariableReport[] = [
      {
        name: "CC",
        action: "set",
        value: "a ```b``` c",
        isSecret: false,
        origin: { by: "setup", detail: "gcc" },
      },
      { name: "TOKEN", action: "set", value: "hunter2", isSecret: true, origin: { by: "spec" } },
    ];
    const shown = variableHover("CC", report(variables), l10n);
    expect(shown).toContain("````\na ```b``` c\n````");
    expect(shown).toContain("(`gcc`)");
    expect(variableHover("TOKEN", report(variables), l10n)).not.toContain("hunter2");
    expect(variableHover("NONE", report(variables), l10n)).toContain("does not change it");
    expect(variableHover("CC", undefined, l10n)).toContain("No environment is loaded");
  });

  it("of scripts say how to run them", () => {
    expect(scriptHover("build", l10n)).toContain("devshell run build");
  });

  it("of packages say what they are, and where", () => {
    const facts = { name: "gcc", versions: ["12.2.0"], summary: "GNU *C* compiler" };
    const text = packageHover({ name: "gcc" }, facts, report([]), l10n);
    expect(text).toContain("GNU \\*C\\* compiler");
    expect(text).toContain("`12.2.0`");
    expect(text).toContain("-gcc-12.2.0`");
    expect(text).not.toContain("wrapper");
    expect(packageHover({ name: "gxx" }, null, undefined, l10n)).toContain("no package of this name");
    expect(packageHover({ name: "gxx" }, undefined, undefined, l10n)).toBe("**gxx**");
  });

  it("cannot be broken out of by what a spec says", () => {
    expect(escapeMarkdown("[x](command:y) <b>\n# z")).toBe("\\[x\\]\\(command:y\\) \\<b\\> \\# z");
  });
});

describe("what the CLI says of packages", () => {
  it("is taken only in the shape of the protocol", () => {
    const whole = {
      protocol: 1,
      collection: "debian",
      packages: [{ name: "a", versions: ["1"] }],
      isTruncated: false,
    };
    expect(isPackagesReport(whole)).toBe(true);
    expect(isPackagesReport({ ...whole, protocol: 2 })).toBe(false);
    expect(isPackagesReport({ ...whole, packages: [{ name: 1, versions: [] }] })).toBe(false);
    expect(isPackagesReport(null)).toBe(false);
  });
});
