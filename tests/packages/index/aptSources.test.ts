import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseDeb822Sources, parseOneLineSources } from "../../../packages/debian/index/aptSources.ts";
import { findMirrors, mirrorsOf } from "../../../packages/debian/index/mirrors.ts";

describe("sources formats", () => {
  it("reads the one-line format", () => {
    const text = [
      "# deb http://commented.example/debian sid main",
      "deb [arch=amd64 signed-by=/k.gpg] http://a.example/debian/ bookworm main contrib # note",
      "deb-src https://b.example/debian trixie main",
      "deb cdrom:[Debian]/ bookworm main",
      "deb http://flat.example/repo ./",
    ].join("\n");
    expect(parseOneLineSources(text)).toEqual([
      { uri: "http://a.example/debian", suite: "bookworm", components: ["main", "contrib"] },
      { uri: "https://b.example/debian", suite: "trixie", components: ["main"] },
      { uri: "http://flat.example/repo", suite: ".", components: [] },
    ]);
  });

  it("reads the deb822 format", () => {
    const text = [
      "Types: deb",
      "# a comment between fields",
      "URIs: http://a.example/debian http://b.example/debian",
      "Suites: bookworm",
      "  bookworm-updates",
      "Components: main",
      "",
      "Types: deb",
      "Enabled: no",
      "URIs: http://off.example/debian",
      "Suites: sid",
      "Components: main",
    ].join("\n");
    expect(parseDeb822Sources(text).map(({ uri, suite }) => `${uri} ${suite}`)).toEqual([
      "http://a.example/debian bookworm",
      "http://a.example/debian bookworm-updates",
      "http://b.example/debian bookworm",
      "http://b.example/debian bookworm-updates",
    ]);
  });
});

describe("findMirrors", () => {
  let etcApt: string;
  beforeEach(() => {
    etcApt = mkdtempSync(join(tmpdir(), "devshell-apt-"));
    mkdirSync(join(etcApt, "sources.list.d"));
  });
  afterEach(() => rmSync(etcApt, { recursive: true }));

  it("tells Debian, its security archive and other vendors apart", () => {
    writeFileSync(join(etcApt, "sources.list"), "deb http://tools.example/apt tools-bookworm main\n");
    writeFileSync(join(etcApt, "mirrors.list"), "# mirrors\nhttp://one.example/debian/ priority:1\n");
    writeFileSync(
      join(etcApt, "sources.list.d/debian.sources"),
      [
        `Types: deb\nURIs: mirror+file:${etcApt}/mirrors.list http://two.example/debian\nSuites: bookworm bookworm-updates\nComponents: main`,
        "Types: deb\nURIs: http://sec.example/debian-security\nSuites: bookworm-security\nComponents: main",
        "Types: deb\nURIs: http://extra.example/debian\nSuites: bookworm\nComponents: contrib",
      ].join("\n\n"),
    );
    writeFileSync(join(etcApt, "sources.list.d/ignored.save"), "deb http://old.example/debian sid main\n");
    expect(findMirrors({ env: {}, etcApt })).toMatchObject({
      main: ["http://one.example/debian", "http://two.example/debian"],
      security: ["http://sec.example/debian-security"],
      companions: ["-updates", "-security"],
      machineSuite: "bookworm",
    });
  });

  it("prefers explicit mirrors, then the variable", () => {
    writeFileSync(join(etcApt, "sources.list"), "deb http://machine.example/debian trixie main\n");
    const env = { DEVSHELL_DEBIAN_MIRROR: "http://v.example/debian/, file:/srv/debian-security" };
    expect(findMirrors({ env, etcApt })).toMatchObject({
      main: ["http://v.example/debian"],
      security: ["file:/srv/debian-security"],
      companions: ["-security"],
      machineSuite: "trixie",
    });
    expect(findMirrors({ env, etcApt, mirrors: ["https://m.example/d"] }).main).toEqual([
      "https://m.example/d",
    ]);
  });

  it("takes the security archive beside a mirror that is named alone", () => {
    const mirrors = findMirrors({ env: { DEVSHELL_DEBIAN_MIRROR: "http://v.example/debian" }, etcApt });
    expect(mirrorsOf(mirrors, "security")).toEqual(["http://v.example/debian-security"]);
    expect(mirrors.companions).toEqual([]);
  });

  it("refuses what is no mirror, and says what to do where none is known", () => {
    expect(() => findMirrors({ env: { DEVSHELL_DEBIAN_MIRROR: "ftp://x" }, etcApt })).toThrow(
      expect.objectContaining({ code: "DEBIAN_MIRROR_INVALID" }),
    );
    expect(() => mirrorsOf(findMirrors({ env: {}, etcApt }), "main")).toThrow(
      expect.objectContaining({
        code: "DEBIAN_NO_MIRROR",
        hint: expect.stringContaining("DEVSHELL_DEBIAN_MIRROR"),
      }),
    );
  });
});
