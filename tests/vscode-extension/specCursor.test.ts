import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { specCursorAt } from "../../vscode-extension/src/spec/specCursor.ts";
import { parseSpecDocument } from "../../vscode-extension/src/spec/specDocument.ts";
import { specFileOf, type SpecFile } from "../../vscode-extension/src/spec/specFile.ts";
import { readToml } from "../../vscode-extension/src/spec/tomlReader.ts";
import { placeAt } from "../../vscode-extension/src/spec/specTree.ts";
import { validateSpec } from "../../vscode-extension/src/spec/validateSpec.ts";
import { mendsOf } from "../../vscode-extension/src/spec/mendSpec.ts";
import { schema } from "./specSchema.ts";

function file(name: string): SpecFile {
  const found = specFileOf(`/p/${name}`, "plaintext");
  if (found === undefined) throw new Error(`no spec: ${name}`);
  return found;
}

/** `role path typed` at the mark `|`, with flags. */
function cursor(name: string, marked: string): string {
  const offset = marked.indexOf("¦");
  const text = marked.replace("¦", "");
  const at = specCursorAt(text, offset, file(name));
  if (at === undefined) return "none";
  const flags = [at.needsDash && "dash", at.isFlow && "flow", at.hasSeparator && "separator"];
  return [at.role, `/${at.path.join("/")}`, JSON.stringify(text.slice(at.start, at.end)), ...flags]
    .filter((word) => word !== false)
    .join(" ");
}

describe("the cursor in YAML", () => {
  it.each([
    ["¦", 'key / ""'],
    ["pack¦", 'key / "pack"'],
    ["pa¦ck: []", 'key / "pack" separator'],
    ["collection: debian\n¦\nsuite: sid\n", 'key / ""'],
    ["collection: ¦", 'value /collection ""'],
    ["collection: deb¦ian\n", 'value /collection "debian"'],
    ["collection: 'deb¦'\n", "value /collection \"'deb'\""],
    ["collection:¦", "none"],
    ["packages:\n  - gc¦\n", 'value /packages/0 "gc"'],
    ["packages:\n  - gcc\n  - ¦\n", 'value /packages/1 ""'],
    ["packages:\n- gcc\n- m¦\n", 'value /packages/1 "m"'],
    ["packages:\n- gcc\n¦\n", 'key / ""'],
    ["packages:\n  - gcc\n  ¦\n", 'value /packages/1 "" dash'],
    ["packages:\n  ¦", 'child /packages "" dash'],
    ["packages:\n  gc¦", 'child /packages "gc" dash'],
    ['packages:\n  - "gc¦"\n', 'value /packages/0 "\\"gc\\""'],
    ["packages:\n  - python3@3¦\n", 'value /packages/0 "python3@3"'],
    ["packages: [gcc, m¦]\n", 'value /packages/1 "m" flow'],
    ["packages: [gcc, ¦", 'value /packages/1 "" flow'],
    ["packages: [gcc,\n  make,\n  p¦\n]\nenv: {}\n", 'value /packages/2 "p" flow'],
    ["env:\n  CC: gcc\n  ¦\n", 'key /env ""'],
    ["env:\n  ¦\nsuite: sid\n", 'child /env "" dash'],
    ["env: { C¦ }\n", 'key /env "C" flow'],
    ["env: { CC: g¦ }\n", 'value /env/CC "g" flow'],
    ["services:\n  web:\n    com¦\n", 'child /services/web "com" dash'],
    ["services:\n  web:\n    command: x\n  ¦\n", 'key /services ""'],
    ["shellHook: |\n  echo ¦\nsuite: sid\n", "none"],
    ["shellHook: |\n  echo\n¦\nsuite: sid\n", 'key / ""'],
    ["shellHook: |\n  echo\n\n  ¦\n", "none"],
    ["# packa¦", "none"],
    ["collection: debian # deb¦", "none"],
    ["collection: debian\n  ¦\n", "none"],
    ["pure: t¦\n", 'value /pure "t"'],
    ["---\nsuite: s¦\n", 'value /suite "s"'],
    ["unset:\n  - A\nkeep:\n  - ¦", 'value /keep/0 ""'],
    ["env:\n  A: b\npackages:\n  - ¦", 'value /packages/0 ""'],
    ["packages: [gcc\nsuite: s¦", 'value /suite "s"'],
    ['collection: "de\\\nsuite: s¦', 'value /suite "s"'],
    ['"pack¦": []', 'key / "\\"pack\\"" separator'],
    ["packages:\r\n  - gcc\r\n  - m¦\r\n", 'value /packages/1 "m"'],
  ])("%j: %s", (text, expected) => {
    expect(cursor("devshell.yaml", text)).toBe(expected);
  });
});

describe("the cursor in JSON", () => {
  it.each([
    ["{¦}", 'key / "" flow'],
    ['{ "¦" }', 'key / "\\"\\"" flow'],
    ['{ "pack¦": [] }', 'key / "\\"pack\\"" flow separator'],
    ['{ "packages": ["gc¦"] }', 'value /packages/0 "\\"gc\\"" flow'],
    ['{ "packages": ["gcc", "¦] }', 'value /packages/1 "\\"" flow'],
    ['{ "packages": ["gcc", ¦\n "env": {} }', 'value /packages/1 "" flow'],
    ['{ "packages": ["gcc"\n "env": { "C¦" } }', 'key /env "\\"C\\"" flow'],
    ['{ "pure": t¦ }', 'value /pure "t" flow'],
    ['{ "pure": true, ¦', 'key / "" flow'],
    ['{ "packages": ["gc\\\n "m¦', 'value /packages/1 "\\"m" flow'],
    ["{ // note ¦\n }", "none"],
    ['{ "pure" ¦ }', "none"],
    ['{ "env": { "A": "b" }, "suite": "¦" }', 'value /suite "\\"\\"" flow'],
    ["¦", 'value / "" flow'],
  ])("%j: %s", (text, expected) => {
    expect(cursor("devshell.json", text)).toBe(expected);
  });

  it("looks only into package.json's own field", () => {
    expect(cursor("package.json", '{ "name": "¦" }')).toBe("none");
    expect(cursor("package.json", '{ "devshell": { "pa¦" } }')).toBe('key / "\\"pa\\"" flow');
    expect(cursor("package.json", '{ "devshell": { "packages": ["g¦"] } }')).toBe(
      'value /packages/0 "\\"g\\"" flow',
    );
  });

  it("is found in .devshellrc, too", () => {
    expect(cursor(".devshellrc", '{ "packages": ["g¦"] }')).toBe('value /packages/0 "\\"g\\"" flow');
  });
});

describe("the cursor in TOML", () => {
  it.each([
    ["¦", 'key / ""'],
    ["pack¦", 'key / "pack"'],
    ['collection = "deb¦"\n', 'value /collection "\\"deb\\""'],
    ["collection = ¦\n", 'value /collection ""'],
    ['packages = ["gcc", "m¦"]\n', 'value /packages/1 "\\"m\\"" flow'],
    ['packages = [\n  "gcc",\n  "¦\n]\n', 'value /packages/1 "\\"" flow'],
    ['packages = [\n  "gcc",\n[env]\nC¦', 'key /env "C"'],
    ['packages = [ "gcc",\nsuite = "s¦"\n', 'value /suite "\\"s\\""'],
    ['[env]\nCC = "gcc"\n¦\n', 'key /env ""'],
    ["[en¦]\n", 'header / "en"'],
    ["[¦", 'header / ""'],
    ["[services.w¦", 'header /services "w"'],
    ["[services.web]\ncom¦", 'key /services/web "com"'],
    ["services.web.com¦", 'key /services/web "com"'],
    ["env = { C¦ }\n", 'key /env "C" flow'],
    ['env = { CC = "g¦" }\n', 'value /env/CC "\\"g\\"" flow'],
    ['suite = "s\\\npack¦', 'key / "pack"'],
    ["# pack¦", "none"],
    ['shellHook = """\necho ¦\n"""\n', "none"],
    ["pure = t¦", 'value /pure "t"'],
    ['suite = "sid" ¦\n', "none"],
  ])("%j: %s", (text, expected) => {
    expect(cursor("devshell.toml", text)).toBe(expected);
  });

  it("reads tables, dotted keys and where they stand", () => {
    const text = '[env]\nCC = "gcc"\n[services.web]\ncommand = "x"\n';
    const { root } = readToml(text);
    expect(root.entries.map(({ key }) => key)).toEqual(["env", "services"]);
    expect(placeAt(root, text.indexOf("gcc"))?.path).toEqual(["env", "CC"]);
    expect(placeAt(root, text.indexOf("command"))?.path).toEqual(["services", "web", "command"]);
    expect(placeAt(root, text.indexOf("env"))).toMatchObject({ path: ["env"], isKey: true });
  });
});

describe("broken documents", () => {
  const whole: Readonly<Record<string, string>> = {
    "devshell.yaml":
      "collection: debian\npackages: [gcc, 'make']\nenv:\n  CC: \"gcc\"\nshellHook: |\n  echo\nunset:\n- A\n",
    "devshell.json":
      '{ "packages": ["gcc", "make"], "env": { "CC": "gcc" }, "pure": true, "services": { "w": { "command": "x" } } }',
    "devshell.toml":
      'packages = [\n "gcc",\n]\nshellHook = """\nx\n"""\n[env]\nCC = \'gcc\'\n[services."w"]\ncommand = "x"\n',
    "package.json": '{ "name": "x", "devshell": { "packages": ["gcc"] } }',
  };
  const pieces = [
    '"',
    "'",
    "{",
    "}",
    "[",
    "]",
    ":",
    "=",
    ",",
    "\n",
    "  ",
    "- ",
    "|",
    "#",
    "\\",
    "é𝒳",
    "&a",
    "*a",
    "!",
  ];

  it.each(Object.keys(whole))("%s: whatever is cut, doubled or put in, nothing throws", (name) => {
    const text = whole[name] ?? "";
    const edits = fc.array(
      fc.record({
        at: fc.nat(text.length),
        drop: fc.nat(6),
        put: fc.oneof(fc.constantFrom(...pieces), fc.string({ maxLength: 3 })),
      }),
      { maxLength: 4 },
    );
    fc.assert(
      fc.property(edits, fc.nat(), (list, position) => {
        let broken = text;
        for (const { at, drop, put } of list) broken = broken.slice(0, at) + put + broken.slice(at + drop);
        const offset = position % (broken.length + 1);
        const at = specCursorAt(broken, offset, file(name));
        if (at !== undefined) {
          expect(at.start).toBeLessThanOrEqual(offset);
          expect(at.end).toBeGreaterThanOrEqual(offset);
          expect(broken.slice(at.start, at.end)).not.toContain("\n");
        }
        const document = parseSpecDocument(broken, file(name));
        for (const problem of validateSpec(document, schema)) {
          expect(problem.start).toBeGreaterThanOrEqual(0);
          expect(problem.end).toBeLessThanOrEqual(broken.length);
          for (const { span } of mendsOf(document, problem)) {
            expect(span.start).toBeGreaterThanOrEqual(0);
            expect(span.end).toBeLessThanOrEqual(broken.length);
            expect(span.start).toBeLessThanOrEqual(span.end);
          }
        }
        placeAt(document.root, offset);
      }),
      { numRuns: 400 },
    );
  });

  it("reads no further than a nesting that no spec has", () => {
    for (const name of ["devshell.yaml", "devshell.json", "devshell.toml"]) {
      const deep = `${name.endsWith("toml") ? "x = " : '{"x": '}${"[".repeat(20_000)}`;
      specCursorAt(deep, deep.length, file(name));
      expect(Array.isArray(validateSpec(parseSpecDocument(deep, file(name)), schema))).toBe(true);
    }
  });
});
