import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DevshellError } from "../../core/index.ts";
import { InputTracker } from "../../env/inputTracker.ts";
import { discoverSpec } from "../../env/spec/discoverSpec.ts";
import { parseDataSpec } from "../../env/spec/parseDataSpec.ts";
import { specExpression } from "../../env/spec/specExpression.ts";

function failure(action: () => unknown): DevshellError {
  try {
    action();
  } catch (error) {
    if (error instanceof DevshellError) return error;
    throw error;
  }
  throw new Error("expected a failure");
}

describe("parseDataSpec", () => {
  it("reads every field and where it stands", () => {
    const spec = parseDataSpec(
      "/p/devshell.yaml",
      `collection: debian
suite: bookworm
packages: [gcc, python3@3.11]
env:
  CC: gcc
  LEVEL: 3
unset: [CFLAGS]
shellHook: |
  echo hi
scripts: { check: make check }
pure: true
keep: [EDITOR]
args: { sourceSuite: sid }
`,
      "yaml",
    );
    expect(spec.packages).toEqual([{ name: "gcc" }, { name: "python3", version: "3.11" }]);
    expect([...spec.env]).toEqual([
      ["CC", "gcc"],
      ["LEVEL", "3"],
    ]);
    expect(spec).toMatchObject({ suite: "bookworm", pure: true, keep: ["EDITOR"], shellHook: "echo hi\n" });
    expect(spec.positions.get("packages/1")).toMatchObject({ line: 3, column: 17 });
    expect(spec.positions.get("env/LEVEL")).toMatchObject({ line: 6, column: 3 });
  });

  it("names an unknown field's place and the nearest known one", () => {
    const error = failure(() => parseDataSpec("/p/devshell.yaml", "suite: sid\npakages: [gcc]\n", "yaml"));
    expect(error).toMatchObject({
      code: "SPEC_INVALID",
      suggestions: ["packages"],
      pos: { line: 2, column: 1 },
      message: 'Cannot use spec "/p/devshell.yaml": unknown field "pakages"',
    });
  });

  it("names a wrong type's place, in YAML, JSON and TOML alike", () => {
    const yaml = failure(() => parseDataSpec("/p/devshell.yaml", "packages:\n  - gcc\n  - 3\n", "yaml"));
    expect(yaml).toMatchObject({ pos: { line: 3, column: 5 } });
    expect(yaml.message).toBe(
      'Cannot use spec "/p/devshell.yaml": "packages[1]": expected a string, found the number 3',
    );
    const json = failure(() => parseDataSpec("/p/devshell.json", '{ "packages": "gcc" }', "json"));
    expect(json).toMatchObject({ pos: { line: 1, column: 15 } });
    const toml = failure(() => parseDataSpec("/p/devshell.toml", 'suite = "sid"\npure = "yes"\n', "toml"));
    expect(toml).toMatchObject({ code: "SPEC_INVALID", pos: { line: 2, column: 1 } });
  });

  it("names a syntax error's place", () => {
    expect(failure(() => parseDataSpec("/p/a.yaml", "packages: [gcc\nenv: {}\n", "yaml"))).toMatchObject({
      code: "SPEC_SYNTAX",
      pos: { line: 2 },
    });
    expect(failure(() => parseDataSpec("/p/a.toml", "packages = [\n", "toml")).code).toBe("SPEC_SYNTAX");
    expect(failure(() => parseDataSpec("/p/a.json", '{ "packages": [gcc] }', "json")).code).toBe(
      "SPEC_SYNTAX",
    );
  });

  it("counts columns in bytes", () => {
    const error = failure(() => parseDataSpec("/p/a.yaml", "{suite: sid, é: 1}\n", "yaml"));
    expect(error.pos).toMatchObject({ line: 1, column: 14 });
  });
});

describe("discoverSpec", () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "devshell-discover-"));
    mkdirSync(join(root, ".git"));
    mkdirSync(join(root, "a", "b"), { recursive: true });
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));
  const discover = (directory: string, files?: string[]) =>
    discoverSpec({ directory, files }, new InputTracker("/nix/store"));

  it("finds the nearest spec upward, data before Nix, up to the repository", async () => {
    await expect(discover(join(root, "a", "b"))).rejects.toMatchObject({ code: "SPEC_NOT_FOUND" });
    writeFileSync(join(root, "default.nix"), "{}");
    expect(await discover(join(root, "a", "b"))).toMatchObject({
      kind: "file",
      path: join(root, "default.nix"),
    });
    writeFileSync(join(root, "devshell.toml"), 'packages = ["gcc"]');
    expect(await discover(join(root, "a", "b"))).toMatchObject({
      kind: "data",
      path: join(root, "devshell.toml"),
    });
    writeFileSync(join(root, "a", "shell.nix"), "{}");
    expect(await discover(join(root, "a", "b"))).toMatchObject({
      kind: "file",
      path: join(root, "a", "shell.nix"),
    });
  });

  it("takes package.json only with its field", async () => {
    writeFileSync(join(root, "package.json"), '{"name": "x"}');
    writeFileSync(join(root, "shell.nix"), "{}");
    expect(await discover(root)).toMatchObject({ kind: "file" });
    writeFileSync(join(root, "package.json"), '{"name": "x", "devshell": {"packages": ["jq"]}}');
    expect(await discover(root)).toMatchObject({ kind: "data", data: { packages: [{ name: "jq" }] } });
    writeFileSync(join(root, "package.json"), '{"devshell": {"packages": 1}}');
    await expect(discover(root)).rejects.toMatchObject({
      code: "SPEC_INVALID",
      pos: { line: 1, column: 27 },
    });
  });

  it("runs devshell.ts", async () => {
    writeFileSync(
      join(root, "devshell.ts"),
      "const names: string[] = ['gcc'];\nexport default { packages: names };\n",
    );
    expect(await discover(root)).toMatchObject({ kind: "data", data: { packages: [{ name: "gcc" }] } });
  });

  it("records what it looked for, absent files too", async () => {
    writeFileSync(join(root, "shell.nix"), "{}");
    const tracker = new InputTracker("/nix/store");
    await discoverSpec({ directory: join(root, "a") }, tracker);
    const absent = tracker.inputs.filter((input) => input.kind === "absent").map((input) => input.path);
    expect(absent).toContain(join(root, "a", "devshell.yaml"));
    expect(absent).toContain(join(root, "a", "default.nix"));
    expect(absent).toContain(join(root, "devshell.yaml"));
  });

  it("tells sources that exclude one another apart", async () => {
    const request = { directory: root, expression: "1", packages: ["gcc"] };
    await expect(discoverSpec(request, new InputTracker("/nix/store"))).rejects.toMatchObject({
      code: "SPEC_CONFLICT",
    });
    expect(await discover(root, ["<nixpkgs>"])).toMatchObject({ kind: "searchPath", entry: "nixpkgs" });
  });
});

describe("specExpression", () => {
  it("makes what nix-shell makes of -p for nixpkgs", () => {
    expect(
      specExpression({ kind: "packages", names: ["hello", "jq"], collection: "nixpkgs", root: "/p" }),
    ).toMatchObject({
      text: '{...}@args: with import <nixpkgs> args; (pkgs.runCommandCC or pkgs.runCommand) "shell" { buildInputs = [ (hello) (jq) ]; } ""',
    });
  });

  it("takes build dependencies from source packages of <debian>, from attributes elsewhere", () => {
    const text = (yaml: string): unknown =>
      specExpression({
        kind: "data",
        path: "/p/devshell.yaml",
        root: "/p",
        data: parseDataSpec("/p/devshell.yaml", yaml, "yaml"),
      });
    expect(text("inputsFrom: [nano]")).toMatchObject({
      text: expect.stringContaining('inputsFrom = [ sources."nano" ]') as unknown,
    });
    expect(text("collection: nixpkgs\ninputsFrom: [nano]")).toMatchObject({
      text: expect.stringContaining('inputsFrom = [ (select "nano") ]') as unknown,
    });
  });

  it("quotes what a data spec holds", () => {
    const data = parseDataSpec(
      "/p/devshell.yaml",
      "packages: [g++]\nshellHook: 'echo \"${HOME}\"'\n",
      "yaml",
    );
    const expression = specExpression({ kind: "data", path: "/p/devshell.yaml", root: "/p", data });
    expect(expression).toMatchObject({ text: expect.stringContaining('(select "g++")') as unknown });
    expect(expression).toMatchObject({
      text: expect.stringContaining('shellHook = "echo \\"\\${HOME}\\""') as unknown,
    });
  });
});
