import { describe, expect, it } from "vitest";
import { parseStanza } from "../../../packages/debian/index/deb822.ts";
import { parseRelations, type RelationContext } from "../../../packages/debian/resolve/relation.ts";
import {
  resolvePackages,
  type BinaryPackage,
  type PackageUniverse,
} from "../../../packages/debian/resolve/resolver.ts";
import { compareVersions } from "../../../packages/debian/resolve/version.ts";

const CONTEXT: RelationContext = { architecture: "amd64", profiles: new Set() };

/** A universe from short stanzas: `Package: name version`, then relation fields. */
function universe(...stanzas: string[]): PackageUniverse {
  const packages = stanzas.map((text): BinaryPackage => {
    const stanza = parseStanza(text);
    const field = (name: string): string => stanza.get(name) ?? "";
    const [name = "", version = "1"] = field("package").split(" ");
    return {
      name,
      version,
      architecture: "amd64",
      multiArch: "",
      priority: field("priority") || "optional",
      isEssential: false,
      preDepends: field("pre-depends"),
      depends: field("depends"),
      provides: field("provides"),
      conflicts: field("conflicts"),
      breaks: field("breaks"),
    };
  });
  const versionsOf = (name: string): BinaryPackage[] =>
    packages.filter((each) => each.name === name).sort((a, b) => compareVersions(b.version, a.version));
  return {
    versionsOf,
    providersOf: (name) =>
      packages.filter(
        (each) =>
          versionsOf(each.name)[0] === each &&
          each.provides.split(",").some((provided) => provided.trim().split(/[ (]/)[0] === name),
      ),
  };
}

function resolve(from: PackageUniverse, roots: string, forbidden = ""): string[] {
  const groups = parseRelations(roots, CONTEXT).map((group) => ({ group, from: "the test" }));
  return resolvePackages(from, groups, CONTEXT, parseRelations(forbidden, CONTEXT)).packages.map(
    ({ name, version }) => (version === "1" ? name : `${name}=${version}`),
  );
}

describe("resolvePackages", () => {
  it("follows Pre-Depends and Depends, depth first, each package once", () => {
    const from = universe(
      "Package: a\nDepends: b, c\nPre-Depends: d",
      "Package: b\nDepends: c, a",
      "Package: c",
      "Package: d",
    );
    expect(resolve(from, "a")).toEqual(["a", "d", "b", "c"]);
  });

  it("takes the highest version that fits", () => {
    const from = universe("Package: a 1.0", "Package: a 2.0", "Package: a 1.5");
    expect(resolve(from, "a")).toEqual(["a=2.0"]);
    expect(resolve(from, "a (<< 2.0)")).toEqual(["a=1.5"]);
  });

  it("prefers an alternative that is chosen already, else the first that can be had", () => {
    const from = universe("Package: a\nDepends: x | y", "Package: x", "Package: y");
    expect(resolve(from, "a")).toEqual(["a", "x"]);
    expect(resolve(from, "y, a")).toEqual(["y", "a"]);
    expect(resolve(universe("Package: a\nDepends: missing | y", "Package: y"), "a")).toEqual(["a", "y"]);
  });

  it("prefers a real package to a provider, and among providers the best priority", () => {
    const from = universe(
      "Package: mta\nPriority: extra",
      "Package: p1\nProvides: mta, awk",
      "Package: p2\nProvides: awk\nPriority: required",
    );
    expect(resolve(from, "mta")).toEqual(["mta"]);
    expect(resolve(from, "awk")).toEqual(["p2"]);
    expect(resolve(from, "p1, awk")).toEqual(["p1"]);
  });

  it("lets only versioned Provides satisfy versioned relations", () => {
    const from = universe(
      "Package: a\nProvides: v",
      "Package: b\nProvides: v (= 2)\nPriority: extra",
      "Package: c 1.0\nProvides: w (= 1)",
      "Package: c 2.0",
    );
    expect(resolve(from, "v (>= 2)")).toEqual(["b"]);
    expect(() => resolve(from, "v (>= 3)")).toThrow('Cannot satisfy "v (>= 3)"');
    // What only an old version provides, nothing provides.
    expect(() => resolve(from, "w")).toThrow('no package and no provider is called "w"');
  });

  it("accepts :any, :native and its own architecture, nothing foreign", () => {
    const from = universe("Package: a");
    expect(resolve(from, "a:any, a:native, a:amd64")).toEqual(["a"]);
    expect(() => resolve(from, "a:i386")).toThrow();
  });

  it.each(["Conflicts", "Breaks"])("avoids %s in both directions by another alternative", (field) => {
    const from = universe(
      `Package: a\n${field}: x`,
      "Package: b\nDepends: x | y",
      "Package: x",
      "Package: y",
    );
    expect(resolve(from, "a, b")).toEqual(["a", "b", "y"]);
    const reverse = universe("Package: a", `Package: x\n${field}: a`, "Package: y");
    expect(resolve(reverse, "a, x | y")).toEqual(["a", "y"]);
  });

  it("honours conflicts with virtual packages and with versions", () => {
    const from = universe(
      "Package: a\nConflicts: v\nProvides: v",
      "Package: b\nProvides: v",
      "Package: c\nBreaks: d (<< 2)",
      "Package: d 3",
    );
    expect(() => resolve(from, "a, b")).toThrow("a refuses v, which is b 1");
    // A package never conflicts with what it provides itself.
    expect(resolve(from, "a")).toEqual(["a"]);
    expect(resolve(from, "c, d")).toEqual(["c", "d=3"]);
  });

  it("refuses what the source conflicts with", () => {
    const from = universe("Package: a\nDepends: x | y", "Package: x", "Package: y");
    expect(resolve(from, "a", "x")).toEqual(["a", "y"]);
    expect(() => resolve(from, "x", "x")).toThrow("the source conflicts with x");
  });

  it("says who wanted what cannot be had", () => {
    const from = universe("Package: a\nDepends: b", "Package: b\nDepends: c (>= 2)", "Package: c");
    expect(() => resolve(from, "a")).toThrow(
      'Cannot satisfy "c (>= 2)" for b, wanted by a, wanted by the test: "c (>= 2)" is wanted, the suite has 1',
    );
  });

  it("follows very long chains", () => {
    const stanzas = Array.from({ length: 15_000 }, (_, n) => `Package: p${n}\nDepends: p${n + 1}`);
    const byName = new Map(
      [...stanzas, "Package: p15000"].map((text) => [/ (\S+)/.exec(text)?.[1] ?? "", universe(text)]),
    );
    const from: PackageUniverse = {
      versionsOf: (name) => byName.get(name)?.versionsOf(name) ?? [],
      providersOf: () => [],
    };
    expect(resolve(from, "p0")).toHaveLength(15_001);
  });
});
