import { BUILTIN_CALLS } from "./builtinCalls.ts";
import { NAMES, float, integer, path, stringFor, stringOf } from "./literals.ts";
import type { Random } from "./random.ts";

/** Programs that go deep into one thing, where those of the whole grammar touch everything. */
const THEMES = [
  setPipeline,
  derivations,
  contexts,
  regularExpression,
  document,
  overlays,
  oddCall,
  oddCall,
  selections,
  operators,
  replacedBuiltins,
  indentedString,
  numbers,
  comparisons,
  listPipeline,
] as const;

export function themedProgram(random: Random): string {
  return random.pick(THEMES)(random);
}

const times = (random: Random, least: number, most: number, make: (index: number) => string): string =>
  random.some(least, most, make).join(" ");

const name = (random: Random): string => random.pick(NAMES);

function quotedName(random: Random): string {
  return `"${random.pick(["a", "b", "c", "x", "foo", "b c", "", "ä", "outPath"])}"`;
}

/** A value that is written without a blank at its edges, and in parentheses where it needs them. */
function value(random: Random, depth = 1): string {
  const inner = (): string => value(random, depth - 1);
  switch (random.below(depth > 0 ? 13 : 8)) {
    case 0:
    case 1:
      return integer(random);
    case 2:
      return float(random);
    case 3:
      return `"${random.pick(["", "a", "ab", "foo", "ä€😀", " ", "1.0", "/x"])}"`;
    case 4:
      return random.pick(["true", "false", "null"]);
    case 5:
      return path(random);
    case 6:
      return random.pick([
        "(x: x)",
        "({ a, b ? 2, ... }@c: b)",
        "builtins.add",
        "(builtins.add 1)",
        "(x: y: x)",
      ]);
    case 7:
      return random.pick(["[ ]", "{ }", '(throw "t")', '(builtins.toFile "f" "")', '(abort "t")']);
    case 8:
    case 9:
      return `[ ${times(random, 0, 3, inner)} ]`;
    case 10:
    case 11:
      return `{ ${times(random, 0, 3, () => `${name(random)}${random.pick(["", "", "1", "_"])} = ${inner()};`)} }`;
    default:
      return random.pick([
        `{ outPath = ${inner()}; }`,
        `{ __toString = self: ${inner()}; }`,
        `{ __functor = self: x: ${inner()}; }`,
        '{ type = "derivation"; drvPath = "d"; name = "n"; }',
        `(rec { a = ${inner()}; b = a; })`,
      ]);
  }
}

/** Sets made of sets, step by step, then looked at: layers, shared layouts and removed names must not show. */
function setPipeline(random: Random): string {
  const last = 2 + random.below(7);
  const steps = Array.from({ length: last }, (_, index) => `s${index} = ${setStep(random, index)};`);
  const watched = times(random, 1, 4, () => `(${setView(random, last)})`);
  return `let ${steps.join(" ")} in [ ${watched} ]`;
}

function setStep(random: Random, index: number): string {
  const pairs = (least: number, most: number): string =>
    `{ ${[...new Set(random.some(least, most, () => name(random)))].map((key) => `${key} = ${value(random, 0)};`).join(" ")} }`;
  if (index === 0) return pairs(1, 9);
  const before = (): string => `s${random.chance(0.7) ? index - 1 : random.below(index)}`;
  const names = (): string => `[ ${times(random, 0, 4, () => quotedName(random))} ]`;
  switch (random.below(15)) {
    case 0:
    case 1:
      return `${before()} // ${pairs(0, 2)}`;
    case 2:
      return `${pairs(0, 3)} // ${before()}`;
    case 3:
      return `${before()} // ${before()}`;
    case 4:
      return `removeAttrs ${before()} ${names()}`;
    case 5:
      return `builtins.intersectAttrs ${before()} ${before()}`;
    case 6:
      return `builtins.mapAttrs (n: v: ${random.pick(["v", "n", "[ n v ]", `${before()}.\${n} or n`])}) ${before()}`;
    case 7:
      return `builtins.listToAttrs (map (n: { name = n; value = ${random.pick(["n", before(), `${before()}.\${n} or 0`])}; }) (builtins.attrNames ${before()} ++ ${names()}))`;
    case 8:
      return `builtins.groupBy (n: ${random.pick(['"a"', "n", "builtins.substring 0 1 n"])}) (builtins.attrNames ${before()})`;
    case 9:
      return `builtins.zipAttrsWith (n: vs: ${random.pick(["builtins.head vs", "builtins.length vs", "vs"])}) [ ${before()} ${before()} ]`;
    case 10:
      return `{ inherit (${before()}) ${times(random, 0, 3, () => (random.chance(0.6) ? name(random) : quotedName(random)))}; }`;
    case 11:
      return `builtins.foldl' (s: n: s // { \${n} = ${random.pick(["s", "1", "s.a or n"])}; }) ${before()} ${names()}`;
    case 12:
      return `builtins.foldl' (s: n: removeAttrs s [ n ]) ${before()} (builtins.attrNames ${before()})`;
    case 13:
      return `rec { a = ${before()}; inherit (a) ${times(random, 0, 2, () => name(random))}; }`;
    default:
      return `with ${before()}; { inherit ${times(random, 0, 2, () => random.pick(["a", "b", "c"]))}; }`;
  }
}

function setView(random: Random, last: number): string {
  const set = (): string => `s${random.below(last)}`;
  return random.pick([
    `builtins.attrNames ${set()}`,
    `builtins.attrValues ${set()}`,
    `${set()} == ${set()}`,
    `${set()}`,
    `builtins.toJSON ${set()}`,
    `builtins.toXML ${set()}`,
    `${set()}.${name(random)} or 7`,
    `${set()}.${name(random)}`,
    `${set()} ? ${name(random)}`,
    `(with ${set()}; ${random.pick(["a", "b", "x"])})`,
    `builtins.unsafeGetAttrPos ${quotedName(random)} ${set()}`,
    `builtins.catAttrs ${quotedName(random)} [ ${set()} ${set()} ]`,
    `(${set()}.${name(random)} or { }).${name(random)} or null`,
    `(${random.pick(["{ a, ... }: a", "{ a ? 1, b ? a, ... }@all: builtins.attrNames all", "{ a, b }: a"])}) ${set()}`,
  ]);
}

/** Derivations that share much, their paths and contexts. */
function derivations(random: Random): string {
  const argument = (index: number): string => {
    const given = [
      `name = "${random.pick(["n", "n", "m-1.0", "x.drv", "", "a b", "é", ".a"])}";`,
      `system = ${random.pick(['"x86_64-linux"', '"s"', '""', "1", "null"])};`,
      `builder = ${random.pick(['"/b"', '"/b"', "./a", "d0", '"${d0}/bin"', '""', 'builtins.toFile "b" "x"'])};`,
    ];
    if (random.chance(0.05)) given.splice(random.below(3), 1);
    const extra = times(random, 0, 4, () =>
      random.pick([
        'args = [ "-c" d0 ];',
        "args = 1;",
        'outputs = [ "out" "dev" ];',
        'outputs = [ "dev" ];',
        "outputs = [ ];",
        'outputs = [ "out" "out" ];',
        'outputs = [ "drv" ];',
        'outputs = "out";',
        `x = ${value(random)};`,
        `y = [ d0 ${value(random, 0)} ];`,
        'z = "${d0}${d0.drvPath}";',
        "__structuredAttrs = true;",
        "__structuredAttrs = false;",
        "__ignoreNulls = true;",
        "__contentAddressed = true;",
        'outputHash = "0000000000000000000000000000000000000000000000000000000000000000";',
        'outputHash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";',
        'outputHashAlgo = "sha256";',
        'outputHashAlgo = "md5";',
        'outputHashMode = "recursive";',
        'outputHashMode = "flat";',
        'outputHashMode = "text";',
        "allowedReferences = [ ];",
        'exportReferencesGraph = [ "g" d0 ];',
        'passAsFile = [ "x" ];',
        "f = x: x;",
        "n = null;",
        'outPath = "/x";',
        "__impure = true;",
        "out = 1;",
        'n = builtins.unsafeDiscardStringContext "${d0}";',
        "preferLocalBuild = true;",
        "p = -0.5;",
      ]),
    );
    return `d${index + 1} = ${random.pick(["derivation", "derivation", "builtins.derivationStrict", '(x: derivation (removeAttrs x [ "y" ]))'])} { ${given.join(" ")} ${dedupe(extra)} };`;
  };
  const count = 1 + random.below(3);
  const steps = Array.from({ length: count }, (_, index) => argument(index));
  const d = (): string => `d${random.below(count + 1)}`;
  const views = times(random, 1, 4, () =>
    random.pick([
      `${d()}.drvPath`,
      `${d()}.outPath`,
      `"\${${d()}}"`,
      `(builtins.getContext "\${${d()}}")`,
      `(builtins.getContext ${d()}.drvPath)`,
      `${d()}.dev.outPath`,
      `(builtins.attrNames ${d()})`,
      `${d()}`,
      `(${d()} == ${d()})`,
      `(builtins.toJSON ${d()})`,
      `(builtins.toXML ${d()})`,
      `(map (o: o.outPath) ${d()}.all)`,
      `(builtins.tryEval ${d()}.drvPath)`,
      `(builtins.deepSeq ${d()} 1)`,
      `(builtins.outputOf ${d()}.drvPath "out")`,
      `(${d()}.drvAttrs == ${d()}.drvAttrs)`,
    ]),
  );
  return `let d0 = derivation { name = "zero"; system = "s"; builder = "/b"; }; ${steps.join(" ")} in [ ${views} ]`;
}

/** Definitions of which each name stays once. */
function dedupe(definitions: string): string {
  const seen = new Set<string>();
  return definitions
    .split(/(?<=;) /)
    .filter((part) => {
      const key = part.slice(0, part.indexOf(" "));
      const isNew = !seen.has(key);
      seen.add(key);
      return isNew;
    })
    .join(" ");
}

/** Strings with contexts through everything that takes and gives strings. */
function contexts(random: Random): string {
  const base = [
    '(builtins.toFile "a" "x")',
    '(derivation { name = "n"; system = "s"; builder = "/b"; outputs = [ "out" "dev" ]; }).dev.outPath',
    '(derivation { name = "n"; system = "s"; builder = "/b"; }).drvPath',
    '"plain"',
    '""',
    '(builtins.unsafeDiscardOutputDependency (derivation { name = "n"; system = "s"; builder = "/b"; }).drvPath)',
  ];
  let text = random.pick(base);
  const more = (): string => random.pick(base);
  for (let step = random.below(5); step > 0; step--)
    text = random.pick([
      `(${text} + ${more()})`,
      `"a\${${text}}b"`,
      `(builtins.substring ${random.pick(["0", "3", "44", "200"])} ${random.pick(["0", "5", "(-1)", "100"])} ${text})`,
      `(builtins.replaceStrings [ ${random.pick(['"a"', '""', '"/"', '"zzz"'])} ] [ ${more()} ] ${text})`,
      `(builtins.concatStringsSep ${more()} [ "x" ${text} ])`,
      `(baseNameOf ${text})`,
      `(dirOf ${text})`,
      `(toString ${text})`,
      `(toString [ ${text} ${more()} ])`,
      `(builtins.toJSON { a = ${text}; })`,
      `(builtins.toXML [ ${text} ])`,
      `(builtins.elemAt (builtins.split "-" ${text}) 0)`,
      `(builtins.head (builtins.match "(.*)" ${text}))`,
      `(builtins.hashString "md5" ${text})`,
      `(builtins.unsafeDiscardStringContext ${text})`,
      `(builtins.addDrvOutputDependencies ${text})`,
      `(builtins.appendContext ${text} { ${random.pick(["", `\${builtins.unsafeDiscardStringContext ${more()}} = { path = true; };`])} })`,
      `(builtins.fromJSON (builtins.toJSON ${text}))`,
      `(builtins.parseDrvName ${text}).name`,
      `(builtins.head (builtins.attrNames { \${${text}} = 1; }))`,
      `(builtins.head (builtins.splitVersion ${text}))`,
      `({ outPath = ${text}; } + "")`,
      `"\${{ __toString = x: ${text}; }}"`,
      `(builtins.toFile "t" ${text})`,
      `(/x + ${text})`,
      `(builtins.placeholder ${text})`,
    ]);
  return random.pick([
    `[ ${text} (builtins.getContext ${text}) ]`,
    `builtins.hasContext ${text}`,
    `builtins.getContext (${text} + ${more()})`,
    `{ a = ${text}; }.\${${text}} or "none"`,
    `builtins.toPath ${text}`,
    `builtins.compareVersions ${text} "1"`,
    `${text} == ${more()}`,
    `${text} < ${more()}`,
  ]);
}

function regularExpression(random: Random): string {
  const atom = (depth: number): string =>
    depth > 0 && random.chance(0.35)
      ? `(${alternatives(depth - 1)})`
      : random.pick([
          "a",
          "b",
          ".",
          "[ab]",
          "[^a]",
          "x",
          "[a-c]",
          "[[:alpha:]]",
          "[[:digit:]]",
          "ä",
          "[^[:space:]]",
          "\\\\.",
          "[]b]",
          "-",
          " ",
        ]);
  const repeated = (depth: number): string =>
    atom(depth) +
    (random.chance(0.4) ? random.pick(["*", "+", "?", "{2}", "{1,}", "{0,2}", "{,2}", "{0}"]) : "");
  const sequence = (depth: number): string =>
    random.some(random.chance(0.1) ? 0 : 1, 3, () => repeated(depth)).join("");
  const alternatives = (depth: number): string =>
    random.some(1, random.chance(0.3) ? 3 : 1, () => sequence(depth)).join("|");
  const anchor = (mark: string): string => (random.chance(0.08) ? mark : "");
  const expression = `"${anchor("^")}${alternatives(2)}${anchor("$")}"`;
  const subject = `"${random.some(0, 9, () => random.pick(["a", "b", "c", "x", "ab", "1", " ", "ä", ".", "-", "\\n", "]"])).join("")}"`;
  return `builtins.${random.pick(["match", "split"])} ${expression} ${subject}`;
}

/** JSON and TOML documents, some of them broken. */
function document(random: Random): string {
  const isJson = random.chance(0.5);
  const scalar = (): string =>
    random.pick([
      "1",
      "-1",
      "0",
      "-0",
      "1.5",
      "1e3",
      "1E-2",
      "true",
      "false",
      "null",
      '"a"',
      '"\\\\u00e9"',
      '"\\\\n"',
      '"ä"',
      '""',
      "9223372036854775807",
      "9223372036854775808",
      "-9223372036854775808",
      "1e999",
      "0.1e-400",
      '"\\\\ud800"',
      "[]",
      "{}",
      ...(isJson
        ? ["nul", "+1", "1.", "'a'", '"\\\\u12"']
        : [
            "0xff",
            "0o7",
            "1_0",
            "1__0",
            "inf",
            "-nan",
            "'a'",
            "+1",
            "2020-01-02",
            "2020-01-02 03:04:05.678Z",
            "03:04:05",
            '"""\nx\\\\\n  y"""',
            "'''a'''",
            "1.e1",
            "0b2",
            "2020-13-01",
          ]),
    ]);
  const json = (depth: number): string => {
    if (depth === 0 || random.chance(0.3)) return scalar();
    return random.chance(0.5)
      ? `[${random.some(0, 3, () => json(depth - 1)).join(random.pick([",", ", ", " ,\n"]))}]`
      : `{${random.some(0, 3, () => `"${random.pick(["a", "b", "", "a\\\\tb", "ä"])}":${json(depth - 1)}`).join(",")}}`;
  };
  const key = (): string =>
    random
      .some(1, 2, () => random.pick(["a", "b", "c", '"d e"', "'f'", "1", "a-b", '""']))
      .join(random.pick([".", " . "]));
  const inline = (depth: number): string => {
    if (depth === 0 || random.chance(0.5)) return scalar();
    return random.chance(0.5)
      ? `[${random.some(0, 3, () => inline(depth - 1)).join(random.pick([",", ", ", ",\n"]))}${random.chance(0.2) ? "," : ""}]`
      : `{${random.some(0, 2, () => `${key()} = ${inline(depth - 1)}`).join(", ")}}`;
  };
  const toml = (): string =>
    random
      .some(1, 5, () =>
        random.chance(0.3)
          ? random.pick([`[${key()}]`, `[[${key()}]]`, "# c", ""])
          : `${key()}${random.pick([" = ", "="])}${inline(2)}`,
      )
      .join("\n");
  let text = isJson ? json(3) : toml();
  if (random.chance(0.15)) {
    const at = random.below(text.length + 1);
    text =
      text.slice(0, at) + random.pick(["", ",", "]", "}", "=", "x", "\n", " ", "#"]) + text.slice(at + 1);
  }
  const literal = `"${text.replaceAll('"', '\\"').replaceAll("\n", "\\n").replaceAll("${", "\\${")}"`;
  return `builtins.${isJson ? "fromJSON" : "fromTOML"} ${literal}`;
}

/** Fixed points, as nixpkgs ties them. */
function overlays(random: Random): string {
  const body = (isOverlay: boolean): string =>
    times(random, 0, 4, () => {
      const key = random.pick(["a", "b", "c", "d"]);
      const other = random.pick(["a", "b", "c", "d"]);
      return `${key} = ${random.pick([
        "1",
        '"s"',
        `final.${other}`,
        `[ final.${other} ]`,
        `final.${other} or 3`,
        `{ inherit (final) ${other}; }`,
        `if final ? ${other} then 1 else final.${other}`,
        ...(isOverlay
          ? [
              `prev.${key} or 0`,
              `prev.${other}`,
              `(prev.${key} or { }) // { x = final.${other}; }`,
              `toString (prev.${key} or "")`,
            ]
          : []),
      ])};`;
    });
  const overlay = (): string => `(final: prev: { ${dedupe(body(true))} })`;
  const definitions = `
  fix = f: let x = f x; in x;
  extends = o: f: final: let prev = f final; in prev // o final prev;
  makeExtensible = f: fix f // { extend = o: makeExtensible (extends o f); };
  compose = builtins.foldl' (f: g: final: prev: let p = f final prev; in p // g final (prev // p)) (final: prev: { });
  call = f: args: let x = f args; in if builtins.isAttrs x then x // { override = new: call f (args // new); } else x;`;
  return `let${definitions} in ${random.pick([
    `fix (extends ${overlay()} (final: { ${dedupe(body(false))} }))`,
    `fix (extends (compose [ ${times(random, 0, 3, overlay)} ]) (final: { ${dedupe(body(false))} }))`,
    `((makeExtensible (final: { ${dedupe(body(false))} })).extend ${overlay()}).${random.pick(["a", "b", "c"])}`,
    `(call ({ a, b ? a, ... }: { x = a; y = b; }) { a = ${value(random, 0)}; }).override { ${random.pick(["a", "b", "c"])} = ${value(random, 0)}; }`,
    `fix (final: { ${dedupe(body(false))} }) == fix (final: { ${dedupe(body(false))} })`,
  ])}`;
}

/** A builtin with what it never expects, by the right or a wrong number. */
function oddCall(random: Random): string {
  const { name: builtin, parameters } = random.pick(BUILTIN_CALLS);
  const argument = (kind: (typeof parameters)[number]): string => {
    const fitting = random.chance(0.4) ? stringFor(random, kind) : undefined;
    return (
      fitting ??
      (random.chance(0.15) ? `(builtins.toFile "c" ${random.pick(['"x"', '"ä"', '""'])})` : value(random, 2))
    );
  };
  const all = parameters.map(argument);
  if (random.chance(0.1)) all.pop();
  if (random.chance(0.05)) all.push(value(random));
  return `builtins.${builtin} ${all.join(" ")}`;
}

/** Attribute paths, defaults, and names that are written in every way. */
function selections(random: Random): string {
  const part = (): string =>
    random.pick([
      name(random),
      name(random),
      quotedName(random),
      `\${${quotedName(random)}}`,
      `\${"${random.pick(["a", "b"])}" + ""}`,
      "or",
      '"${"a"}b"',
      "${null}",
      "${1}",
    ]);
  const attrPath = (most: number): string =>
    random.some(1, most, part).join(random.pick([".", ".", " . ", ".\n"]));
  const definition = (): string =>
    random.chance(0.2)
      ? `inherit ${random.chance(0.5) ? "(s)" : ""} ${times(random, 0, 2, () => random.pick([name(random), quotedName(random), '${"a"}', "or"]))};`
      : `${attrPath(3)} = ${random.chance(0.3) ? `{ ${attrPath(2)} = ${value(random, 0)}; }` : value(random, 0)};`;
  const set = (): string => `${random.chance(0.3) ? "rec " : ""}{ ${times(random, 1, 4, definition)} }`;
  const selection = (): string =>
    `${random.pick(["s", "s", "(s)", "s.a", "{ }", '"x"', "1", "a", "[ ]"])}.${attrPath(3)}${random.chance(0.4) ? ` or ${random.pick(["1", "s", "s.a", "(s.b or 2)", "or", "[ ]", "a or b"])}` : ""}`;
  return `let s = ${set()}; a = ${value(random, 0)}; in ${random.pick([
    selection(),
    `[ ${times(random, 1, 3, selection)} ]`,
    `s ? ${attrPath(3)}`,
    `${selection()} ${selection()}`,
    `!s ? ${attrPath(2)} || ${selection()} == 1`,
    `s // { ${definition()} }`,
    `builtins.attrNames (s // ${set()})`,
    `f ${selection()}`,
    `-${selection()}`,
    `with s; ${random.pick(["a", "b", "or", "x.y or z"])}`,
  ])}`;
}

/** Operators in rows, with few parentheses: binding and the order of evaluation. */
function operators(random: Random): string {
  const operand = (): string =>
    random.pick([
      () => integer(random),
      () => value(random, 1),
      () => `-${random.pick(["1", "x", "1.5", "{ }.a or 2", "(f 1)"])}`,
      () => `!${random.pick(["true", "x", "b", "b ? c", "b == x"])}`,
      () => `${random.pick(["b", "{ a = 1; }"])} ? ${name(random)}`,
      () =>
        random.pick([
          "x",
          "b",
          "f 1",
          "f x 2",
          "b.c",
          "b.c or 1",
          "[ x ]",
          '"s"',
          "./p",
          "true",
          "false",
          "null",
          "(f 1)",
        ]),
      () => `(${operators(random).slice(OPERANDS.length)})`,
    ])();
  const operator = (): string =>
    random.pick([
      "+",
      "-",
      "*",
      "/",
      "==",
      "!=",
      "<",
      ">",
      "<=",
      ">=",
      "&&",
      "||",
      "->",
      "//",
      "++",
      "+",
      "-",
      "&&",
      "||",
      "->",
    ]);
  let text = operand();
  for (let count = 1 + random.below(4); count > 0; count--)
    text += `${random.pick([" ", " ", " ", "", "\n"])}${operator()}${random.pick([" ", " ", " ", ""])}${operand()}`;
  return OPERANDS + text;
}

const OPERANDS = "let x = 3; b = { c = 4; }; f = y: y; in ";

/** What the parser makes of operators can be replaced, as can the names that are always there. */
function replacedBuiltins(random: Random): string {
  const replaced = times(
    random,
    1,
    3,
    () =>
      `${random.pick(["__sub", "__mul", "__div", "__lessThan", "__findFile", "__nixPath", "true", "null", "builtins", "map", "import", "derivation", "toString", "__curPos", "__add"])} = ${random.pick(["x: y: [ x y ]", "1", "x: x", "{ }", "a: b: a", '"r"', "builtins", "false"])};`,
  );
  const used = times(random, 1, 4, () =>
    random.pick([
      "(1 - 2)",
      "(-1)",
      "(2 * 3)",
      "(4 / 2)",
      "(1 < 2)",
      "(2 >= 1)",
      "<nixpkgs>",
      "<a/b>",
      "true",
      "null",
      "(map 1 2)",
      "builtins.add",
      "(builtins.add 1 2)",
      "(1 + 1)",
      "__curPos",
      '(import "x")',
      "(toString 1)",
      "(if true then 1 else 2)",
      "(__sub 1 2)",
    ]),
  );
  return `${random.pick([`let ${dedupe(replaced)} in`, `with { ${dedupe(replaced)} };`, `builtins.scopedImport { ${dedupe(replaced)} } ./none or`])} [ ${used} ]`;
}

function indentedString(random: Random): string {
  const piece = (): string =>
    random.pick([
      " ",
      "  ",
      "\t",
      "\n",
      "\n",
      "\n  ",
      "\n    ",
      "a",
      "b c",
      "''${",
      '${"x"}',
      "${''\n  y\n''}",
      "''\\n",
      "''\\\n",
      "'''",
      "$",
      "$$",
      "''$",
      "'",
      "\\",
      '"',
      "\r\n",
      "ä",
      "${toString 1}",
      "''\\${",
      "$''",
      "#",
      "\n\n",
    ]);
  return `''${random.some(0, 12, piece).join("")}''`;
}

/** Numbers near every edge, calculated and printed. */
function numbers(random: Random): string {
  const digits = (count: number): string => random.some(1, count, () => String(random.below(10))).join("");
  const number = (): string =>
    random.pick([
      () => digits(19),
      () => `${digits(4)}.${digits(8)}`,
      () => `${random.below(10)}.${digits(17)}e${random.pick(["", "-", "+"])}${random.below(310)}`,
      () => `.${digits(5)}`,
      () => `${digits(3)}.`,
      () => integer(random),
      () => float(random),
      () => `(-${digits(19)})`,
      () => "(-9223372036854775807 - 1)",
    ])();
  const calculated = (): string =>
    random.pick([
      () => number(),
      () => `(${number()} ${random.pick(["+", "-", "*", "/"])} ${number()})`,
      () => `(${number()} ${random.pick(["<", "<=", "==", ">"])} ${number()})`,
      () => `(builtins.${random.pick(["ceil", "floor", "toString", "toJSON", "typeOf"])} ${number()})`,
      () =>
        `(builtins.${random.pick(["bitAnd", "bitOr", "bitXor", "add", "sub", "mul", "div", "lessThan"])} ${number()} ${number()})`,
      () =>
        `(builtins.fromJSON "${random.pick(["", "-"])}${digits(19)}${random.pick(["", `.${digits(6)}`, `e${digits(3)}`, `.${digits(3)}e-${digits(2)}`])}")`,
      () => `"\${toString ${number()}}"`,
      () =>
        `(builtins.genericClosure { startSet = [ { key = ${number()}; } { key = ${number()}; } { key = 1; } { key = 1.0; } ]; operator = x: [ ]; })`,
    ])();
  return `[ ${times(random, 1, 4, calculated)} ]`;
}

/** What is equal, what is less, and what cannot be compared. */
function comparisons(random: Random): string {
  const [a, b] = [value(random, 2), value(random, 2)];
  return `let a = ${a}; b = ${random.chance(0.3) ? "a" : b}; f = x: x; in ${random.pick([
    "[ (a == b) (b == a) ]",
    "a < b",
    "[ a 1 ] < [ b 2 ]",
    "[ a ] == [ b ]",
    "{ x = a; } == { x = b; }",
    "builtins.elem a [ b a ]",
    "builtins.sort (x: y: x < y) [ b a b ]",
    "builtins.lessThan a b",
    "a != b",
    "[ [ a ] 1 ] >= [ [ b ] 2 ]",
    "{ inherit a f; } == { a = b; inherit f; }",
    "builtins.tryEval (a == b)",
    "builtins.genericClosure { startSet = [ { key = a; } { key = b; } ]; operator = x: [ ]; }",
    "builtins.toJSON [ a b ]",
    "toString [ a b ]",
    '"${a}" == "${b}"',
    "builtins.toXML { inherit a b; }",
    "a + b",
    "a // b",
    "a ++ b",
  ])}`;
}

/** Lists through the builtins that take functions, some of them builtins themselves. */
function listPipeline(random: Random): string {
  const step = (list: string): string =>
    random.pick([
      `map ${random.pick(["(x: [ x ])", "toString", "(builtins.elemAt [ 1 2 3 ])", "builtins.typeOf", "(x: x + x)"])} ${list}`,
      `builtins.filter ${random.pick(["(x: x != 1)", "builtins.isInt", "(x: true)", "(x: x)"])} ${list}`,
      `builtins.concatMap ${random.pick(["(x: [ x x ])", "(x: [ ])", "(x: x)", `(x: ${value(random, 1)})`])} ${list}`,
      `builtins.sort ${random.pick(["builtins.lessThan", "(a: b: false)", "(a: b: a > b)", "(a: b: true)", "(a: b: 1)"])} ${list}`,
      `builtins.genList (i: ${random.pick(["i", "builtins.elemAt " + list + " i", "i * i"])}) (builtins.length ${list})`,
      `builtins.tail ${list}`,
      `(${list} ++ [ ${value(random, 1)} ])`,
      `([ ${value(random, 1)} ] ++ ${list})`,
      `builtins.concatLists [ ${list} ${list} ]`,
      `(builtins.partition (x: ${random.pick(["builtins.isInt x", "x == 1", "true", "x < 2"])}) ${list}).${random.pick(["right", "wrong"])}`,
      `builtins.attrValues (builtins.groupBy (x: ${random.pick(["builtins.typeOf x", "toString x", '"k"', "x"])}) ${list})`,
      `builtins.foldl' (a: x: ${random.pick(["a ++ [ x ]", "[ x ] ++ a", "[ a ]", "a"])}) [ ] ${list}`,
    ]);
  let list = `[ ${times(random, 0, 5, () => value(random, 1))} ]`;
  for (let count = 1 + random.below(4); count > 0; count--) list = `(${step(list)})`;
  return random.pick([
    list,
    `builtins.length ${list}`,
    `builtins.elemAt ${list} ${random.pick(["0", "1", "(-1)", "7"])}`,
    `builtins.head ${list}`,
    `builtins.all (x: x) ${list}`,
    `builtins.any (x: x == 1) ${list}`,
    `builtins.concatStringsSep "," ${list}`,
    `builtins.foldl' (a: b: a + b) 0 ${list}`,
    `builtins.toJSON ${list}`,
    `${list} == ${list}`,
    `builtins.deepSeq ${list} ${stringOf(random, () => '"h"')}`,
  ]);
}
