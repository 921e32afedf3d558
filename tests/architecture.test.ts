import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const ROOT = resolve(import.meta.dirname, "..");

/** Which folders a folder may import; `cli → shell → env → packages → store → io → core` and `env → lang → core`. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  core: [],
  io: ["core"],
  lang: ["core"],
  store: ["core", "io"],
  packages: ["core", "io", "store"],
  env: ["core", "io", "lang", "store", "packages"],
  shell: ["core", "io", "lang", "store", "packages", "env"],
  cli: ["core", "io", "lang", "store", "packages", "env", "shell"],
};
const FOLDERS = Object.keys(MAY_IMPORT);

/** Every static, dynamic, type and re-export import, as [file, imported file], relative to the root. */
function importsOf(file: string): [string, string][] {
  return importsIn(file, readFileSync(join(ROOT, file), "utf8"));
}

function importsIn(file: string, text: string): [string, string][] {
  const pattern = /(?:\bfrom\s*|\bimport\s*\(?\s*|new URL\(\s*)"(\.[^"]+)"/g;
  return [...text.matchAll(pattern)].map((match) => [
    file,
    relative(ROOT, resolve(ROOT, dirname(file), match[1] ?? "")),
  ]);
}

/** As {@link importsOf}, without those that only bring types. */
function valueImportsOf(file: string): [string, string][] {
  const text = readFileSync(join(ROOT, file), "utf8").replaceAll(
    /\b(?:import|export) type (?:[\w$]+|\* as [\w$]+|\{[^}]*\}) from "[^"]+";/g,
    "",
  );
  return importsIn(file, text);
}

function sourcesOf(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)));
}

const sources = FOLDERS.flatMap(sourcesOf);
const imports = sources.flatMap(importsOf);
/** The extension runs the CLI: it shares nothing with it but the protocol's types. */
const EXTENSION = "vscode-extension";
const PROTOCOL = "cli/protocol/types.ts";
const extensionSources = [`${EXTENSION}/src`, `${EXTENSION}/webview`].flatMap(sourcesOf);
const extensionImports = extensionSources.flatMap(importsOf);
const folderOf = (file: string): string => file.split("/")[0] ?? "";

describe("architecture", () => {
  it("imports by name only, and Node's modules by statements: a process from a snapshot has no import()", () => {
    const pattern = /\bimport\((?!\s*"(?!node:))[^)]*/g;
    const found = sources.flatMap((file) =>
      [...readFileSync(join(ROOT, file), "utf8").matchAll(pattern)].map(([text]) => `${file}: ${text}`),
    );
    expect(found).toEqual([
      "core/importModule.ts: import(",
      "core/importModule.ts: import(url.href",
      "core/importModule.ts: import(url",
    ]);
  });

  it("has sources to check", () => {
    expect(sources.length).toBeGreaterThan(5);
  });

  it("imports flow one way between folders", () => {
    const wrong = imports.filter(([from, to]) => {
      const source = folderOf(from);
      const target = folderOf(to);
      return source !== target && FOLDERS.includes(target) && !MAY_IMPORT[source]?.includes(target);
    });
    expect(wrong).toEqual([]);
  });

  it("enters another folder only through its index", () => {
    const wrong = imports.filter(([from, to]) => {
      const target = folderOf(to);
      return folderOf(from) !== target && FOLDERS.includes(target) && to !== `${target}/index.ts`;
    });
    expect(wrong).toEqual([]);
  });

  it("lang does no I/O of its own", () => {
    const forbidden = /from "node:(fs|child_process|net|http|https|worker_threads|sqlite)/;
    const wrong = sources.filter(
      (file) => folderOf(file) === "lang" && forbidden.test(readFileSync(join(ROOT, file), "utf8")),
    );
    expect(wrong).toEqual([]);
  });

  it("the extension takes nothing from the other folders but the protocol's types", () => {
    expect(extensionSources.length).toBeGreaterThan(0);
    const wrong = [
      ...extensionImports.filter(([, to]) => folderOf(to) !== EXTENSION && to !== PROTOCOL),
      ...extensionSources.flatMap(valueImportsOf).filter(([, to]) => folderOf(to) !== EXTENSION),
    ];
    expect(wrong).toEqual([]);
  });

  it("no folder imports the extension", () => {
    expect(imports.filter(([, to]) => folderOf(to) === EXTENSION)).toEqual([]);
  });

  it("the extension's page takes only types from its host's half, which takes nothing from the page", () => {
    const part = (file: string): string | undefined => file.split("/")[1];
    const wrong = extensionSources
      .flatMap(valueImportsOf)
      .concat(extensionImports.filter(([from]) => part(from) === "src"))
      .filter(([from, to]) => folderOf(to) === EXTENSION && part(from) !== part(to));
    expect(wrong).toEqual([]);
  });

  it("the extension imports from outside only vscode, Node's own modules, and two parsers that its bundle takes in", () => {
    const wrong = extensionSources.flatMap((file) =>
      [...readFileSync(join(ROOT, file), "utf8").matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*)"([^."][^"]*)"/g)]
        .map((match) => match[1] ?? "")
        .filter((name) =>
          file.startsWith(`${EXTENSION}/src/`) ? !/^(?:vscode$|node:|yaml$|smol-toml$)/.test(name) : true,
        )
        .map((name) => [file, name]),
    );
    expect(wrong).toEqual([]);
  });

  it("has no import cycle", () => {
    const edges = new Map<string, string[]>();
    for (const [from, to] of [...imports, ...extensionImports])
      edges.set(from, [...(edges.get(from) ?? []), to]);
    const state = new Map<string, "open" | "done">();
    const cycles: string[][] = [];
    const visit = (file: string, path: string[]): void => {
      if (state.get(file) === "done") return;
      if (state.get(file) === "open") {
        cycles.push([...path.slice(path.indexOf(file)), file]);
        return;
      }
      state.set(file, "open");
      for (const next of edges.get(file) ?? []) visit(next, [...path, file]);
      state.set(file, "done");
    };
    for (const file of [...sources, ...extensionSources]) visit(file, []);
    expect(cycles).toEqual([]);
  });
});
