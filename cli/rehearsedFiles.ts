/** What package collections are made of: forms and builtins that `rehearse` evaluates, by their places in a directory. */
export const REHEARSED_FILES: ReadonlyMap<string, string> = new Map([
  [
    "packages.nix",
    `# Forms and builtins in the shapes that package collections use.
{ overlays ? [ ], ... }:
let
  lib = import <here/lib>;
  inherit (lib) fix extends optional optionals makeOverridable version;
  stdenv = { name, buildInputs ? [ ], outputs ? [ "out" ], passthru ? { }, ... }@args: lib.addPassthru passthru (derivation (
    removeAttrs args [ "passthru" "buildInputs" "meta" ] // {
      inherit outputs;
      system = "x86_64-linux";
      builder = "/bin/sh";
      args = [ "-e" ./builder.sh ];
      buildInputs = map (x: x.dev or x) (builtins.filter (x: x != null) buildInputs);
      flags = [ "a" 1 true null ] ++ optional (name != "") "b" ++ optionals false [ "c" ];
    }
  ));
  fetch = { url, sha256, name ? baseNameOf url }: derivation {
    inherit name url;
    system = "builtin";
    builder = "builtin:fetchurl";
    outputHash = sha256;
    outputHashAlgo = "sha256";
    outputHashMode = if lib.hasSuffix ".tar.gz" name then "flat" else "recursive";
    preferLocalBuild = true;
  };
  base = self: with self; {
${Array.from({ length: 56 }, (_, i) => `    lazy${i} = stdenv rec { name = "l-\${lib.version}"; meta = with lib; { inherit version; a.b = [ (f c).d ./e/f.patch http://g.h/i ] ++ e; j = ''\\n''\${k}''; l = 1; }; };\n`).join("")}
    callPackage = lib.callPackageWith self;
    src = fetch { url = "mirror://x/a-\${version}.tar.gz"; sha256 = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="; };
    a = callPackage ./package.nix { };
    b = (a.override { flag = true; }).overrideAttrs (old: { pname = old.name + "-b"; });
    c = callPackage ({ a, b, c ? null, ... }: stdenv { name = "c"; buildInputs = [ a b c ]; passthru = { inherit a; }; }) { c = null; };
    inherit stdenv lib fetch;
  };
  overlay = self: super: { d = super.a // { meta = super.a.meta or { } // { priority = 10; }; }; } // {
    e = lib.recurseIntoAttrs { inherit (self) c; "x-\${toString 1}" = rec { y = 2; z = y; }; };
  };
  all = builtins.foldl' (packages: overlay: packages // overlay packages) (fix (extends overlay base)) overlays;
in
assert lib.version == "1.10" -> !(all ? nothing) && all.e ? c.name || false;
{ z = 26; } // all
`,
  ],
  [
    "default.nix",
    `let
  lib = import ./lib;
  all = import ./packages.nix { overlays = [ (packages: { n = builtins.length (builtins.attrNames packages); }) ]; };
  two = "2";
in
{
  drvs = [ all.a.drvPath all.b.drvPath all.c.drvPath all.d.outPath all.e.c.a.name ];
  inherit (lib) numbers strings sets lists checks;
  rare = import ./rare.nix;
  text = ''
    one ''\${two} \${lib.version}
      three
  '';
}
`,
  ],
  [
    "rare.nix",
    `# What is asked for here and there in a collection, and by the modules of a system.
let
  set = { a = 1; "b-\${two}" = 2; \${null} = 3; } // { inherit (builtins) add div; };
  two = toString 2;
  name = "a";
  far = a: let b = a; in c: let d = c; in e: let f = e; in { g ? a, ... }: [ a b c d f g ];
  three = a: b: c: a + b + c;
  four = a: b: c: d: three a b c + d;
  held = four 1 2 3;
  many = builtins.genList (n: (if n < 20 then 0 - n else 3 * n) - (if n / 2 * 2 == n then 7 else 0)) 50;
  long = builtins.concatStringsSep "-" (builtins.genList (n: "0123456789abcdef") 5000);
  option = { type ? "any", default ? null, apply ? x: x }: { inherit type; value = apply default; _type = "option"; };
  merge = modules: builtins.zipAttrsWith (n: values: if builtins.all builtins.isAttrs values then merge values else builtins.head values) modules;
  evaluated = merge (map (m: if builtins.isFunction m then m { config = evaluated; inherit option; } else m) [
    { services.a.enable = true; }
    ({ config, option, ... }: { services.a.port = if config.services.a.enable then 80 else 0; o = option { default = [ 1 ]; }; })
  ]);
in
rec {
  names = [ (set.\${name}) (set.\${name} or 0) (set ? \${name}) { \${name} = 1; } (builtins.unsafeGetAttrPos "a" set != null) ];
  calls = [ (far 1 2 3 { }) (held 4) (three 1 2 3) (four 1 2 3 4) (map (builtins.elemAt [ 1 2 ]) [ 0 1 ]) ((builtins.add 1) 2) ({ __functor = self: x: x; } 5) (builtins.div 7 2) (7.5 / 2) ];
  scopes = with { a = 1; }; with { b = 2; }; [ a b ((x: with x; [ a c ]) { c = 3; }) ];
  orders = [ (builtins.sort builtins.lessThan many) (builtins.sort (a: b: a > b) many) (builtins.sort builtins.lessThan [ "b" "a" ]) ([ 1 [ 2 ] ] == [ 1 [ 2 ] ]) (null == two) ];
  files = [
    (builtins.readFile ./package.nix != "") (builtins.attrNames (builtins.readDir ./.)) (baseNameOf "\${./builder.sh}") (./lib + "/default.nix" == ./lib/default.nix)
    (builtins.path { path = ./lib; name = "lib"; filter = path: type: type == "regular"; } != "") (builtins.filterSource (path: type: true) ./lib != "")
    (builtins.toFile "text" long) (builtins.toFile "more" "a \${builtins.toFile "b" "c"}") (builtins.pathExists <here>) (builtins.getEnv "HOME" != "")
    (builtins.findFile builtins.nixPath "here/lib" == ./lib)
  ];
  texts = [
    (builtins.toXML { inherit set many; d = [ "<\${two}>" null 1.5 ./lib (a: a) ({ b, c ? 1 }: b) true ]; } != "") (builtins.toJSON { a = "x\\"y\\n\\t"; b.outPath = "z"; c.__toString = self: "w"; })
    (builtins.splitVersion "1.2pre3-a") (builtins.match "[^/a-c]+[[:space:]]?(x|y*)" "def x") (builtins.placeholder "out") "a\\tb\\\${c}" (builtins.substring 0 3 long)
  ];
  types = map (f: map f [ 1 "a" [ ] true ./lib 1.5 null ]) (with builtins; [ isInt isString isList isBool isPath isFloat isNull isAttrs isFunction typeOf ]);
  inherit (evaluated) services o;
}
`,
  ],
  [
    "package.nix",
    `{ stdenv, lib, fetch, src, flag ? false }:

stdenv rec {
  name = "a-\${version}";
  version = "2.10";
  inherit src;
  outputs = [ "out" "dev" ];
  buildInputs = lib.optional flag src ++ [ ];
  configureFlags = [ (lib.enableFeature flag "nls") "--with=\${src}" ];
  patchPhase = ''
    # comment
    sed -i "s/a/b/" Makefile
  '' + lib.optionalString flag ''
    \tmore
  '';
  meta = with lib; { description = "A program"; license = licenses.gpl; platforms = platforms.all; };
}
`,
  ],
  ["builder.sh", ""],
  ["nix.conf", "# Settings\nmax-jobs = 2\n"],
  [
    "lib/default.nix",
    `let
  inherit (builtins) length elemAt head tail substring stringLength attrNames concatLists listToAttrs isAttrs;
  fix = f: let x = f x; in x;
  extends = f: rattrs: self: let super = rattrs self; in super // f self super;
  optional = cond: elem: if cond then [ elem ] else [ ];
  optionals = cond: elems: if cond then elems else [ ];
  optionalString = cond: string: if cond then string else "";
  nameValuePair = name: value: { inherit name value; };
  mapAttrs' = f: set: listToAttrs (map (attr: f attr set.\${attr}) (attrNames set));
  foldr = op: nul: list: let len = length list; go = n: if n == len then nul else op (elemAt list n) (go (n + 1)); in go 0;
  hasSuffix = suffix: content: let n = stringLength content; m = stringLength suffix; in n >= m && substring (n - m) n content == suffix;
  recursiveUpdate = a: b: builtins.zipAttrsWith (n: vs: if length vs > 1 && isAttrs (head vs) then recursiveUpdate (head vs) (elemAt vs 1) else head (tail ([ null ] ++ vs))) [ a b ];
  makeOverridable = f: origArgs: let
    result = f origArgs;
    overrideWith = newArgs: origArgs // (if builtins.isFunction newArgs then newArgs origArgs else newArgs);
  in if isAttrs result then result // {
    override = newArgs: makeOverridable f (overrideWith newArgs);
    overrideAttrs = fdrv: makeOverridable (args: result // fdrv result) origArgs;
    \${if result ? nothing then "nothing" else null} = 1;
  } else { inherit result; __functor = self: x: x; };
  callPackageWith = autoArgs: fn: args: let
    f = if builtins.isFunction fn then fn else import fn;
    auto = builtins.intersectAttrs (builtins.functionArgs f) autoArgs;
  in makeOverridable f (auto // args);
in
rec {
  inherit fix extends optional optionals optionalString makeOverridable callPackageWith hasSuffix;
  version = builtins.concatStringsSep "." [ "1" "10" ];
  addPassthru = passthru: drv: drv // passthru // { inherit passthru; meta.available = true; };
  recurseIntoAttrs = set: set // { recurseForDerivations = true; };
  enableFeature = enable: feature: "--\${if enable then "enable" else "disable"}-\${feature}";
  licenses = mapAttrs' (n: v: nameValuePair n ({ shortName = n; } // v)) { gpl = { free = true; }; };
  platforms = { all = [ "x86_64-linux" ]; };
  numbers = [ (1 + 2 * 3 - 4 / 2) (1.5 + 1) (-1) (builtins.lessThan 1 2) (builtins.bitAnd 6 3) (foldr (a: b: a + b) 0 [ 1 2 3 ]) ];
  strings = [
    (builtins.replaceStrings [ "a" "b" ] [ "b" "a" ] "abc") (builtins.match "([a-z]+)-(.*)" "ab-12")
    (builtins.split "," "a,b") (builtins.compareVersions "1.2" "1.10") (builtins.parseDrvName "a-1.2")
    (builtins.hashString "sha256" "a") (builtins.fromJSON (builtins.toJSON { a = [ 1 null "x" ]; }))
    (substring 0 1 "abc") (toString [ 1 ./package.nix ]) (baseNameOf ./lib) (dirOf "/a/b") (builtins.unsafeDiscardStringContext "a")
  ];
  sets = [
    (recursiveUpdate { a.b = 1; c = 2; } { a.d = 3; }) (builtins.mapAttrs (n: v: n + toString v) { x = 1; })
    (builtins.intersectAttrs { a = 1; } { a = 2; b = 3; }) (builtins.catAttrs "a" [ { a = 1; } { } ])
    (builtins.groupBy (x: if x > 1 then "big" else "small") [ 1 2 3 ]) (builtins.attrValues { b = 1; a = 2; })
    (builtins.hasAttr "a" { }) ({ a = 1; }.b or "c") (builtins.getAttr "a" { a = 1; })
  ];
  lists = [
    (builtins.sort (a: b: a < b) [ 3 1 2 ]) (builtins.foldl' (a: b: a + b) 0 [ 1 2 ]) (builtins.genList (x: x * x) 4)
    (builtins.concatMap (x: [ x x ]) [ 1 ]) (builtins.elem 1 [ 1 2 ]) (builtins.all (x: x) [ true ]) (builtins.any (x: x) [ false ])
    (builtins.partition (x: x > 1) [ 1 2 ]) (concatLists [ [ 1 ] [ 2 ] ]) ([ 1 ] == [ 1 ] && { a = 1; } != { a = 2; })
    (map (x: x.key) (builtins.genericClosure { startSet = [ { key = 1; } ]; operator = x: if x.key < 3 then [ { key = x.key + 1; } ] else [ ]; }))
  ];
  checks = [
    (builtins.tryEval (throw "x")) (builtins.seq 1 (builtins.deepSeq [ 1 ] 2)) (builtins.addErrorContext "x" 3)
    (builtins.typeOf 1.0) (builtins.isString "a" || builtins.isList [ ] || builtins.isBool true || builtins.isInt 1)
    (builtins.pathExists ./nothing) (builtins.functionArgs ({ a, b ? 1 }: a)) (with { inherit (licenses) gpl; }; gpl)
  ];
}
`,
  ],
]);
