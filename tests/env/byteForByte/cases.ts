/** Expressions whose derivations must be real Nix's to the byte. Relative paths start from `tests/env/fixtures`. */
export interface ByteCase {
  readonly name: string;
  readonly expression: string;
}

const PRELUDE = `let
  mk = a: derivation ({ name = "x"; system = "x86_64-linux"; builder = "/bin/sh"; } // a);
  dep = mk { name = "dep"; args = [ "-c" "echo > $out" ]; };
  multi = mk { name = "multi"; outputs = [ "out" "dev" "lib" ]; };
  fixed = mk { name = "fixed"; outputHash = "0000000000000000000000000000000000000000000000000000"; outputHashAlgo = "sha256"; };
  other = mk { name = "other"; inherit dep; };
  ca = mk { name = "ca"; __contentAddressed = true; outputHashAlgo = "sha256"; outputHashMode = "recursive"; outputs = [ "out" "doc" ]; };
in
`;

const cases: ByteCase[] = [];
function add(group: string, name: string, expression: string): void {
  cases.push({ name: `${group}: ${name}`, expression: `${PRELUDE}${expression}` });
}

// Names: their characters and bounds.
for (const name of [
  "a",
  "A-b",
  "0",
  "+",
  "-x",
  "_",
  "?",
  "=",
  "a.b",
  "..x",
  ".x",
  "a+b-c_d?e=f.g",
  "x.drv.x",
])
  add("name", name, `mk { name = ${quote(name)}; }`);
for (const length of [2, 31, 32, 33, 100, 127, 128, 200, 206, 207])
  add("name", `${length} bytes`, `mk { name = ${quote("n".repeat(length))}; }`);
for (const length of [196, 197, 198, 199, 200, 203])
  add(
    "name",
    `${length} bytes and a long output`,
    `mk { name = ${quote("n".repeat(length))}; outputs = [ "out" "debug" ]; }`,
  );

// Systems and builders.
for (const system of ["x86_64-linux", "aarch64-linux", "builtin", "a b", "i686-linux"])
  add("system", JSON.stringify(system), `mk { system = ${quote(system)}; }`);
add("builder", "of a derivation", 'mk { builder = "${dep}/bin/sh"; }');
add("builder", "a path", "mk { builder = ./tree/run.sh; }");
add("builder", "builtin", 'mk { builder = "builtin:fetchurl"; system = "builtin"; url = "file:///x"; }');

// Arguments.
const ARGUMENTS: readonly (readonly [string, string])[] = [
  ["none", "[ ]"],
  ["empty string", '[ "" ]'],
  ["numbers", "[ 1 (-2) 3.5 ]"],
  ["booleans and null", "[ true false null ]"],
  ["nested lists", '[ [ "a" "b" ] [ [ "c" ] ] ]'],
  ["a derivation", "[ dep ]"],
  ["outputs", "[ multi.dev multi.lib multi ]"],
  ["a path", "[ ./tree/plain.txt ]"],
  ["a path inside", '[ "${./tree}/sub/deep/d.txt" ]'],
  ["__toString", '[ { __toString = self: "s"; } ]'],
  ["quotes", String.raw`[ "\"" "\\" "'" "\n" "\t" "\r" "\${" ]`],
];
for (const [name, args] of ARGUMENTS) add("args", name, `mk { args = ${args}; }`);

// Variables of every type.
const VALUES: readonly (readonly [string, string])[] = [
  ["string", '"v"'],
  ["empty string", '""'],
  ["int", "42"],
  ["negative int", "(-7)"],
  ["greatest int", "9223372036854775807"],
  ["least int", "(-9223372036854775807 - 1)"],
  ["float", "1.5"],
  ["whole float", "2.0"],
  ["small float", "1.0e-7"],
  ["large float", "1.0e300"],
  ["true", "true"],
  ["false", "false"],
  ["null", "null"],
  ["empty list", "[ ]"],
  ["list", '[ "a" 1 true ]'],
  ["nested list", '[ [ "a" [ ] ] "b" [ [ ] ] ]'],
  ["list of empties", '[ "" "" ]'],
  ["control characters", String.raw`"\n\t\r"`],
  ["quotes and backslashes", String.raw`"\"\\'"`],
  ["dollars", String.raw`"\${x} $y $$"`],
  ["unicode", '"äöü → 漢字 😀"'],
  ["lone bytes", String.raw`(builtins.fromJSON "\"\\u00e9\\u0001\"")`],
  ["indented string", "''\n    a\n      b\n    ''"],
  ["a derivation", "dep"],
  ["its outPath", "dep.outPath"],
  ["its drvPath", "dep.drvPath"],
  ["drvPath as an output only", "(builtins.unsafeDiscardOutputDependency dep.drvPath)"],
  ["no context", "(builtins.unsafeDiscardStringContext dep.outPath)"],
  [
    "output dependencies added",
    "(builtins.addDrvOutputDependencies (builtins.unsafeDiscardOutputDependency dep.drvPath))",
  ],
  ["several outputs", '"${multi} ${multi.dev} ${multi.lib}"'],
  ["one output", "multi.lib"],
  ["all outputs", "multi.all"],
  ["a fixed output", "fixed"],
  ["a fixed output's drvPath", "fixed.drvPath"],
  ["a chain", '"${other} ${fixed} ${multi.dev}"'],
  [
    "appended context",
    '(builtins.appendContext "s" { ${builtins.unsafeDiscardStringContext dep.drvPath} = { outputs = [ "out" ]; }; })',
  ],
  [
    "all outputs by context",
    '(builtins.appendContext "s" { ${builtins.unsafeDiscardStringContext multi.drvPath} = { allOutputs = true; }; })',
  ],
  ["a path", "./tree/plain.txt"],
  ["an executable", "./tree/run.sh"],
  ["a link", "./tree/link"],
  ["an empty file", "./tree/empty"],
  ["a tree", "./tree"],
  ["a path in a tree", '"${./tree}/sub/binary"'],
  ["a path as a string", '(toString ./tree != "")'],
  ["__toString", '{ __toString = self: "made ${dep}"; }'],
  ["outPath", "{ outPath = ./tree/sub; }"],
  ["outPath of a string", '{ outPath = "/x"; }'],
  ["toFile", '(builtins.toFile "f" "text")'],
  ["empty toFile", '(builtins.toFile "f" "")'],
  ["toFile that refers to a path", '(builtins.toFile "f" "see ${./tree/plain.txt}")'],
  [
    "toFile that refers to a file",
    '(builtins.toFile "g" "see ${builtins.toFile "f" "x"} ${builtins.toFile "e" "y"}")',
  ],
  ["toFile of bytes", String.raw`(builtins.toFile "b" "a\r\n\t\"\\")`],
  ["toFile with a long name", `(builtins.toFile ${quote("n".repeat(211))} "x")`],
  ["builtins.path", "(builtins.path { path = ./tree; })"],
  ["builtins.path named", '(builtins.path { path = ./tree; name = "other"; })'],
  ["builtins.path of a file", "(builtins.path { path = ./tree/run.sh; })"],
  ["builtins.path flat", "(builtins.path { path = ./tree/run.sh; recursive = false; })"],
  ["builtins.path filtered", '(builtins.path { path = ./tree; name = "f"; filter = p: t: t != "symlink"; })'],
  [
    "builtins.path by name",
    '(builtins.path { path = ./tree; name = "f"; filter = p: t: baseNameOf p != "deep"; })',
  ],
  ["builtins.path of nothing", '(builtins.path { path = ./tree; name = "f"; filter = p: t: false; })'],
  [
    "builtins.path pinned",
    '(builtins.path { path = ./tree/plain.txt; recursive = false; sha256 = builtins.hashFile "sha256" ./tree/plain.txt; })',
  ],
  ["filterSource", '(builtins.filterSource (p: t: t == "regular" || t == "directory") ./tree)'],
  ["filterSource of links", '(builtins.filterSource (p: t: t != "regular") ./tree)'],
  ["hashString", '(builtins.hashString "sha256" "x")'],
  ["hashFile", '(builtins.hashFile "sha512" ./tree/sub/binary)'],
  ["toJSON", '(builtins.toJSON { a = dep; b = [ 1 2.5 null true "x" ]; c = ./tree/plain.txt; })'],
  ["toXML", '(builtins.toXML { a = 1; b = "x"; })'],
  ["readFile", "(builtins.readFile ./tree/plain.txt)"],
  ["concatStringsSep", '(builtins.concatStringsSep ":" [ dep multi.dev "x" ])'],
  ["replaceStrings", '(builtins.replaceStrings [ "x" ] [ "${dep}" ] "axb")'],
  ["substring keeps context", '(builtins.substring 0 5 "${dep}")'],
  ["empty substring keeps context", '(builtins.substring 0 0 "${dep}")'],
  ["placeholder", '(builtins.placeholder "out")'],
  ["placeholder of another output", '(builtins.placeholder "dev")'],
  ["content-addressed", "ca"],
  ["content-addressed output", "ca.doc"],
  ["content-addressed drvPath", "ca.drvPath"],
  ["baseNameOf", "(baseNameOf dep)"],
  ["dirOf", '(dirOf "${dep}/a/b")'],
];
for (const [name, value] of VALUES) add("value", name, `mk { v = ${value}; }`);
for (const [name, value] of VALUES.filter(([name]) => !/^(a path as a string)$/.test(name)))
  add("structured", name, `mk { __structuredAttrs = true; v = ${value}; }`);

// Outputs: order, names, references between them.
for (const outputs of [
  ["out"],
  ["out", "dev"],
  ["dev", "out"],
  ["a"],
  ["c", "b", "a"],
  ["out", "bin", "dev", "doc", "info", "lib", "man"],
  ["out-x", "out"],
  ["drv"],
]) {
  const list = `[ ${outputs.map(quote).join(" ")} ]`;
  add("outputs", outputs.join(" "), `mk { outputs = ${list}; }`);
  add("outputs", `${outputs.join(" ")}, structured`, `mk { outputs = ${list}; __structuredAttrs = true; }`);
  add(
    "outputs",
    `${outputs.join(" ")}, used`,
    `let p = mk { outputs = ${list}; }; in mk { all = p.all; first = p; last = p.${quote(outputs.at(-1) ?? "")}; }`,
  );
}

// Fixed outputs: every algorithm, encoding and mode.
const DIGESTS = {
  md5: {
    base16: "d41d8cd98f00b204e9800998ecf8427e",
    nix32: "3y8bwfr609h3lh9ch0izcqq7fl",
    base64: "1B2M2Y8AsgTpgAmY7PhCfg==",
  },
  sha1: {
    base16: "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    nix32: "143xibwh31h9bvxzalr0sjvbbvpa6ffs",
    base64: "2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
  },
  sha256: {
    base16: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    nix32: "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73",
    base64: "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
  },
  sha512: {
    base16:
      "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
    nix32:
      "0zdl9zrg8r3i9c1g90lgg9ip5ijzv3yhz91i0zzn3r8ap9ws784gkp9dk9j3aglhgf1amqb0pj21mh7h1nxcl18akqvvf7ggqsy30yg",
    base64: "z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==",
  },
} as const;
for (const [algorithm, digests] of Object.entries(DIGESTS))
  for (const mode of ["flat", "recursive"]) {
    const fixed = (hash: string, algo: string): string =>
      `mk { outputHashMode = ${quote(mode)}; outputHashAlgo = ${algo}; outputHash = ${quote(hash)}; }`;
    for (const [encoding, digest] of Object.entries(digests))
      add("fixed", `${algorithm} ${mode} ${encoding}`, fixed(digest, quote(algorithm)));
    add("fixed", `${algorithm} ${mode} sri`, fixed(`${algorithm}-${digests.base64}`, "null"));
    add(
      "fixed",
      `${algorithm} ${mode} with a prefix`,
      fixed(`${algorithm}:${digests.base16}`, quote(algorithm)),
    );
    add(
      "fixed",
      `${algorithm} ${mode}, used`,
      `let f = ${fixed(digests.base16, quote(algorithm))}; in mk { inherit f; g = mk { name = "g"; inherit f; }; }`,
    );
  }
add("fixed", "without a mode", `mk { outputHash = "sha256-${DIGESTS.sha256.base64}"; }`);
add(
  "fixed",
  "empty algorithm",
  `mk { outputHash = "sha256-${DIGESTS.sha256.base64}"; outputHashAlgo = ""; }`,
);
add("fixed", "nar mode", `mk { outputHash = "sha256-${DIGESTS.sha256.base64}"; outputHashMode = "nar"; }`);
add(
  "fixed",
  "two ways to the same bytes",
  `let f = url: mk { inherit url; outputHash = "sha256-${DIGESTS.sha256.base64}"; }; in mk { a = f "http://a"; b = f "http://b"; }`,
);
add(
  "fixed",
  "structured",
  `mk { __structuredAttrs = true; outputHash = "sha256-${DIGESTS.sha256.base64}"; urls = [ "a" "b" ]; }`,
);
add(
  "fixed",
  "<nix/fetchurl.nix>",
  `import <nix/fetchurl.nix> { url = "http://example.org/a.tar.gz"; sha256 = "${DIGESTS.sha256.nix32}"; }`,
);
add(
  "fixed",
  "<nix/fetchurl.nix> executable",
  `import <nix/fetchurl.nix> { url = "http://example.org/a"; hash = "sha256-${DIGESTS.sha256.base64}"; executable = true; name = "b"; }`,
);
add(
  "fixed",
  "<nix/fetchurl.nix> unpacked",
  `import <nix/fetchurl.nix> { url = "http://example.org/a"; sha512 = "${DIGESTS.sha512.base16}"; unpack = true; }`,
);

// Content-addressed and impure.
add("content-addressed", "itself", "ca");
add(
  "content-addressed",
  "with sha512",
  'mk { __contentAddressed = true; outputHashAlgo = "sha512"; outputHashMode = "recursive"; }',
);
add(
  "content-addressed",
  "flat",
  'mk { __contentAddressed = true; outputHashAlgo = "sha256"; outputHashMode = "flat"; }',
);
add("content-addressed", "with defaults", "mk { __contentAddressed = true; }");
add(
  "content-addressed",
  "used twice",
  'let a = mk { inherit ca; }; in mk { name = "b"; inherit a; doc = ca.doc; }',
);
add(
  "content-addressed",
  "structured",
  "mk { __contentAddressed = true; __structuredAttrs = true; s = { inherit ca; }; }",
);
add("impure", "itself", "mk { __impure = true; }");
add(
  "impure",
  "of a fixed output",
  `mk { outputHash = "sha256-${DIGESTS.sha256.base64}"; i = mk { __impure = true; }; }`,
);

// Attributes with a meaning of their own.
add("special", "__ignoreNulls", "mk { __ignoreNulls = true; a = null; b = 1; args = [ ]; }");
add(
  "special",
  "__ignoreNulls structured",
  "mk { __ignoreNulls = true; __structuredAttrs = true; a = null; b = null; c = 1; }",
);
add("special", "passAsFile", 'mk { passAsFile = [ "text" ]; text = "long"; }');
add("special", "exportReferencesGraph", 'mk { exportReferencesGraph = [ "graph" dep ]; }');
add(
  "special",
  "exportReferencesGraph structured",
  "mk { __structuredAttrs = true; exportReferencesGraph.graph = [ dep multi.dev ]; }",
);
add(
  "special",
  "outputChecks",
  'mk { __structuredAttrs = true; outputChecks.out.allowedReferences = [ dep "out" ]; }',
);
add(
  "special",
  "allowedReferences",
  'mk { allowedReferences = [ "out" dep ]; disallowedReferences = [ multi.lib ]; }',
);
add(
  "special",
  "impureEnvVars",
  `mk { impureEnvVars = [ "HOME" ]; outputHash = "sha256-${DIGESTS.sha256.base64}"; }`,
);
add(
  "special",
  "preferLocalBuild",
  'mk { preferLocalBuild = true; allowSubstitutes = false; requiredSystemFeatures = [ "kvm" ]; }',
);
add(
  "special",
  "structured nested",
  'mk { __structuredAttrs = true; a.b.c = [ { d = 1; } { e = [ ]; f = { }; } ]; "odd name" = "ä"; }',
);
add(
  "special",
  "structured keys in byte order",
  'mk { __structuredAttrs = true; s = { B = 1; a = 2; _ = 3; "0" = 4; "é" = 5; }; }',
);
add("special", "structured args", 'mk { __structuredAttrs = true; args = [ "a" dep 1 ]; }');
add(
  "special",
  "structured with an output named in a value",
  'mk { __structuredAttrs = true; outputs = [ "out" "dev" ]; v = placeholder "dev"; }',
);
add(
  "special",
  "unsafeDiscardReferences",
  "mk { __structuredAttrs = true; unsafeDiscardReferences.out = true; }",
);
add("special", "variable names", 'mk { "a b" = 1; "a-b" = 2; "é" = 3; "0" = 4; Z = 5; z = 6; }');
add("special", "a variable named as an output", 'mk { outputs = [ "out" "dev" ]; dev = "overridden"; }');
add(
  "special",
  "many variables",
  'mk (builtins.listToAttrs (builtins.genList (n: { name = "v${toString n}"; value = n * n; }) 300))',
);
add(
  "special",
  "derivationStrict",
  'derivation { inherit (derivationStrict { name = "s"; system = "a"; builder = "b"; }) drvPath; name = "t"; system = "a"; builder = "b"; }',
);
add("special", "overridden after", 'mk { a = (dep // { outPath = "/elsewhere"; }); }');
add(
  "special",
  "a diamond",
  'let a = mk { name = "a"; }; b = mk { name = "b"; inherit a; }; c = mk { name = "c"; inherit a; }; in mk { name = "d"; inherit b c; }',
);
add(
  "special",
  "a long chain",
  'builtins.foldl\' (previous: n: mk { name = "c${toString n}"; inherit previous; }) dep (builtins.genList (n: n) 50)',
);
add("special", "imported", "mk { v = import ./tree/../value.nix; }");
add(
  "special",
  "a closure as context",
  'mk { v = builtins.toFile "refs" (builtins.unsafeDiscardStringContext multi.drvPath); closure = other.drvPath; }',
);

export const byteCases: readonly ByteCase[] = cases;

/** Expressions that real Nix refuses, and we must too. */
export const refusedExpressions: readonly string[] = [
  'mk { name = ""; }',
  'mk { name = "."; }',
  'mk { name = ".."; }',
  'mk { name = ".-x"; }',
  'mk { name = "..-x"; }',
  'mk { name = "a b"; }',
  'mk { name = "a/b"; }',
  'mk { name = "ä"; }',
  'mk { name = "x.drv"; }',
  `mk { name = ${quote("n".repeat(208))}; }`,
  `mk { name = ${quote("n".repeat(207))}; outputs = [ "out" "debug" ]; }`,
  "mk { outputs = [ ]; }",
  'mk { system = ""; }',
  'mk { builder = ""; }',
  'mk { outputs = [ "out" "out" ]; }',
  'mk { outputHash = "abc"; outputHashAlgo = "sha256"; }',
  'mk { outputHash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="; outputs = [ "out" "dev" ]; }',
  'mk { outputHash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="; outputHashMode = "odd"; }',
  "mk { args = 1; }",
  "mk { v = x: x; }",
  "mk { v = { a = 1; }; }",
  'mk { v = builtins.toFile "f" "${dep}"; }',
  `mk { v = builtins.toFile ${quote("n".repeat(212))} "x"; }`,
  'mk { v = builtins.path { path = ./tree; name = "a b"; }; }',
  'mk { v = builtins.path { path = ./tree; sha256 = "0000000000000000000000000000000000000000000000000000"; }; }',
  "mk { v = ./absent; }",
].map((expression) => PRELUDE + expression);

function quote(text: string): string {
  return JSON.stringify(text).replaceAll("${", "\\${");
}
