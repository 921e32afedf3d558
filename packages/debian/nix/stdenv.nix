# Builds and shells on Debian's toolchain.
{
  lib,
  packages,
  platform,
  suite,
  system,
  ...
}:

let
  # What every shell has: the usual commands, without Debian's own administration. `essential = true` gives all that
  # Debian calls Essential.
  shellCommands = [
    "bash"
    "bzip2"
    "coreutils"
    "dash"
    "debianutils"
    "diffutils"
    "findutils"
    "grep"
    "gzip"
    "hostname"
    "libc-bin"
    "mawk"
    "ncurses-base"
    "ncurses-bin"
    "patch"
    "sed"
    "tar"
    "xz-utils"
  ];

  # The attributes that mkDerivation takes for itself; all others become variables of the build.
  ownAttributes = [
    "env"
    "environment"
    "meta"
    "passthru"
    "override"
  ];
  inputAttributes = [
    "buildInputs"
    "depsBuildBuild"
    "nativeBuildInputs"
    "nativeCheckInputs"
    "checkInputs"
    "propagatedBuildInputs"
    "propagatedNativeBuildInputs"
  ];

  # A derivation with Debian's packages among its inputs joined into its `stdenv`; other inputs stay inputs.
  # `attributes.environment` replaces the environment that the inputs would give.
  mkDerivation =
    attributesOrFunction:
    let
      attributes =
        if builtins.isFunction attributesOrFunction then
          lib.fix (final: attributesOrFunction (final // { finalPackage = result; }))
        else
          attributesOrFunction;
      result = makeDerivation attributes;
    in
    result
    // {
      overrideAttrs =
        change:
        mkDerivation (
          attributes
          // (
            if !builtins.isFunction change then
              change
            else
              let
                changed = change attributes;
              in
              if builtins.isFunction changed then change (attributes // changed attributes) attributes else changed
          )
        );
    };

  makeDerivation =
    attributes:
    let
      name =
        attributes.name
          or "${attributes.pname or (throw "mkDerivation: name, or pname and version, is missing")}-${
            attributes.version or (throw "mkDerivation: version is missing")
          }";
      parted = builtins.mapAttrs (attribute: packages.partInputs (lib.placeOf attribute attributes)) (
        lib.filterAttrs (attribute: _: builtins.elem attribute inputAttributes) attributes
      );
      environment =
        attributes.environment or (packages.environment {
          inherit name;
          essential = true;
          packages = [ "build-essential" ] ++ builtins.concatMap (part: part.wishes) (builtins.attrValues parted);
        });
    in
    derivation (
      {
        inherit name system;
        stdenv = environment;
        builder = "${environment}/usr/bin/bash";
        args = [ "-e" "${environment}/default-builder.sh" ];
        outputs = [ "out" ];
      }
      // removeAttrs attributes ownAttributes
      // attributes.env or { }
      // builtins.mapAttrs (_: part: part.others) parted
    )
    // {
      inherit environment;
      pname = attributes.pname or (builtins.parseDrvName name).name;
      version = attributes.version or (builtins.parseDrvName name).version;
      meta = attributes.meta or { };
      # What a package that uses this one needs too.
      propagatedWishes =
        parted.propagatedBuildInputs.wishes or [ ] ++ parted.propagatedNativeBuildInputs.wishes or [ ];
      # For `inputsFrom`.
      packageNames = environment.packageNames or [ ];
      otherInputs = builtins.concatMap (part: part.others) (builtins.attrValues parted);
    }
    // attributes.passthru or { };

  # A shell: `packages` are in PATH and can be compiled against. A C compiler brings the C library's headers; nothing
  # else is added that is not named, but for the usual commands.
  mkShell =
    {
      name ? "devshell",
      packages ? [ ],
      # Derivations whose inputs the shell has too.
      inputsFrom ? [ ],
      # More variables.
      env ? { },
      shellHook ? "",
      # With all that Debian calls Essential.
      essential ? false,
      ...
    }@attributes:
    let
      inputs = collection.partInputs (lib.placeOf "packages" attributes) [
        packages
        (attributes.buildInputs or [ ])
        (attributes.nativeBuildInputs or [ ])
        (attributes.propagatedBuildInputs or [ ])
      ];
      environment = collection.environment {
        inherit name essential;
        packages =
          shellCommands
          ++ inputs.wishes
          ++ builtins.concatMap (from: from.packageNames or [ ]) inputsFrom;
        completesCompilers = true;
      };
    in
    mkDerivation (
      removeAttrs attributes [
        "buildInputs"
        "essential"
        "inputsFrom"
        "nativeBuildInputs"
        "packages"
        "propagatedBuildInputs"
      ]
      // {
        inherit name environment;
        nativeBuildInputs = inputs.others ++ builtins.concatMap (from: from.otherInputs or [ ]) inputsFrom;
        shellHook = lib.concatMapStringsSep "\n" (from: from.shellHook or "") inputsFrom + shellHook;
        # Building a shell records its variables, so that its closure can be kept and copied.
        phases = [ "buildPhase" ];
        buildPhase = attributes.buildPhase or "export > \"$out\"";
      }
    );
  collection = packages;

  base = packages.environment {
    name = "stdenv";
    essential = true;
    packages = [ "build-essential" ];
  };
in
{
  inherit mkDerivation mkShell;
  # As nixpkgs has it; here no shell has a compiler that is not named.
  mkShellNoCC = mkShell;
  stdenv = base // {
    inherit mkDerivation system;
    shell = "${base}/usr/bin/bash";
    cc = base;
    hostPlatform = {
      inherit system;
      isLinux = true;
      config = platform.triplet;
    };
  };
}
