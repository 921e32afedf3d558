# Binary packages and the environments made of them.
#
# A package is downloaded (fixed output: its path knows no mirror), then unpacked and its programs bound to libc6's
# store path; an environment joins the closure of some packages into one tree of hard links, for much of Debian's
# software finds its parts by a common prefix.
{
  ask,
  fetchurl,
  lib,
  platform,
  suite,
  system,
  ...
}:

let
  inherit (platform) architecture;

  # A record is what `ask` tells of a package: name, version, storeName, file, needsShim. Binary caches need not be asked for what
  # is of Debian's mirrors (`allowSubstitutes`): none has it, and there are hundreds of paths.
  download = record: fetchurl { inherit (record.file) name sha256 urls; allowSubstitutes = false; };

  unpack =
    record:
    derivation {
      name = record.storeName;
      inherit system;
      builder = "builtin:debian-unpack";
      allowSubstitutes = false;
      src = download record;
      # libc6 is bound to itself.
      loader = if record.name == "libc6" then "self" else loader;
      arch = architecture;
      recipe = platform.unpackRecipe;
    };

  libc6 = unpack (ask {
    op = "package";
    inherit suite;
    name = "libc6";
  });
  loader = "${libc6}/usr/lib/${platform.triplet}/${platform.loader}";

  # The packages of a resolution in one tree, which is also $stdenv: it holds `setup` and `default-builder.sh`.
  join =
    {
      name,
      records,
      shim ? if builtins.any (record: record.needsShim) records then rootShim else "",
      setup ? ../setup/setup.sh,
      defaultBuilder ? ../setup/default-builder.sh,
    }:
    derivation {
      name = "${name}-env";
      inherit defaultBuilder loader setup shim suite system;
      builder = "builtin:debian-environment";
      allowSubstitutes = false;
      packages = map unpack records;
      arch = architecture;
      recipe = platform.environmentRecipe;
    }
    // {
      # For `inputsFrom`.
      packageNames = map (record: record.name) records;
    };

  # Programs with paths under /usr compiled in find the environment through a small library (builders/shim).
  rootShim = derivation {
    name = "devshell-root";
    inherit system;
    builder = "${compiler}/usr/bin/gcc";
    allowSubstitutes = false;
    args = [
      "-shared"
      "-fPIC"
      "-O2"
      "-Wl,-soname,libdevshell-root.so"
      "-o"
      (placeholder "out")
      ../builders/shim/devshell-root.c
      "-ldl"
    ];
    PATH = "${compiler}/usr/bin";
  };
  compiler = join {
    name = "compiler";
    shim = "";
    # Nothing sources them here, and a change of theirs shall not make the compiler and the shim anew.
    setup = "";
    defaultBuilder = "";
    records = resolve { packages = [ "gcc" "libc6-dev" ]; };
  };

  resolve =
    {
      # Names, or relations such as "python3 (>= 3.11)".
      packages ? [ ],
      essential ? false,
      completesCompilers ? false,
      source ? null,
    }:
    ask (
      {
        op = "resolve";
        inherit suite essential completesCompilers;
        packages = lib.unique packages;
      }
      // lib.optionalAttrs (source != null) { inherit source; }
    );

  # An environment of some packages: wishes as `resolve` takes them, and a name.
  environment =
    { name, ... }@arguments:
    join {
      inherit name;
      records = resolve (removeAttrs arguments [ "name" ]);
    };

  # The attribute `name`: the unpacked package, with what people and `mkShell` ask of it.
  # `wishes`: what it stands for in an environment.
  package =
    name: wishes:
    let
      record = ask {
        op = "package";
        inherit suite name;
      };
      about = ask {
        op = "describe";
        inherit suite name;
      };
    in
    unpack record
    // {
      pname = name;
      inherit (record) version;
      meta = {
        inherit (about) description homepage;
        mainProgram = name;
      };
      # The package as it is, and the tree in which it can run.
      closure = environment {
        inherit name;
        packages = wishes;
      };
      # What a profile shows of it: its programs and shared files at the top, not below usr.
      profile = derivation {
        name = record.storeName;
        inherit system;
        builder = "builtin:debian-profile";
        allowSubstitutes = false;
        package = unpack record;
        environment = environment {
          inherit name;
          packages = wishes;
        };
      };
      debianPackage = { inherit suite wishes; };
    };

  names = ask {
    op = "names";
    kind = "binary";
    inherit suite;
    sourceSuite = suite;
  };
  # Debian's own name means Debian's package: an alias of that name counts only if it starts with it.
  aliases = lib.filterAttrs (name: wishes: !(names ? ${name}) || builtins.head wishes == name) (import ./aliases.nix);

  all = builtins.mapAttrs (name: _: package name [ name ]) names // builtins.mapAttrs (_: asAlias) aliases;
  asAlias = wishes: package (builtins.head wishes) wishes;

  # Parts a list of inputs into Debian's packages (as wishes) and other derivations.
  # `where`: for messages, what `lib.placeOf` says of the list.
  partInputs =
    where: inputs:
    let
      parts = builtins.partition (input: input ? debianPackage) (
        map (checkInput where) (builtins.filter (input: input != null) (lib.flatten inputs))
      );
    in
    {
      wishes = builtins.concatMap wishesOf parts.right ++ builtins.concatMap (other: other.propagatedWishes or [ ]) parts.wrong;
      others = parts.wrong;
    };
  # A word among the packages is most likely meant as the package of that name.
  checkInput =
    where: input:
    if builtins.isAttrs input || builtins.isPath input then
      input
    else if builtins.isString input then
      if builtins.hasContext input || builtins.substring 0 1 input == "/" then
        input
      else
        throw "\"${input}\" is a string where a package is expected${where}: name the collection's attribute ${input}, without quotes"
    else
      throw "a value of type ${builtins.typeOf input} is where a package is expected${where}";
  wishesOf =
    input:
    if input.debianPackage.suite == suite then
      input.debianPackage.wishes
    else
      throw "the package \"${input.pname}\" is of suite \"${input.debianPackage.suite}\", the environment of \"${suite}\": one environment holds one suite's packages";
in
{
  inherit all environment join partInputs resolve;
}
