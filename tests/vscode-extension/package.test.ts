import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { builtinModules } from "node:module";
import { inflateRawSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { packageExtension, withoutPictures } from "../../scripts/package.ts";

const directory = mkdtempSync(join(tmpdir(), "devshell-package-"));
let file = "";
let files = new Map<string, Buffer>();

beforeAll(async () => {
  file = await packageExtension(directory);
  files = filesOfZip(readFileSync(file));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe("the .vsix", () => {
  it("is named after its version and under 1 MB", () => {
    expect(file).toMatch(/\/devshell-\d+\.\d+\.\d+\.vsix$/);
    expect(readFileSync(file).length).toBeLessThan(1_000_000);
  });

  it("has what a user sees, and nothing of the sources", () => {
    const names = [...files.keys()].filter((name) => name.startsWith("extension/"));
    for (const name of [
      "package.json",
      "package.nls.json",
      "package.nls.de.json",
      "readme.md",
      "changelog.md",
      "LICENSE.txt",
      "dist/extension.cjs",
      "dist/specParsers.cjs",
      "dist/webview.js",
      "dist/webview.css",
      "dist/devshell.schema.json",
      "dist/package.schema.json",
      "l10n/bundle.l10n.de.json",
      "media/icon.png",
      "media/environment.png",
      "media/terminal.png",
      "walkthrough/pictures.md",
      "media/environment-dark.svg",
      "media/environment-light.svg",
      "walkthrough/install.md",
      "walkthrough/install.nls.de.md",
      "walkthrough/terminal.svg",
    ])
      expect(names).toContain(`extension/${name}`);
    expect(
      names.filter((name) => /\.tsx?$|\/src\/|\/webview\/|node_modules|tsconfig|\.map$/.test(name)),
    ).toEqual([]);
  });

  it("has no native module, by name or content", () => {
    for (const [name, content] of files) {
      expect(name).not.toMatch(/\.(?:node|so|dll|dylib|wasm)$/);
      expect([name, content.subarray(0, 4).toString("latin1")]).not.toEqual([name, "\x7fELF"]);
    }
    expect(files.get("extension/dist/extension.cjs")?.toString()).not.toMatch(/require\("[^"]+\.node"\)/);
  });

  it("needs only vscode and Node's own modules; the parsers of specs are a file of their own", () => {
    const [code = "", parsers = ""] = ["extension", "specParsers"].map((name) =>
      files.get(`extension/dist/${name}.cjs`)?.toString(),
    );
    const foreign = (text: string): string[] =>
      [...text.matchAll(/\brequire\("([^"]+)"\)/g)]
        .map((match) => match[1] ?? "")
        .filter((name) => !builtinModules.includes(name.replace(/^node:/, "")));
    expect([...new Set(foreign(code))].sort()).toEqual(["./specParsers.cjs", "vscode"]);
    expect(foreign(parsers)).toEqual([]);
    // Of the YAML parser: its errors' codes.
    expect([code, parsers].map((text) => text.includes("BLOCK_AS_IMPLICIT_KEY"))).toEqual([false, true]);
    // What VS Code, importing it as a module, finds by name.
    expect(code).toMatch(/module\.exports\s*=/);
  });

  it("has the licences of the parsers in it", () => {
    const notices = files.get("extension/ThirdPartyNotices.txt")?.toString() ?? "";
    for (const name of ["smol-toml", "yaml"])
      expect(notices).toMatch(new RegExp(`^${name} \\d[\\d.]*\\n`, "m"));
    expect(notices.match(/Copyright/g)?.length).toBeGreaterThanOrEqual(2);
  });

  it("has an icon of 128 by 128, and no picture in its README that would not show", () => {
    const icon = files.get("extension/media/icon.png");
    expect(icon?.subarray(1, 4).toString()).toBe("PNG");
    expect([icon?.readUInt32BE(16), icon?.readUInt32BE(20)]).toEqual([128, 128]);
    const readme = files.get("extension/readme.md")?.toString() ?? "";
    expect(readme).toContain("# Devshell for VS Code");
    // The editor shows no others there.
    expect(readme).not.toMatch(/!\[[^\]]*\]\((?!https:)/);
  });

  it("says nothing of the machine that made it", () => {
    for (const [name, content] of files) {
      const text = content.toString("latin1");
      expect([name, text.includes(process.cwd()), text.includes(directory)]).toEqual([name, false, false]);
    }
  });
});

it("pictures are left out of a README with their lines", () => {
  expect(withoutPictures("a\n\n![x y](media/a.png)\n\nb [c](d.md)\n")).toBe("a\n\nb [c](d.md)\n");
  expect(withoutPictures("![x](https://a/b.png)\n")).toBe("![x](https://a/b.png)\n");
});

/** Entries of a zip archive without ZIP64, stored or deflated. */
function filesOfZip(zip: Buffer): Map<string, Buffer> {
  const end = zip.lastIndexOf("PK\x05\x06", zip.length, "latin1");
  const entries = new Map<string, Buffer>();
  let at = zip.readUInt32LE(end + 16);
  for (let left = zip.readUInt16LE(end + 10); left > 0; left--) {
    const [method, size] = [zip.readUInt16LE(at + 10), zip.readUInt32LE(at + 20)];
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((offset) =>
      zip.readUInt16LE(at + offset),
    );
    const local = zip.readUInt32LE(at + 42);
    const nameEnd = at + 46 + (nameLength ?? 0);
    const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
    const data = zip.subarray(start, start + size);
    entries.set(zip.toString("utf8", at + 46, nameEnd), method === 8 ? inflateRawSync(data) : data);
    at = nameEnd + (extraLength ?? 0) + (commentLength ?? 0);
  }
  return entries;
}
