import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sortAsNix } from "../../cli/compat/nixEnv/sortAsNix.ts";
import { TestCommands, type CommandResult } from "./testCommands.ts";

// What is expected is what Nix 2.34 prints.

const PACKAGES = `let
  make = name: system: extra: derivation ({ inherit name system; builder = "/bin/sh"; } // extra);
in {
  a = make "hello-2.10" "x86_64-linux" { } // {
    meta = {
      description = "A <b>\\n& c"; x = null; y = [ "a" 1 [ true ] ]; f = 1.5;
      license = { a = "q"; b = "z"; }; p = 5; bool = true; z = x: x;
    };
  };
  alias = self: self;
  b = make "hello-2.9" "i686-linux" { outputs = [ "out" "dev" "bin" ]; };
  c = {
    recurseForDerivations = true;
    d = make "foo-bar" "x86_64-linux" { };
    "e x" = make "q" "x" { };
    t = throw "no";
  };
  g = { h = make "never" "x" { }; };
  bad = make (throw "x") "x" { };
  late = make "late-1" "x86_64-linux" { z = throw "u"; };
  Hello = make "Hello-2.10" "x86_64-linux" { };
}
`;

let commands: TestCommands;
let root: string;

beforeAll(() => {
  commands = new TestCommands({ NIX_STORE_DIR: "/nix/store", NIX_REMOTE: "dummy://" });
  ({ root } = commands);
  commands.write("packages.nix", PACKAGES);
});

afterAll(() => commands[Symbol.dispose]());

function query(...words: string[]): CommandResult {
  return commands.run("nix-env", words);
}

function available(...words: string[]): string {
  const { status, out, err } = query("-f", "packages.nix", ...words);
  expect([status, err]).toEqual([0, ""]);
  return out;
}

describe("nix-env --query", () => {
  it("lists what is available, in columns", () => {
    expect(available("-qaP")).toBe(
      "c.d    foo-bar\nHello  Hello-2.10\na      hello-2.10\nb      hello-2.9\nlate   late-1\n",
    );
    expect(available("-qa", "--no-name", "--system", "--description", "hello")).toBe(
      "x86_64-linux  A <b> & c\ni686-linux    \n",
    );
    const path = /^foo-bar +\/nix\/store\/[0-9a-z]{32}-foo-bar\.drv +\/nix\/store\/[0-9a-z]{32}-foo-bar\n/;
    expect(available("-qa", "--drv-path", "--out-path")).toMatch(path);
    // What throws when more is asked of it is left out.
    expect(available("-qa", "--drv-path")).not.toContain("late");
    expect(available("-qa", "--out-path", "hello-2.9")).toMatch(
      /^hello-2\.9 {2}bin=\S+-hello-2\.9-bin;dev=\S+-hello-2\.9-dev;\/nix\/store\/[0-9a-z]{32}-hello-2\.9\n$/,
    );
    expect(available("-qas", "hello")).toBe("---  hello-2.10\n---  hello-2.9\n");
  });

  it("takes names, versions, expressions, attributes and systems", () => {
    expect(available("-qa", "hello-2.10", ".*o.*")).toBe("foo-bar\nhello-2.10\nHello-2.10\nhello-2.9\n");
    expect(available("-qaP", "-A", "c")).toBe("c.d  foo-bar\n");
    expect(available("-qa", "--system-filter", "i686-linux")).toBe("hello-2.9\n");
    expect(query("-f", "packages.nix", "-qa", "hel").err).toBe(
      "error: selector 'hel' matches no derivations, maybe you meant:\n       hello\n",
    );
    expect(query("-f", "packages.nix", "-qa", "hallo").err).toBe(
      "error: selector 'hallo' matches no derivations\n",
    );
    expect(query("-qP").err).toContain("--attr-path(-P) only works with --available");
    expect(query("-f", "packages.nix", "-a").err).toContain("no operation specified");
  });

  it("prints JSON and XML with metadata", () => {
    const words = ["-f", "packages.nix", "-qa", "-A", "a", "--meta"];
    const invalid =
      "derivation 'hello-2.10' has invalid meta attribute 'x'\nderivation 'hello-2.10' has invalid meta attribute 'z'\n";
    const json = query(...words, "--json");
    expect(json.err).toBe(invalid);
    expect(json.out).toMatch(/^\{\n {2}"a": \{\n {4}"meta": \{\n {6}"bool": true,\n/);
    expect(JSON.parse(json.out)).toEqual({
      a: {
        meta: {
          bool: true,
          description: "A <b>\n& c",
          f: 1.5,
          license: { a: "q", b: "z" },
          p: 5,
          x: null,
          y: ["a", 1, [true]],
          z: null,
        },
        name: "hello-2.10",
        outputName: "out",
        outputs: { out: null },
        pname: "hello",
        system: "x86_64-linux",
        version: "2.10",
      },
    });
    const xml = query(...words, "--xml", "--description");
    expect(xml.err).toBe(invalid);
    expect(xml.out).toBe(
      [
        "<?xml version='1.0' encoding='utf-8'?>",
        "<items>",
        '  <item attrPath="a" description="A &lt;b&gt;&#xA;&amp; c" name="hello-2.10" outputName="out" pname="hello" system="x86_64-linux" version="2.10">',
        '    <output name="out" />',
        '    <meta name="bool" type="bool" value="true" />',
        '    <meta name="description" type="string" value="A &lt;b&gt;&#xA;&amp; c" />',
        '    <meta name="f" type="float" value="1.5" />',
        '    <meta name="license" type="strings">',
        '      <string type="a" value="q" />',
        '      <string type="b" value="z" />',
        "    </meta>",
        '    <meta name="p" type="int" value="5" />',
        '    <meta name="y" type="strings">',
        '      <string value="a" />',
        "    </meta>",
        "  </item>",
        "</items>",
        "",
      ].join("\n"),
    );
    // A failure is told as ever.
    expect(query("-f", "none.nix", "-qa", "--json").err).toMatch(/^error: path '.*' does not exist\n$/);
    // Half a package is printed as far as it is known.
    expect(JSON.parse(available("-qa", "-A", "late", "--json", "--out-path"))).toEqual({
      late: {
        name: "late-1",
        outputName: "out",
        pname: "late",
        system: "x86_64-linux",
        version: "1",
      },
    });
  });

  it("compares with what is installed", () => {
    const manifest = `map (name: { type = "derivation"; inherit name; outPath = "/nix/store/${"a".repeat(32)}-" + name; system = "x86_64-linux"; })`;
    mkdirSync(join(root, "profile"));
    writeFileSync(join(root, "profile/manifest.nix"), `${manifest} [ "hello-2.9" "gone-1" ]`);
    expect(available("-p", "profile", "-q")).toBe("gone-1\nhello-2.9\n");
    expect(available("-p", "profile", "-qc")).toBe("gone-1     - ?\nhello-2.9  < 2.10\n");
    expect(available("-p", "profile", "-qac", "hello")).toBe("hello-2.10  > 2.9\nhello-2.9   = 2.9\n");
    expect(query("-p", "none", "-q")).toEqual({ status: 0, out: "", err: "" });
  });

  it("finds the expressions of a directory", () => {
    mkdirSync(join(root, "exprs/deep/er"), { recursive: true });
    mkdirSync(join(root, "exprs/tree"));
    writeFileSync(join(root, "exprs/tree/default.nix"), PACKAGES);
    writeFileSync(join(root, "exprs/deep/er/one.nix"), PACKAGES);
    writeFileSync(join(root, "exprs/deep/notes.txt"), "no expression");
    writeFileSync(join(root, "exprs/broken.nix"), "{ }: {");
    const { status, err } = query("-f", "exprs", "-qaP", "hello-2.9");
    expect([status, err]).toEqual([1, expect.stringContaining("syntax error")]);
    rmSync(join(root, "exprs/broken.nix"));
    expect(query("-f", "exprs", "-qaP", "hello-2.9").out).toBe("one.b   hello-2.9\ntree.b  hello-2.9\n");
    expect(query("-qa")).toEqual({ status: 0, out: "", err: "" });
  });
});

describe("sortAsNix", () => {
  it("orders equal items as C++ does", () => {
    // Of std::sort in GNU's library, by the key alone.
    const items = Array.from({ length: 40 }, (_, index) => ({ key: (index * 7) % 4, index }));
    sortAsNix(items, (a, b) => a.key < b.key);
    expect(items.map(({ index }) => index)).toEqual(ORDER_OF_40);
    expect(items.every((item, at) => at === 0 || items[at - 1]!.key <= item.key)).toBe(true);
  });

  it("sorts anything", () => {
    for (const length of [0, 1, 2, 15, 16, 17, 18, 100, 5000]) {
      for (const spread of [1, 3, 1000]) {
        const items = Array.from({ length }, (_, index) => (index * 7919 + (index % 13)) % spread);
        const expected = items.toSorted((a, b) => a - b);
        sortAsNix(items, (a, b) => a < b);
        expect(items).toEqual(expected);
      }
    }
  });
});

const ORDER_OF_40: readonly number[] = [
  0, 36, 4, 32, 28, 8, 24, 12, 20, 16, 39, 35, 31, 27, 23, 19, 15, 7, 3, 11, 10, 6, 30, 34, 26, 2, 22, 38, 14,
  18, 1, 37, 33, 5, 29, 9, 25, 21, 13, 17,
];
