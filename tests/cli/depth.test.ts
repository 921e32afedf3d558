import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

// How deep and how large evaluation may go: through the launcher, which makes the stack large.
const DEVSHELL = resolve(import.meta.dirname, "../../cli/devshell");

let root: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "devshell-depth-"));
});

afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

interface Evaluated {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

function evaluate(text: string, ...options: readonly string[]): Evaluated {
  return evaluateWith({}, text, ...options);
}

function evaluateWith(
  env: Readonly<Record<string, string>>,
  text: string,
  ...options: readonly string[]
): Evaluated {
  const file = join(root, "expression.nix");
  writeFileSync(file, text);
  const result = spawnSync(DEVSHELL, ["eval", ...options, "-f", file], {
    cwd: root,
    env: { PATH: "/usr/bin:/bin", HOME: root, TMPDIR: root, DEVSHELL_CACHE_DIR: join(root, "cache"), ...env },
    encoding: "utf8",
  });
  return { status: result.status, out: result.stdout.trim(), err: result.stderr };
}

describe("depth", () => {
  it("a million calls within calls", () => {
    const sum = "let f = n: if n == 0 then 0 else 1 + f (n - 1); in f 1000000";
    expect(evaluate(sum)).toEqual({ status: 0, out: "1000000", err: "" });
  }, 300_000);

  it("a hundred thousand in the shapes of package collections", () => {
    const shapes = `let
      inherit (builtins) deepSeq elemAt foldl' genList length listToAttrs mapAttrs stringLength toJSON;
      n = 100000;
      numbers = genList (i: i) n;
      foldr = op: nul: list: let from = i: if i == length list then nul else op (elemAt list i) (from (i + 1)); in from 0;
      foldl = op: nul: list: let to = i: if i < 0 then nul else op (to (i - 1)) (elemAt list i); in to (length list - 1);
      nestedLists = last: foldl' (a: _: [ a ]) last numbers;
      nestedSets = foldl' (a: _: { x = a; }) { } numbers;
      update = l: r: l // r // mapAttrs (k: v: if l ? \${k} then update l.\${k} v else v) r;
      counted = listToAttrs (genList (i: {
        name = "v\${toString i}"; value = if i == 0 then 0 else 1 + counted."v\${toString (i - 1)}";
      }) n);
    in [
      (foldr (a: b: a + b) 0 numbers)
      (foldr (a: b: b // { x = a; }) { } numbers).x
      (foldl' (a: b: a // { x = a.x + 1; }) { x = 0; } numbers).x
      (stringLength (foldl (a: b: a + "x") "" numbers))
      (stringLength (toJSON (nestedLists 1)))
      (deepSeq (nestedLists 1) true)
      (nestedLists 1 == nestedLists 1)
      (nestedLists 1 < nestedLists 2)
      (nestedLists 2 < nestedLists 1)
      (nestedSets == nestedSets // { })
      (toString (nestedLists 1))
      (deepSeq (update nestedSets nestedSets) true)
      counted."v99999"
    ]`;
    expect(evaluate(shapes).out.replace(/\s+/g, " ")).toBe(
      '[ 4999950000 0 100000 100000 200001 true true true false true "1" true 99999 ]',
    );
  }, 300_000);

  it("a hundred thousand levels in what is printed, or stood for", () => {
    const n = 100_000;
    const nested = (last: string, level: string): string =>
      `let f = n: if n == 0 then ${last} else ${level.replace("@", "f (n - 1)")}; in f ${n}`;
    expect(evaluate(nested("[ ]", "[ (@) ]"))).toEqual({
      status: 0,
      out: `${"[ ".repeat(n)}[ ]${" ]".repeat(n)}`,
      err: "",
    });
    expect(evaluate(`toString (${nested('"x"', "{ outPath = @; }")})`).out).toBe('"x"');
    expect(evaluate(`toString (${nested('"x"', "{ __toString = _: @; }")})`).out).toBe('"x"');
    expect(evaluate("let f = n: [ (f (n + 1)) ]; in f 0")).toMatchObject({
      status: 1,
      err: expect.stringMatching(/^error: stack overflow; max-call-depth exceeded\n/),
    });
  }, 300_000);

  it("syntax a hundred thousand levels deep", () => {
    const n = 100_000;
    const nested = [
      `${"(".repeat(n)}1${")".repeat(n)}`,
      `builtins.length ${"[".repeat(n)}${"]".repeat(n)}`,
      `(${"{a=".repeat(n)}1${";}".repeat(n)}) ? a`,
      `${Array.from({ length: n }, (_, i) => `let x${i} = 1; in `).join("")}1`,
      `1${" + 1".repeat(n)}`,
      `(let s = { a = s; }; in s${".a".repeat(n)}) ? a`,
      `({ ${Array.from({ length: n }, () => "a").join(".")} = 1; }) ? a`,
      `${"if false then 0 else ".repeat(n)}1`,
      `({ }${" // { a = 1; }".repeat(n)}).a`,
      `builtins.length ([ ]${" ++ [ 1 ]".repeat(n)})`,
      `${"!".repeat(n)}true`,
    ];
    expect(evaluate(`[ (${nested.join(") (")}) ]`)).toEqual({
      status: 0,
      out: "[ 1 1 true 1 100001 true true 1 1 100000 true ]",
      err: "",
    });
  }, 300_000);

  it("syntax too deep is an error with its place", () => {
    const { status, err } = evaluate("(".repeat(1_000_000));
    expect([status, err.slice(0, 200)]).toEqual([
      1,
      expect.stringMatching(
        /^error: stack overflow; max-call-depth exceeded\n +at \S+expression\.nix:1:\d{5,}:\n/,
      ),
    ]);
  }, 300_000);

  it("endless recursion is an error with its place", () => {
    expect(
      evaluate("let f = n: 1 + f (n + 1); in\nf 0", "--option", "max-call-depth", "100000"),
    ).toMatchObject({
      status: 1,
      err: expect.stringMatching(
        /error: stack overflow; max-call-depth exceeded\n +at \S+expression\.nix:1:\d+:/,
      ),
    });
    expect(evaluate("let\n  x = x + 1;\nin x")).toMatchObject({
      status: 1,
      err: expect.stringMatching(/error: infinite recursion encountered\n +at \S+expression\.nix:2:7:/),
    });
  }, 300_000);
});

describe("a stack that cannot be made larger", () => {
  it("ends with an error of ours, whatever was being done", () => {
    for (const endless of [
      "let f = x: 1 + f x; in f 1",
      'let f = n: { __toString = _: f (n + 1); }; in "${f 0}"',
      "builtins.toXML (let f = n: { inner = f (n + 1); }; in f 0)",
    ]) {
      const { status, stderr } = spawnSync(
        "sh",
        ["-c", 'ulimit -s 8192 && exec "$0" eval -E "$1"', DEVSHELL, endless],
        {
          cwd: root,
          env: { PATH: "/usr/bin:/bin", HOME: root, TMPDIR: root, DEVSHELL_CACHE_DIR: join(root, "cache") },
          encoding: "utf8",
        },
      );
      expect([status, stderr.slice(-2000)]).toEqual([
        1,
        expect.stringContaining("error: stack overflow; max-call-depth exceeded"),
      ]);
    }
  }, 300_000);
});

describe("size", () => {
  it("what is too large is an error", () => {
    const many = "builtins.genList (i: i) 40";
    for (const [text, message] of [
      [
        `builtins.stringLength (builtins.foldl' (a: _: a + a) "x" (${many}))`,
        /cannot create a string of more/,
      ],
      ["builtins.length (builtins.genList (i: i) 1000000000)", /cannot create list of size 1000000000/],
      [
        // 520 times a MiB.
        `let mib = builtins.foldl' (a: _: a + a) "x" (builtins.genList (i: i) 20);
        in builtins.stringLength (builtins.toXML (builtins.genList (_: mib) 520))`,
        /cannot create a string of more/,
      ],
    ] as const)
      expect(evaluate(text)).toMatchObject({ status: 1, err: expect.stringMatching(message) });
  }, 300_000);

  it.each([
    [
      "a list",
      "builtins.length (builtins.filter (x: x.a >= 0) (builtins.genList (i: { a = i; }) 100000000))",
    ],
    [
      "lists that double",
      "builtins.length (builtins.foldl' (a: _: a ++ a) [ 1 ] (builtins.genList (i: i) 26))",
    ],
    [
      "a tree",
      "let tree = d: if d == 0 then { } else { l = tree (d - 1); r = tree (d - 1); }; in builtins.deepSeq (tree 40) 1",
    ],
    [
      "an endless closure",
      "builtins.length (builtins.genericClosure { startSet = [ { key = 0; } ]; operator = x: [ { key = x.key + 1; } ]; })",
    ],
    ["calls that hold what is not evaluated", "let f = n: acc: f (n + 1) (acc ++ [ n ]); in f 0 [ ]"],
    ["calls with sets", "let f = { n, a }: f { n = n + 1; a = { inherit n a; }; }; in f { n = 1; a = 1; }"],
  ])(
    "%s that would fill the heap is an error with its place",
    (_, text) => {
      const { status, err } = evaluateWith({ NODE_OPTIONS: "--max-old-space-size=256" }, text);
      expect([status, err]).toEqual([
        1,
        expect.stringMatching(
          /error: out of memory: evaluation needs more than the heap may hold\n +at \S+expression\.nix:1:\d/,
        ),
      ]);
      expect(err).toContain("NODE_OPTIONS=--max-old-space-size=MIB");
    },
    300_000,
  );

  it("JSON that would fill the heap is an error with its place", () => {
    const file = join(root, "many.json");
    writeFileSync(file, `[${'{"a":[0]},'.repeat(3_000_000)}0]`);
    const text = `builtins.length (builtins.fromJSON (builtins.readFile ${file}))`;
    const { status, err } = evaluateWith({ NODE_OPTIONS: "--max-old-space-size=256" }, text);
    expect([status, err.slice(-2000)]).toEqual([
      1,
      expect.stringMatching(/error: out of memory: evaluation needs more than the heap may hold\n/),
    ]);
    expect(err).toMatch(/at \S+expression\.nix:1:18:/);
  }, 300_000);

  it("a string too large to be printed is an error", () => {
    const text = `builtins.foldl' (a: _: a + a) "x" (builtins.genList (i: i) 28)`;
    const { status, err } = evaluateWith({ NODE_OPTIONS: "--max-old-space-size=256" }, text);
    expect([status, err]).toEqual([1, expect.stringMatching(/^error: out of memory: .*\n +hint: /)]);
  }, 300_000);

  it("a list of a million", () => {
    const text = `let l = builtins.genList (i: 1000000 - i) 1000000; in [
      (builtins.foldl' (a: b: a + b) 0 (builtins.filter (x: x > 500000) (map (x: x + 1) l)))
      (builtins.head (builtins.sort builtins.lessThan l))
    ]`;
    expect(evaluate(text)).toEqual({ status: 0, out: "[ 375001250001 1 ]", err: "" });
  }, 300_000);

  // In a third of a second; joined one after the other they took two minutes.
  it("a long row of long lists", () => {
    const row = Array.from({ length: 20_000 }, () => "list").join(" ++ ");
    const text = `let list = builtins.genList (x: x) 300; row = ${row}; in
      [ (builtins.length row) (builtins.elemAt row 300) (builtins.elemAt row 5999999) ]`;
    expect(evaluate(text)).toEqual({ status: 0, out: "[ 6000000 0 299 ]", err: "" });
  }, 60_000);
});
