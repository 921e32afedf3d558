/** A tree of flakes, and what is done with it; `lock` files are compared at the end. */
export interface LockCase {
  readonly name: string;
  /** Path → text; directories come of themselves. */
  readonly files: Readonly<Record<string, string>>;
  readonly steps: readonly LockStep[];
  /** Directories that are Git repositories, all their files committed. */
  readonly repositories?: readonly string[];
}

export type LockStep =
  | {
      readonly kind: "lock";
      /** The flake's directory. */
      readonly flake: string;
      readonly isRecreated?: boolean;
      readonly updates?: readonly string[];
      readonly overrides?: Readonly<Record<string, string>>;
    }
  | { readonly kind: "write"; readonly path: string; readonly text: string };

const leaf = (value: string): string => `{ outputs = { self }: { v = "${value}"; }; }\n`;
const lock = (flake = "top"): LockStep => ({ kind: "lock", flake });
const flake = (inputs: string): string => `{\n  inputs = {\n${inputs}\n  };\n  outputs = _: { };\n}\n`;

/** Every directory of a case that a flake names by its name alone; the registry leads there. */
export const REGISTERED = ["a", "b", "c", "d", "plain"];

/** Pins an `a` that is gone; nothing asks for it while another flake is locked. */
const OLD_LOCK = JSON.stringify({
  version: 7,
  root: "root",
  nodes: {
    root: { inputs: { a: "a" } },
    a: {
      original: { type: "indirect", id: "a" },
      locked: {
        type: "path",
        path: "/nowhere/a",
        lastModified: 1,
        narHash: "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
      },
    },
  },
});

export const LOCK_CASES: readonly LockCase[] = [
  {
    name: "inputs",
    files: {
      "a/flake.nix": leaf("a"),
      "plain/file": "data\n",
      "top/flake.nix": `{
  description = "many kinds";
  inputs.a = { };
  inputs.same.follows = "a";
  inputs.plain = { url = "flake:plain"; flake = false; };
  outputs = { self, a, b, same, plain }: { };
}
`,
      "b/flake.nix": leaf("b"),
    },
    steps: [lock(), lock()],
  },
  {
    name: "names",
    files: {
      "a/flake.nix": leaf("a"),
      "b/flake.nix": flake('    a.url = "a";\n    x.url = "path:./x";'),
      "b/x/flake.nix": leaf("x"),
      "c/flake.nix": flake('    a.url = "a";\n    b.url = "b";\n    x.url = "path:./x";'),
      "c/x/flake.nix": leaf("another x"),
      "top/flake.nix": flake(
        '    "10".url = "a";\n    "9".url = "a";\n    "a b\\"c".url = "b";\n    b.url = "b";\n    c.url = "c";',
      ),
    },
    steps: [lock()],
  },
  {
    name: "nested-lock",
    files: {
      "a/flake.nix": leaf("new"),
      "b/flake.nix": flake('    a.url = "a";'),
      "b/flake.lock": OLD_LOCK,
      "top/flake.nix": flake('    a.url = "a";\n    b.url = "b";'),
    },
    steps: [lock()],
  },
  {
    name: "follows",
    files: {
      "a/flake.nix": leaf("a"),
      "b/flake.nix": flake('    a.url = "a";\n    c.url = "c";\n    c.inputs.a.follows = "a";'),
      "c/flake.nix": flake('    a.url = "a";\n    d.url = "d";'),
      "d/flake.nix": flake('    a.url = "a";'),
      "top/flake.nix": flake(
        '    b.url = "b";\n    b.inputs.a.follows = "c/a";\n    c.url = "c";\n    e.follows = "b/c/d";',
      ),
    },
    steps: [lock()],
  },
  {
    name: "follows-removed",
    files: {
      "a/flake.nix": leaf("a"),
      "b/flake.nix": flake('    a.url = "a";'),
      "top/flake.nix": flake('    a.url = "a";\n    b.url = "b";\n    b.inputs.a.follows = "a";'),
    },
    steps: [lock(), { kind: "write", path: "top/flake.nix", text: flake('    b.url = "b";') }, lock()],
  },
  {
    name: "follows-root",
    files: {
      "b/flake.nix": flake('    up.url = "a";'),
      "top/flake.nix": flake('    b.url = "b";\n    b.inputs.up.follows = "";'),
    },
    steps: [lock()],
  },
  {
    name: "overrides",
    files: {
      "a/flake.nix": leaf("a"),
      "b/flake.nix": flake('    c.url = "c";\n    a.url = "a";'),
      "c/flake.nix": flake('    a.url = "a";'),
      "d/flake.nix": leaf("d"),
      "top/flake.nix": flake(
        '    b.url = "b";\n    b.inputs.a.url = "d";\n    b.inputs.c.inputs.a = { type = "indirect"; id = "d"; };',
      ),
    },
    steps: [lock()],
  },
  {
    name: "override-input",
    files: {
      "a/flake.nix": leaf("a"),
      "b/flake.nix": flake('    a.url = "a";'),
      "d/flake.nix": leaf("d"),
      "top/flake.nix": flake('    a.url = "a";\n    b.url = "b";'),
    },
    steps: [
      lock(),
      { kind: "lock", flake: "top", overrides: { "b/a": "flake:d" } },
      { kind: "write", path: "d/flake.nix", text: leaf("later") },
      lock(),
    ],
  },
  {
    name: "update",
    files: {
      "a/flake.nix": leaf("a"),
      "b/flake.nix": flake('    a.url = "a";'),
      "d/flake.nix": leaf("d"),
      "top/flake.nix": flake('    a.url = "a";\n    b.url = "b";\n    d.url = "d";'),
    },
    steps: [
      lock(),
      { kind: "write", path: "a/flake.nix", text: leaf("a2") },
      { kind: "write", path: "d/flake.nix", text: leaf("d2") },
      { kind: "lock", flake: "top", updates: ["b/a"] },
    ],
  },
  {
    name: "recreate",
    files: {
      "a/flake.nix": leaf("a"),
      "b/flake.nix": flake('    a.url = "a";'),
      "top/flake.nix": flake('    a.url = "a";\n    b.url = "b";'),
    },
    steps: [
      lock(),
      { kind: "write", path: "a/flake.nix", text: leaf("a2") },
      { kind: "lock", flake: "top", isRecreated: true },
    ],
  },
  {
    name: "relative",
    files: {
      "top/flake.nix": flake(
        '    one.url = ./one;\n    two.url = "path:./two";\n    two.inputs.one.follows = "one";\n    file = { url = "./file.txt"; flake = false; };',
      ),
      "top/file.txt": "text\n",
      "top/one/flake.nix": flake('    deep.url = "./deep";'),
      "top/one/deep/flake.nix": leaf("deep"),
      "top/two/flake.nix": flake('    one.url = "../one";\n    sibling.url = "path:../one/deep";'),
    },
    steps: [lock(), lock()],
  },
  {
    name: "subdirectory",
    files: {
      "a/inner/flake.nix": flake('    up.url = "path:..";'),
      "a/flake.nix": leaf("a"),
      "top/flake.nix": `{
  inputs.inner = { type = "indirect"; id = "a"; dir = "inner"; };
  outputs = { self, inner }: { };
}
`,
    },
    steps: [lock()],
  },
  {
    name: "unicode",
    files: {
      "d/grüße/flake.nix": leaf("ü"),
      "top/flake.nix": flake('    "grüße" = { type = "indirect"; id = "d"; dir = "grüße"; };'),
    },
    steps: [lock()],
  },
  {
    name: "git",
    files: {
      "a/flake.nix": leaf("a"),
      "b/flake.nix": flake('    a.url = "a";'),
      "top/flake.nix": flake(
        '    a.url = "a/main";\n    b.url = "b";\n    plain = { url = "plain"; flake = false; };',
      ),
      "plain/file": "data\n",
    },
    repositories: ["a", "b", "plain"],
    steps: [lock()],
  },
];
