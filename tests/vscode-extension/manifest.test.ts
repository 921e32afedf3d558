import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { DATA_PLACES, NIX_PLACES } from "../../env/spec/discoverSpec.ts";
import { specSchemas } from "../../scripts/buildExtension.ts";
import { messagesOf, messagesOfSources } from "../../scripts/l10n.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const EXTENSION = join(ROOT, "vscode-extension");
const LANGUAGES = ["de"];

interface Manifest {
  readonly version: string;
  readonly engines: { readonly vscode: string };
  readonly extensionKind: readonly string[];
  readonly capabilities: {
    readonly virtualWorkspaces: boolean;
    readonly untrustedWorkspaces: {
      readonly supported: string;
      readonly description: string;
      readonly restrictedConfigurations: readonly string[];
    };
  };
  readonly activationEvents: readonly string[];
  readonly dependencies?: unknown;
  readonly contributes: {
    readonly commands: readonly {
      readonly command: string;
      readonly title: string;
      readonly category: string;
    }[];
    readonly menus: Record<string, readonly { readonly command: string; readonly when?: string }[]>;
    readonly configuration: { readonly properties: Record<string, Setting> };
    readonly problemPatterns: readonly { readonly name: string; readonly regexp: string }[];
    readonly problemMatchers: readonly { readonly name: string; readonly pattern: string }[];
    readonly terminal: { readonly profiles: readonly { readonly id: string }[] };
    readonly keybindings?: unknown;
  };
}

interface Setting {
  readonly type: string;
  readonly scope: string;
  readonly default: unknown;
  readonly markdownDescription: string;
  readonly enum?: readonly string[];
  readonly markdownEnumDescriptions?: readonly string[];
}

const text = (path: string): string => readFileSync(join(EXTENSION, path), "utf8");
const strings = (path: string): Record<string, string> => JSON.parse(text(path)) as Record<string, string>;
const manifest = JSON.parse(text("package.json")) as Manifest;
const { commands, menus, configuration, problemPatterns, problemMatchers } = manifest.contributes;
const commandIds = commands.map(({ command }) => command);
const sources = readdirSync(join(EXTENSION, "src"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => text(`src/${name}`))
  .join("\n");
/** `{0}`, and commands that a text links to: the same in every language. */
const fixedParts = (message: string): readonly string[] =>
  (message.match(/\{\d+\}|\(command:[^)]*\)|`[^`]*`/g) ?? []).sort();

describe("the manifest", () => {
  it("has the version of the CLI", () => {
    const root = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { readonly version: string };
    expect(manifest.version).toBe(root.version);
  });

  it("runs beside the files, in any VS Code since 1.100, with no package at run time", () => {
    expect(manifest.engines.vscode).toBe("^1.100.0");
    expect(manifest.extensionKind).toEqual(["workspace"]);
    expect(manifest.capabilities.virtualWorkspaces).toBe(false);
    expect(manifest.dependencies).toBeUndefined();
  });

  it("is limited in untrusted workspaces, which cannot choose the program", () => {
    const { supported, description, restrictedConfigurations } = manifest.capabilities.untrustedWorkspaces;
    expect(supported).toBe("limited");
    expect(description).toMatch(/^%.+%$/);
    expect(restrictedConfigurations).toEqual(["devshell.path", "devshell.arguments", "devshell.environment"]);
  });

  it("is activated by every place of a spec, and never by every window", () => {
    const places = manifest.activationEvents.flatMap(
      (event) => /^workspaceContains:(.*)$/.exec(event)?.[1] ?? [],
    );
    expect(places.sort()).toEqual([...DATA_PLACES, ...NIX_PLACES].sort());
    expect(manifest.activationEvents).not.toContain("*");
    expect(manifest.activationEvents).not.toContain("onStartupFinished");
  });

  it("gives each setting the scope that it needs", () => {
    const scopes = Object.entries(configuration.properties).map(([name, { scope }]) => [name, scope]);
    expect(Object.fromEntries(scopes)).toEqual({
      "devshell.path": "machine-overridable",
      "devshell.arguments": "machine-overridable",
      "devshell.environment": "machine-overridable",
      "devshell.enabled": "resource",
      "devshell.attribute": "resource",
      "devshell.timeoutSeconds": "resource",
      "devshell.restartExtensions": "window",
      "devshell.extensionHost": "window",
      "devshell.statusBar": "window",
    });
  });

  it("explains every value of an enumeration", () => {
    for (const setting of Object.values(configuration.properties))
      expect(setting.markdownEnumDescriptions?.length).toBe(setting.enum?.length);
  });

  it("names no command in menus, the walkthrough or Markdown that it does not have", () => {
    const texts = ["package.nls.json", ...LANGUAGES.map((language) => `package.nls.${language}.json`)].map(
      text,
    );
    const named = [
      ...Object.values(menus).flatMap((items) => items.map(({ command }) => command)),
      ...[...JSON.stringify(manifest).matchAll(/onCommand:(devshell\.\w+)/g)].map((match) => match[1]),
      ...texts.flatMap((content) =>
        [...content.matchAll(/command:(devshell\.\w+)/g)].map((match) => match[1]),
      ),
    ];
    expect(named.filter((command) => !commandIds.includes(command ?? ""))).toEqual([]);
    expect(named.length).toBeGreaterThan(5);
  });

  it("has a category for every command, and no key bindings of its own", () => {
    expect(commands.filter(({ category }) => category !== "Devshell")).toEqual([]);
    expect(manifest.contributes.keybindings).toBeUndefined();
  });

  it("has only files that exist", () => {
    const files = [
      ...JSON.stringify(manifest).matchAll(/"(?:\.\/)?((?:media|walkthrough)\/[\w./-]*|l10n)"/g),
    ];
    expect(files.length).toBeGreaterThan(5);
    expect(files.map((match) => match[1] ?? "").filter((file) => !existsSync(join(EXTENSION, file)))).toEqual(
      [],
    );
  });

  it("has the pictures of its README and its walkthrough, and shows the same in both", () => {
    const pictures = (path: string): readonly string[] =>
      [...text(path).matchAll(/!\[[^\]]+\]\((?:\.\.\/)?(media\/[^)]+)\)/g)]
        .map((match) => match[1] ?? "")
        .sort();
    const shown = pictures("README.md");
    expect(shown.length).toBeGreaterThan(3);
    expect(shown.filter((file) => !existsSync(join(EXTENSION, file)))).toEqual([]);
    for (const page of ["pictures", ...LANGUAGES.map((language) => `pictures.nls.${language}`)])
      expect(pictures(`walkthrough/${page}.md`)).toEqual(shown);
  });

  it("uses only context keys that the extension sets", () => {
    const keys = [...JSON.stringify(menus).matchAll(/\bdevshell\.(?:is|has)\w+/g)].map(([key]) => key);
    expect(keys.length).toBeGreaterThan(0);
    expect([...new Set(keys)].filter((key) => !sources.includes(`"${key}"`))).toEqual([]);
  });

  it("has each command, setting and terminal profile that the extension's code speaks of", () => {
    const lacking = [...commandIds, ...manifest.contributes.terminal.profiles.map(({ id }) => id)].filter(
      (id) => !sources.includes(`"${id}"`),
    );
    expect(lacking).toEqual([]);
    const unread = Object.keys(configuration.properties).filter((name) => {
      const key = name.slice("devshell.".length);
      return !new RegExp(`"(?:devshell\\.)?${key}"`).test(sources);
    });
    expect(unread).toEqual([]);
  });
});

describe("problem matchers", () => {
  const match = (name: string, line: string): readonly (string | undefined)[] | undefined => {
    const pattern = problemPatterns.find((candidate) => candidate.name === name);
    const found = new RegExp(pattern?.regexp ?? "(?!)").exec(line);
    return found === null ? undefined : [...found].slice(1);
  };

  it("each have their pattern", () => {
    const names = problemPatterns.map(({ name }) => `$${name}`);
    expect(problemMatchers.filter(({ pattern }) => !names.includes(pattern))).toEqual([]);
  });

  it.each([
    ["hello.c:12:9: error: ‘count’ undeclared", ["hello.c", "12", "9", "error", "‘count’ undeclared"]],
    [
      "src/a.c:1:10: fatal error: zlib.h: No such file",
      ["src/a.c", "1", "10", "error", "zlib.h: No such file"],
    ],
    ["a.c:3: warning: old style", ["a.c", "3", undefined, "warning", "old style"]],
    ["make: *** [Makefile:7: hello] Error 1", undefined],
    ["hello.c: In function ‘main’:", undefined],
  ])("gcc: %s", (line, expected) => {
    expect(match("devshell-gcc", line)).toEqual(expected);
  });

  it.each([
    ["test_wordcount.py:12: AssertionError", ["test_wordcount.py", "12", "AssertionError"]],
    ["tests/a.py:3: ValueError: no", ["tests/a.py", "3", "ValueError: no"]],
    ["test_wordcount.py::test_counts PASSED", undefined],
  ])("python: %s", (line, expected) => {
    expect(match("devshell-python", line)).toEqual(expected);
  });
});

describe("localisation", () => {
  const english = strings("package.nls.json");
  const used = [...JSON.stringify(manifest).matchAll(/"%([^%"]+)%"/g)].map((match) => match[1] ?? "");

  it("every title, description and label of the manifest is a key", () => {
    const shown = JSON.stringify(manifest).matchAll(
      /"(?:title|label|altText|description|markdownDescription)":"([^"]*)"|"markdownEnumDescriptions":\[([^\]]*)\]/g,
    );
    const plain = [...shown]
      .flatMap((match) => match[1] ?? (match[2] ?? "").split(",").map((value) => value.slice(1, -1)))
      .filter((value) => !/^%[^%]+%$/.test(value) && value !== "Devshell");
    expect(plain).toEqual([]);
  });

  it("package.nls.json has exactly the keys that are used", () => {
    expect(Object.keys(english).sort()).toEqual([...new Set(used)].sort());
  });

  it.each(LANGUAGES)("package.nls.%s.json has them too, with the same commands and code", (language) => {
    const translated = strings(`package.nls.${language}.json`);
    expect(Object.keys(translated)).toEqual(Object.keys(english));
    for (const [key, message] of Object.entries(english))
      expect([key, fixedParts(translated[key] ?? "")]).toEqual([key, fixedParts(message)]);
  });

  it("l10n/bundle.l10n.json has every message of the sources (`node scripts/l10n.ts` writes it)", () => {
    const bundle = strings("l10n/bundle.l10n.json");
    expect(Object.keys(bundle)).toEqual(messagesOfSources());
    expect(
      Object.entries(bundle).filter(([key, value]) => key !== value && !key.startsWith(`${value}/`)),
    ).toEqual([]);
  });

  it.each(LANGUAGES)("l10n/bundle.l10n.%s.json translates every message, and no other", (language) => {
    const bundle = strings(`l10n/bundle.l10n.${language}.json`);
    expect(Object.keys(bundle).sort()).toEqual(messagesOfSources());
    for (const [message, translated] of Object.entries(bundle)) {
      expect([message, translated.trim()]).not.toEqual([message, ""]);
      expect([message, placeholders(translated)]).toEqual([message, placeholders(message)]);
    }
  });

  it.each(LANGUAGES)("the walkthrough's pages exist in %s", (language) => {
    const pages = readdirSync(join(EXTENSION, "walkthrough")).filter((name) => /^\w+\.md$/.test(name));
    expect(pages.length).toBeGreaterThan(0);
    const lacking = pages.filter(
      (page) => !existsSync(join(EXTENSION, "walkthrough", page.replace(/\.md$/, `.nls.${language}.md`))),
    );
    expect(lacking).toEqual([]);
  });

  it("finds messages however they are written", () => {
    const code = String.raw`
      l10n.t("a {0}", 1); vscode.l10n.t('it\'s'); l10n.t(${"`b`"});
      l10n.t("one " +
        "two"); l10n.t({ message: "c", args: [1], comment: ["why"] }); l10n.t("\u{41}\n");`;
    expect(messagesOf(code, "x.ts")).toEqual(["a {0}", "it's", "b", "one two", "c/why", "A\n"]);
    expect(() => messagesOf("\nl10n.t(variable)", "x.ts")).toThrow("Cannot translate x.ts:2");
    expect(() => messagesOf("l10n.t(`${a}`)", "x.ts")).toThrow("not one string written out");
  });

  function placeholders(message: string): readonly string[] {
    return [...new Set(message.match(/\{\d+\}/g))].sort();
  }
});

describe("schemas of the data spec", () => {
  it("are draft 7 in content, which is what VS Code reads in full", () => {
    const schemas = specSchemas();
    const spec = JSON.parse(schemas["devshell.schema.json"]) as { properties: object };
    expect(spec).toHaveProperty("$schema", "http://json-schema.org/draft-07/schema#");
    expect(spec).toHaveProperty("properties.packages");
    expect(JSON.parse(schemas["package.schema.json"])).toHaveProperty(
      "properties.devshell.properties",
      spec.properties,
    );
    // Words of later drafts.
    expect(schemas["devshell.schema.json"]).not.toMatch(
      /"(?:\$defs|\$dynamicRef|prefixItems|unevaluated\w+)"/,
    );
  });
});
