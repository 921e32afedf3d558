import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { AttrSet, PrimOp, createEvaluator } from "../../lang/index.ts";
import { errorOf } from "./support/evaluate.ts";
import { TestHost } from "./support/testHost.ts";

const FEATURES = new Set(["flakes", "fetch-tree", "fetch-closure", "dynamic-derivations"]);

const OBJECT = "/nix/store/ncn0hkynlzd1ndnrdj7yk8s382ly7rm6-golden-doc";

/** Every builtin function: its arity, arguments it refuses, and what it then says. */
const TABLE: readonly (readonly [name: string, arity: number, args: string, message: RegExp])[] = [
  ["abort", 1, '"x"', /evaluation aborted with the following error message: 'x'/],
  ["add", 2, '1 "x"', /expected an integer but found a string: "x"/],
  ["addDrvOutputDependencies", 1, '""', /must have exactly one element, but has 0/],
  ["addErrorContext", 2, '"x" (throw "y")', /^y$/],
  ["all", 2, "1 [ ]", /expected a function but found an integer: 1/],
  ["any", 2, "(x: 1) [ 1 ]", /expected a Boolean but found an integer: 1/],
  ["appendContext", 2, '"x" { a = { }; }', /context key 'a' is not a store path/],
  ["attrNames", 1, "1", /expected a set but found an integer: 1/],
  ["attrValues", 1, "[ ]", /expected a set but found a list: \[ \]/],
  ["baseNameOf", 1, "[ ]", /cannot coerce a list to a string: \[ \]/],
  ["bitAnd", 2, "1 1.5", /expected an integer but found a float: 1.5/],
  ["bitOr", 2, "null 1", /expected an integer but found null: null/],
  ["bitXor", 2, "true 1", /expected an integer but found a Boolean: true/],
  ["break", 1, '(throw "x")', /^x$/],
  ["catAttrs", 2, '"a" [ 1 ]', /expected a set but found an integer: 1/],
  ["ceil", 1, "1.0e30", /NixFloat argument 1e\+30 is not in the range of NixInt/],
  ["compareVersions", 2, '"1" 1', /expected a string but found an integer: 1/],
  ["concatLists", 1, "[ 1 ]", /expected a list but found an integer: 1/],
  ["concatMap", 2, "(x: x) [ 1 ]", /expected a list but found an integer: 1/],
  ["concatStringsSep", 2, '"," [ 1 ]', /cannot coerce an integer to a string: 1/],
  ["convertHash", 1, "{ }", /attribute 'hash' missing/],
  ["deepSeq", 2, '{ a = [ (throw "x") ]; } 1', /^x$/],
  ["derivationStrict", 1, "{ }", /attribute 'name' missing/],
  ["dirOf", 1, "1", /cannot coerce an integer to a string: 1/],
  ["div", 2, "1 0", /division by zero/],
  ["elem", 2, "1 1", /expected a list but found an integer: 1/],
  ["elemAt", 2, "[ 1 ] 1", /'builtins.elemAt' called with index 1 on a list of size 1/],
  ["fetchClosure", 1, "{ }", /attribute 'fromPath' is missing in call to 'fetchClosure'/],
  ["fetchGit", 1, '{ type = "git"; }', /unexpected argument 'type'/],
  ["fetchMercurial", 1, "{ }", /'url' argument required/],
  ["fetchTarball", 1, "{ }", /'url' argument required/],
  ["fetchTree", 1, "{ }", /argument 'type' is missing in call to 'fetchTree'/],
  ["fetchurl", 1, '{ a = ""; }', /unsupported argument 'a' to 'fetchurl'/],
  ["filter", 2, "(x: x) [ 1 ]", /expected a Boolean but found an integer: 1/],
  ["filterSource", 2, "1 /nowhere", /expected a function but found an integer: 1/],
  ["findFile", 2, '[ ] "x"', /file 'x' was not found in the Nix search path/],
  ["flakeRefToString", 1, "{ }", /'type' attribute to specify input scheme is required/],
  ["floor", 1, "9223372036854775807", /issues\/12899/],
  ["foldl'", 3, "1 2 [ ]", /expected a function but found an integer: 1/],
  ["fromJSON", 1, '"{"', /parse error at line 1, column 2: .* unexpected end of input/],
  ["fromTOML", 1, '"a ="', /while parsing TOML: /],
  ["functionArgs", 1, "1", /'functionArgs' requires a function/],
  ["genList", 2, "(x: x) (-1)", /cannot create list of size -1/],
  ["genericClosure", 1, "{ }", /attribute 'startSet' missing/],
  ["getAttr", 2, '"a" { }', /attribute 'a' missing/],
  ["getContext", 1, "1", /expected a string but found an integer: 1/],
  ["getEnv", 1, "1", /expected a string but found an integer: 1/],
  ["getFlake", 1, "1", /./],
  ["groupBy", 2, "(x: x) [ 1 ]", /expected a string but found an integer: 1/],
  ["hasAttr", 2, '"a" 1', /expected a set but found an integer: 1/],
  ["hasContext", 1, "1", /expected a string but found an integer: 1/],
  ["hashFile", 2, '"foo" /x', /unknown hash algorithm 'foo'/],
  ["hashString", 2, '"foo" "x"', /unknown hash algorithm 'foo'/],
  ["head", 1, "[ ]", /'builtins.head' called on an empty list/],
  ["import", 1, "/nowhere/at/all.nix", /path '\/nowhere\/at\/all.nix' does not exist/],
  ["intersectAttrs", 2, "{ } 1", /expected a set but found an integer: 1/],
  ["isAttrs", 1, '(throw "x")', /^x$/],
  ["isBool", 1, '(throw "x")', /^x$/],
  ["isFloat", 1, '(throw "x")', /^x$/],
  ["isFunction", 1, '(throw "x")', /^x$/],
  ["isInt", 1, '(throw "x")', /^x$/],
  ["isList", 1, '(throw "x")', /^x$/],
  ["isNull", 1, '(throw "x")', /^x$/],
  ["isPath", 1, '(throw "x")', /^x$/],
  ["isString", 1, '(throw "x")', /^x$/],
  ["length", 1, '"x"', /expected a list but found a string: "x"/],
  ["lessThan", 2, '1 "x"', /cannot compare an integer with a string; values are 1 and "x"/],
  ["listToAttrs", 1, '[ { name = "a"; } ]', /attribute 'value' missing/],
  ["map", 2, "1 [ 1 ]", /expected a function but found an integer: 1/],
  ["mapAttrs", 2, "1 2", /expected a set but found an integer: 2/],
  ["match", 2, '"(" "x"', /invalid regular expression '\('/],
  ["mul", 2, "9223372036854775807 2", /integer overflow in multiplying 9223372036854775807 \* 2/],
  ["outputOf", 2, '"x" "out"', /string 'x' has 0 entries in its context/],
  ["parseDrvName", 1, "1", /expected a string but found an integer: 1/],
  ["parseFlakeRef", 1, '"a b"', /flake reference 'a b' is not an absolute path/],
  ["partition", 2, "(x: x) [ 1 ]", /expected a Boolean but found an integer: 1/],
  ["path", 1, "{ }", /missing required 'path' attribute/],
  ["pathExists", 1, '"x"', /string 'x' doesn't represent an absolute path/],
  ["placeholder", 1, "1", /expected a string but found an integer: 1/],
  ["readDir", 1, "/nowhere/at/all", /path '\/nowhere\/at\/all' does not exist/],
  ["readFile", 1, "/nowhere/at/all", /path '\/nowhere\/at\/all' does not exist/],
  ["readFileType", 1, "/nowhere/at/all", /path '\/nowhere\/at\/all' does not exist/],
  ["removeAttrs", 2, "{ } [ 1 ]", /expected a string but found an integer: 1/],
  ["replaceStrings", 3, '[ "a" ] [ ] "x"', /have different lengths/],
  ["scopedImport", 2, "{ } /nowhere/at/all.nix", /path '\/nowhere\/at\/all.nix' does not exist/],
  ["seq", 2, '(throw "x") 1', /^x$/],
  ["sort", 2, "(a: b: 1) [ 1 2 ]", /expected a Boolean but found an integer: 1/],
  ["split", 2, '"[[:foo:]]" "x"', /invalid regular expression '\[\[:foo:\]\]'/],
  ["splitVersion", 1, "1", /expected a string but found an integer: 1/],
  ["storePath", 1, "/tmp", /path '\/tmp' is not in the Nix store/],
  ["stringLength", 1, "{ }", /cannot coerce a set to a string: \{ \}/],
  ["sub", 2, '1 "x"', /expected an integer but found a string: "x"/],
  ["substring", 3, '(-1) 1 "x"', /negative start position in 'substring'/],
  ["tail", 1, "[ ]", /'builtins.tail' called on an empty list/],
  ["throw", 1, '"x"', /^x$/],
  ["toFile", 2, '1 "x"', /expected a string but found an integer: 1/],
  ["toJSON", 1, "(x: x)", /cannot convert a function to JSON/],
  ["toPath", 1, '"x"', /string 'x' doesn't represent an absolute path/],
  ["toString", 1, "(x: x)", /cannot coerce a function to a string: «lambda @ «string»:1:/],
  ["toXML", 1, '[ (throw "x") ]', /^x$/],
  ["trace", 2, '1 (throw "x")', /^x$/],
  ["traceVerbose", 2, '1 (throw "x")', /^x$/],
  ["tryEval", 1, '(abort "x")', /evaluation aborted/],
  ["typeOf", 1, '(throw "x")', /^x$/],
  ["unsafeDiscardOutputDependency", 1, "1", /cannot coerce an integer to a string: 1/],
  ["unsafeDiscardStringContext", 1, "1", /cannot coerce an integer to a string: 1/],
  ["unsafeGetAttrPos", 2, '"a" 1', /expected a set but found an integer: 1/],
  ["warn", 2, "1 2", /expected a string but found an integer: 1/],
  ["zipAttrsWith", 2, "(n: v: v) [ 1 ]", /expected a set but found an integer: 1/],
];

/** Further ways in which they fail. */
const MORE: readonly (readonly [name: string, args: string, message: RegExp])[] = [
  ["fetchClosure", "{ fromPath = 1; }", /cannot coerce an integer to a string/],
  ["fetchClosure", '{ fromPath = "/x"; }', /path '\/x' is not in the Nix store/],
  ["fetchClosure", "{ inputAddressed = 1; }", /expected a Boolean/],
  ["fetchClosure", "{ x = 1; }", /attribute 'x' isn't supported in call to 'fetchClosure'/],
  ["fetchClosure", `{ fromPath = "${OBJECT}"; }`, /attribute 'fromStore' is missing/],
  [
    "fetchClosure",
    `{ fromPath = "${OBJECT}"; toPath = ""; inputAddressed = true; }`,
    /'inputAddressed' is set to true, but 'toPath' is also set/,
  ],
  [
    "fetchClosure",
    `{ fromPath = "${OBJECT}"; fromStore = "ssh://x"; }`,
    /only supports http:\/\/ and https:\/\/ stores/,
  ],
  [
    "fetchClosure",
    `{ fromPath = "${OBJECT}"; fromStore = "https://x?a=b"; }`,
    /does not support URL query parameters \(in 'https:\/\/x\?a=b'\)/,
  ],
];

/** The manual of 2.36 does not have them. */
const UNDOCUMENTED = new Set(["appendContext", "derivationStrict", "fetchMercurial"]);

const CONSTANTS = [
  "builtins",
  "currentSystem",
  "currentTime",
  "derivation",
  "false",
  "langVersion",
  "nixPath",
  "nixVersion",
  "null",
  "storeDir",
  "true",
];

/** Those that are global variables under their own names; the others are as `__name`. */
const GLOBALS =
  "abort baseNameOf break derivationStrict dirOf fetchGit fetchMercurial fetchTarball fetchTree fromTOML import isNull map placeholder removeAttrs scopedImport throw toString".split(
    " ",
  );

const { builtins } = createEvaluator(new TestHost(), { features: FEATURES }).runtime;

describe("builtins", () => {
  it("are all in the table, and nothing else", () => {
    expect(builtins.sortedNames()).toEqual([...TABLE.map(([name]) => name), ...CONSTANTS].sort());
  });

  it.each(TABLE)("%s takes %i and fails well", (name, arity, args, message) => {
    const primOp = builtins.get(name);
    expect(primOp).toBeInstanceOf(PrimOp);
    if (!(primOp instanceof PrimOp)) return;
    expect([primOp.arity, primOp.parameters.length]).toEqual([arity, arity]);
    expect(primOp.doc).toMatch(/\.$/);
    expect(errorOf(`builtins.${name} ${args}`, { features: FEATURES })).toMatch(message);
  });

  it("name their parameters as Nix's manual does", () => {
    const manual = readFileSync(join(import.meta.dirname, "golden/builtinParameters.txt"), "utf8");
    const lines = TABLE.flatMap(([name]) => {
      const primOp = builtins.get(name);
      return primOp instanceof PrimOp ? [[name, ...primOp.parameters].join(" ")] : [];
    });
    expect(lines.filter((line) => !UNDOCUMENTED.has(line.split(" ")[0]!)).sort()).toEqual(
      manual.trim().split("\n").sort(),
    );
  });

  it.each(MORE)("%s %s fails well", (name, args, message) => {
    expect(errorOf(`builtins.${name} ${args}`, { features: FEATURES })).toMatch(message);
  });

  it("fail as Nix does where they fetch, add files or make derivations", () => {
    const golden = readFileSync(join(import.meta.dirname, "golden/builtinErrors.txt"), "utf8");
    const [, ...entries] = golden.trim().split("\n\n");
    expect(entries.length).toBeGreaterThan(70);
    for (const entry of entries) {
      const [call = "", ...message] = entry.split("\n");
      expect([call, errorOf(`builtins.${call}`, { features: FEATURES })]).toEqual([call, message.join("\n")]);
    }
  });

  it("have the global names that Nix gives them", () => {
    const primOps = TABLE.map(([name]) => name);
    const asIs = primOps.filter((name) => !isUndefined(name));
    expect(asIs).toEqual(GLOBALS);
    expect(primOps.filter((name) => isUndefined(`__${name}`))).toEqual(GLOBALS);
    const hidden = CONSTANTS.filter((name) => isUndefined(name));
    expect(hidden).toEqual([
      "currentSystem",
      "currentTime",
      "langVersion",
      "nixPath",
      "nixVersion",
      "storeDir",
    ]);
    expect(hidden.filter((name) => isUndefined(`__${name}`))).toEqual([]);
  });

  it("are fewer when evaluation is pure or features are off", () => {
    const pure = createEvaluator(new TestHost(), { isPure: true, features: new Set() }).runtime.builtins;
    const missing = builtins.sortedNames().filter((name) => !pure.has(name));
    expect(missing).toEqual([
      "currentSystem",
      "currentTime",
      "fetchClosure",
      "fetchTree",
      "flakeRefToString",
      "getFlake",
      "outputOf",
      "parseFlakeRef",
    ]);
  });

  it("hold themselves", () => {
    expect(builtins.get("builtins")).toBe(builtins);
    expect(builtins).toBeInstanceOf(AttrSet);
  });
});

function isUndefined(name: string): boolean {
  try {
    return /undefined variable/.test(
      errorOf(`assert (x: true) ${name}; throw "defined"`, { features: FEATURES }),
    );
  } catch {
    return false;
  }
}
