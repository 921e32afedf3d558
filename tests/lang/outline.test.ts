import { describe, expect, it } from "vitest";
import { DevshellError, type ByteString } from "../../core/index.ts";
import { OutlineRecorder, createEvaluator, hasOutline, printValue } from "../../lang/index.ts";
import { damage, generateProgram } from "./fuzz/generateProgram.ts";
import { Random } from "./fuzz/random.ts";
import { TestHost } from "./support/testHost.ts";

// A text with the outline of another shows the same to an evaluation. DEVSHELL_OUTLINE_SEEDS=FROM-TO for more programs.
const [from = 1, to = 100] = (process.env["DEVSHELL_OUTLINE_SEEDS"] ?? "1-100").split("-").map(Number);
/** A text that is read again under its name is the same source. */
let files = 0;

interface Seen {
  readonly file: string;
  readonly printed: ByteString;
  readonly outlines: OutlineRecorder;
}

/** What asking for an attribute of a file prints and says. */
function ask(text: string, attribute: string, isFullyLazy = false): Seen {
  const host = new TestHost();
  const file = `/project/${files++}.nix`;
  host.variables.set("HOME", "/home");
  host.files.set(file, text);
  const outlines = new OutlineRecorder();
  let printed: string;
  try {
    const evaluator = createEvaluator(host, { outlines, isFullyLazy });
    const none = evaluator.evalText("{ }", "/", { kind: "string", text: "" }) as Parameters<
      typeof evaluator.autoCall
    >[1];
    const { slot } = evaluator.selectAttrPath(evaluator.evalFile(file), attribute, none);
    const value = evaluator.force(slot);
    printed = evaluator.run(() => printValue(value, { force: false }));
  } catch (error) {
    if (!(error instanceof DevshellError)) throw error;
    printed = "fails";
  }
  return { file, printed: [printed, ...host.messages].join("\n").replaceAll(file, "FILE"), outlines };
}

function isAsGood({ file, outlines }: Seen, text: string): boolean {
  const outline = outlines.outlineOf(file);
  return outline !== undefined && hasOutline(file, text, outline, outlines.globals);
}

describe("an outline", () => {
  const text = `
    # first
    let f = v: [ v ]; used = f 1; unused = f 2;
    in rec {
      a = builtins.head used; # here
      b = builtins.head unused;
      c.d = f 3; c.e = f 4;
      place = builtins.unsafeGetAttrPos "b" { b = f 1; };
      line = place.line;
      set = { p = f 5; q = f 6; };
    }`;
  const cases: readonly (readonly [attribute: string, change: readonly [string, string], isSame: boolean])[] =
    [
      ["a", ["# first", "/* another\n one */"], true],
      ["a", ["# here", "# there"], true],
      ["a", ["# here", ""], false],
      ["a", ["f 2", "throw (f 3)"], true],
      ["a", ["builtins.head unused", "if unused == used then 1 else a"], true],
      ["a", ["f 3", "f (f 33)"], true],
      ["a", ["v: [ v ]", "v: [ v ] ++ [ ]"], false],
      ["a", ["f 1;", "f 11;"], false],
      ["a", ["used = f 1", "used = f  1"], false],
      ["a", ["in rec", "in"], false],
      ["a", ["f 2", "undefined"], false],
      ["a", ["f 2", "("], false],
      // It would be made at once, and seen where the set is printed.
      ["a", ["f 2", "2"], false],
      ["b", ["f 2", "f 22"], false],
      ["b", ["f 1;", "f 11;"], true],
      ["c", ["f 3", "f 33"], true],
      ["c", ["c.e", "c.g"], false],
      ["c.d", ["f 3", "f 33"], false],
      ["c.d", ["f 4", "f 44"], true],
      ["place", ["f 1; };", "f 11; };"], true],
      ["line", ["f 1; };", "f 11; };"], false],
      ["set", ["f 5", "f 55"], true],
      ["set.p", ["f 5", "f 55"], false],
      ["set.p", ["f 6", "let x = 1; in x"], true],
    ];
  it.each(cases)("of what %s sees is kept or not by %j: %s", (attribute, [before, after], isSame) => {
    const seen = ask(text, attribute);
    const changed = text.replace(before, () => after);
    expect(changed).not.toBe(text);
    expect(isAsGood(seen, text)).toBe(attribute !== "line");
    expect(isAsGood(seen, changed)).toBe(isSame);
    if (isSame) expect(ask(changed, attribute).printed).toBe(seen.printed);
  });

  it("is of whole tokens, and of strings as they are", () => {
    expect(isAsGood(ask("{ a = x: y: x/**/y; b = 1; }", "b"), "{ a = x: y: xy; b = 1; }")).toBe(false);
    expect(isAsGood(ask('{ a = "# b"; b = "# c"; }', "a"), '{ a = "# d"; b = "# c"; }')).toBe(false);
    expect(isAsGood(ask("{ a = 1 /* b */ + 1; }", "a"), "{ a = 1 # c\n+ 1; }")).toBe(true);
  });

  it("takes what was deferred as a whole", () => {
    const fillers = Array.from({ length: 60 }, (_, i) => `filler${i} = ${i};\n`).join("");
    const big = `with { f = v: v; }; {\n${fillers}a = f { x = f 1; y = f 2; };\nb = f { x = f 3; };\nc = f "}";\n}`;
    expect(isAsGood(ask(big, "a.x"), big)).toBe(true);
    expect(isAsGood(ask(big, "a.x"), big.replace("f 3", "f (f 33)"))).toBe(true);
    expect(isAsGood(ask(big, "a.x"), big.replace("{ x = f 3; }", "3"))).toBe(false);
    expect(isAsGood(ask(big, "a.x"), big.replace("f 2", "f 22"))).toBe(false);
    expect(isAsGood(ask(big, "b.x"), big.replace("f 2", "f 22"))).toBe(true);
  });

  it("of sets that become one follows both", () => {
    for (const [one, other] of [
      ["m.x = f 1", "m = { y = f 2; }"],
      ["m = { y = f 2; }", "m.x = f 1"],
    ]) {
      const merged = `let f = v: [ v ]; in { ${one}; ${other}; n = f 3; }`;
      expect(isAsGood(ask(merged, "m.y"), merged.replace("f 2", "f 22"))).toBe(false);
      expect(isAsGood(ask(merged, "m.x"), merged.replace("f 2", "f 22"))).toBe(true);
      expect(isAsGood(ask(merged, "m"), merged.replace("y =", "z ="))).toBe(false);
      expect(isAsGood(ask(merged, "n"), merged.replace("f 2", "f 22"))).toBe(true);
    }
  });

  it("is shared by no two programs of which one gives something else", { timeout: 3_600_000 }, () => {
    const found = { same: 0, other: 0 };
    for (let seed = from; seed <= to; seed++) {
      const random = new Random(seed);
      const parts = Array.from({ length: 6 }, () => generatePart(random));
      const form = random.pick(FORMS);
      const program = (): string => form(parts, random.below(3));
      const before = program();
      const isFullyLazy = random.below(2) === 0;
      const attribute = random.pick(["", "a", "b", "c", "c.d", "c.e"]);
      const seen = ask(before, attribute, isFullyLazy);
      if (seen.printed.startsWith("fails")) continue;
      for (let change = 0; change < 12; change++) {
        const at = random.below(parts.length);
        const part = parts[at]!;
        parts[at] = random.below(2) === 0 ? damage(random, part) : generatePart(random);
        const after = random.below(4) === 0 ? damage(random, program()) : program();
        if (random.below(2) === 0) parts[at] = part;
        const isSame = isAsGood(seen, after);
        found[isSame ? "same" : "other"]++;
        if (isSame)
          expect({ seed, before, after, printed: ask(after, attribute, isFullyLazy).printed }).toEqual({
            seed,
            before,
            after,
            printed: seen.printed,
          });
      }
    }
    expect(found.same).toBeGreaterThan((to - from) / 4);
    expect(found.other).toBeGreaterThan((to - from) / 4);
  });
});

/** An expression that parses, delayed more often than not. */
function generatePart(random: Random): string {
  for (;;) {
    const text = `(${generateProgram(random)}\n)`;
    try {
      createEvaluator(new TestHost()).parse(text, "/", { kind: "string", text });
      return random.pick([text, `if true then ${text} else 1`, `let q = ${text}; in q`]);
    } catch (error) {
      if (!(error instanceof DevshellError)) throw error;
    }
  }
}

/** Programs of six parts; the number stands in a comment. */
const FORMS: readonly ((parts: readonly string[], number: number) => string)[] = [
  ([a, b, c, d, e, g], n) =>
    `# ${n}\n{ a = [ (${a}) ]; b = builtins.typeOf (${b}); c = { d = builtins.seq (${c}) 1; e = ${d}; }; h = ${e}; i = ${g}; }`,
  ([a, b, c, d, e, g], n) =>
    `let x = ${a}; y = builtins.typeOf (${b}); in rec { a = y; b = if true then x else ${c}; c.d = builtins.isInt (${d}); /* ${n} */ c.e = ${e}; f = v: ${g}; }`,
  ([a, b, c, d, e, g], n) =>
    `with { u = let t = ${a}; in t; }; { ${"z".repeat(n)}q = u; a = builtins.attrNames { inherit (builtins) map; k = ${b}; }; b = ({ x ? ${c}, y ? 1 }: y) { }; c = { d = builtins.tryEval (${d}); e = [ (let s = ${e}; in 1) (${g}) ]; }; }`,
  ([a, b, c, d, e, g], n) =>
    `let lib = { one = v: let w = ${a}; in v + ${n}; two = builtins.length [ (${b}) ]; }; in { a = lib.two; b = lib.one lib.two; c = { d = builtins.trace "t" (lib.two == (${c})); } // { e = ${d}; "\${toString lib.two}" = ${e}; }; k = ${g}; }`,
];
