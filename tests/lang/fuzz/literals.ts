import type { Kind } from "./builtinCalls.ts";
import type { Random } from "./random.ts";

/** Few names, so that they meet: shadowing, merging, missing attributes that are near. */
export const NAMES = [
  "a",
  "b",
  "c",
  "d",
  "x",
  "y",
  "foo",
  "bar",
  "a'",
  "b-c",
  "_x",
  "outPath",
  "name",
] as const;
// prettier-ignore
const QUOTED_NAMES = [
  '"a"', '"b c"', '"x"', '""', '"if"', '"or"', '"a.b"', '"ä"', '"1"', '"$x"', '"${"a"}"',
];
const INTEGERS =
  "0 1 2 3 7 10 -1 -2 42 255 65536 2147483648 4294967296 9007199254740991 9007199254740992 9007199254740993 " +
  "4611686018427387904 9223372036854775806 9223372036854775807 00 007 1000000000000000000 -9223372036854775807";
const FLOATS =
  "0.0 1.0 1.5 0.1 .5 1. 2.50 1.0e3 1.5e-7 123456.789 1234567.89 100000.0 1.0e15 1.0e16 1.0e22 1.0e300 3.14159265358979 " +
  "9.5e-5 0.00012345 1.0e308 2.2250738585072014e-308 9007199254740993.0 9223372036854775807.0 -0.0 -1.5 0.5e1 12.e2 0.0e0";
// prettier-ignore
const PIECES = [
  "a", "b", "foo", "bar", " ", "x y", "1", "0", "-", ".", "..", "/", "//", "ä", "€", "😀", "\\n", "\\t", "\\r",
  '\\"', "\\\\", "\\$", "\\${", "$", "$$", "$$$", "$${", "\\a", "\\", "'", "''", "{", "}", "\n", "\t", "\r\n",
  "\r", "#", "/*", "%", "\u00a0", "%20",
];
// prettier-ignore
const INDENTED_PIECES = [
  "a", "foo", " ", "  ", "    ", "\n", "\n", "\n  ", "\n    ", "\n\t", "''$", "''\\n", "''\\t", "''\\", "''\\x",
  "'''", "''''", "$", "$$", "$${", "''${", "'", "' ", "\\", "\\n", '"', "#x", "\r\n", "\r", "\t", "ä", "''\\${",
  "'$", "$'", "\n\n", "}",
];
// prettier-ignore
const REGEX_PIECES = [
  "a", "b", ".", "x", "[ab]", "[^a]", "[a-z]", "[[:alpha:]]", "[[:space:]]+", "[]a]", "[^]]", "(a)", "(a|b)",
  "(b)?", "(ab)*", "a*", "b+", "a?", "a{2}", "b{1,2}", "a{0}", "a{2,1}", "()", "|", "^", "$", "\\\\.", "(", ")",
  "[", "]", "{", "}", "*", "\\\\", "[[:foo:]]", "[z-a]", "\\\\1", "(a|ab)(c|bcd)", "[.]", "a**", "[a-]",
  "[[.a.]]", "[[=a=]]", "(?:a)", "\\\\d", "ä",
];
// prettier-ignore
const JSON_TEXTS = [
  '{"a":1}', "[1,2,3]", "null", "1.5", "1e400", '"x"', '"\\\\u00e4"', '"\\\\ud83d\\\\ude00"', '"\\\\ud83d"',
  "[1,", "{", "", "tru", "[1 2]", "01", "-", "-1", "99999999999999999999", "9223372036854775808",
  "-9223372036854775808", '{"a":1,"a":2}', "[]", "{}", " 1 ", "1 2", "[,]", '{"a"}', "'a'", "nan", '"\\\\x"',
  '"\t"', "1.", ".5", "1E5", "-0", "-0.0", '[{"b":{"c":[true,false]}}]', '{"":1}', '"\\n"', "[1,]", '{"a":1,}',
  "// x", '"\\\\u0000"', '"ä"',
];
// prettier-ignore
const TOML_TEXTS = [
  "a = 1", "[a]\nb = 2", "[[a]]\nb = 1\n[[a]]\nb = 2", "a.b.c = 1", "a = [1, 2]", "a = {b = 1}", "a = 'x'",
  "a = 1.5", "a = 0x1F", "a = 0o17", "a = 0b11", "a = 1_000", "a =", "a = 1\na = 2", "= 1", "[a", "a = inf",
  "a = nan", "a = 1979-05-27", "a = 1979-05-27T07:32:00Z", "a = 07:32:00", "# x", "", "a = true", "a = True",
  'a = "x"', "a = '''\nx'''", "a = [1,]", "a = {b = 1,}", "[a.b]\n[a]", "[a]\n[a]", "a b = 1",
  "a = 9223372036854775808", "a = 01", "a = +1", "a = 1e3", "a = .5", "'a b' = 1", "a = [1, 'x']", "a\n= 1",
  "a = 1 b = 2",
];
// prettier-ignore
const VERSIONS = [
  "1.0", "1.2.3", "2.3pre1", "foo-1.0", "a-b-c", "", "1-2", "foo-", "-1", "1.a", "1..2", "rc1", "nix-2.34pre",
  "1.10", "1.9", "é-2", "00.1", "foo-bar-1.2-x",
];
// prettier-ignore
const HASHES = [
  "", "abc", "sha256", "0".repeat(64), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "md5:d41d8cd98f00b204e9800998ecf8427e",
  "d41d8cd98f00b204e9800998ecf8427e", "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709",
  "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73", "sha512:xx",
  "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuF=", "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
];
// prettier-ignore
const ALGORITHMS = [
  "md5", "sha1", "sha256", "sha512", "sha256 ", "blake3", "", "SHA256",
];
// prettier-ignore
const STORE_NAMES = [
  "a", "x.txt", "", "a b", ".x", "..", ".", "a/b", "-", "ä", "a".repeat(212), ".-x", "..-x",
];

/** An attribute's name as it may stand in a set or after a dot. */
export function attributeName(random: Random): string {
  return random.chance(0.9) ? random.pick(NAMES) : random.pick(QUOTED_NAMES);
}

export function integer(random: Random): string {
  const text = random.chance(0.6) ? String(random.below(5)) : random.pick(INTEGERS.split(" "));
  return text.startsWith("-") ? `(${text})` : text;
}

export function float(random: Random): string {
  const text = random.pick(FLOATS.split(" "));
  return text.startsWith("-") ? `(${text})` : text;
}

// prettier-ignore
const PATHS = [
  "./a", "./.", "./.", "../b", "/x/y", "./a/../b", "a/b", "./a-b.c", "/x//y", './${"a"}', './a${"b"}/c', "~/x", './c//${"d"}', "./b+c", "./.a", '/x/${"y"}', './a/${".."}', "./x.nix/y", "/ä",
];
// prettier-ignore
const ODD_PATHS = [
  "./a/", "./a//b", "./a///b", "/x//", "~/", "~/a/", './a/${"b"}/', "a//b", './a/${"b"}//c',
];

export function path(random: Random): string {
  return random.chance(0.99) ? random.pick(PATHS) : random.pick(ODD_PATHS);
}

/** A string with pieces between its quotes; `hole` makes `${…}`. */
export function stringOf(random: Random, hole: () => string): string {
  const isIndented = random.chance(0.3);
  const pieces = random.some(0, 5, () =>
    random.chance(0.2) ? `\${${hole()}}` : random.pick(isIndented ? INDENTED_PIECES : PIECES),
  );
  return isIndented ? `''${pieces.join("")}''` : `"${pieces.join("")}"`;
}

/** A string that a builtin expects in this form; `undefined` for kinds that are no such strings. */
export function stringFor(random: Random, kind: Kind): string | undefined {
  switch (kind) {
    case "regex":
      return `"${random.some(1, 4, () => random.pick(REGEX_PIECES)).join("")}"`;
    case "json":
      return quoted(random.pick(JSON_TEXTS));
    case "toml":
      return quoted(random.some(1, 2, () => random.pick(TOML_TEXTS)).join("\n"));
    case "version":
      return quoted(random.pick(VERSIONS));
    case "hash":
      return quoted(random.pick(HASHES));
    case "algorithm":
      return quoted(random.pick(ALGORITHMS));
    case "storeName":
      return quoted(random.chance(0.6) ? "a" : random.pick(STORE_NAMES));
    case "name":
      return quoted(random.pick(NAMES));
    default:
      return undefined;
  }
}

/** Backslashes stay: the tables have them as the language's strings do. */
function quoted(text: string): string {
  return `"${text.replaceAll('"', '\\"').replaceAll("${", "\\${")}"`;
}
