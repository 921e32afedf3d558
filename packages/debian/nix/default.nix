# <debian>: Debian's archive as a package collection.
#
#   with import <debian> { }; mkShell { packages = [ gcc make zlib ]; }
#
# An attribute is Debian's binary package of that name. When a shell is asked for an attribute (`inNixShell`, Nix's own
# convention for `-A`), it is the build environment of the source package: its build dependencies and `$src`.
{
  # Where programs come from, e.g. "bookworm"; null: what devshell.lock says, else the machine's own, else bookworm.
  suite ? null,
  # Where source packages come from; null: the same suite.
  sourceSuite ? null,
  system ? builtins.currentSystem,
  inNixShell ? false,
  # Debian's build profiles for source packages, a list or words: [ "nocheck" "nodoc" ].
  profiles ? [ ],
  # Whether Build-Depends-Indep (for documentation and other machine-independent parts) belong to the environment.
  indep ? false,
  ...
}:

let
  # The one way to what is not Nix: a question about the archive, as a set; see query.ts.
  ask = question: builtins.fromJSON (__debian (builtins.toJSON (question // { inherit system; })));

  platform = ask { op = "platform"; };

  context = {
    inherit ask platform system;
    suite = if suite == null then platform.defaultSuite else suite;
    sourceSuite = if sourceSuite == null then context.suite else sourceSuite;
    profiles = if builtins.isList profiles then profiles else lib.words profiles;
    indep = indep == true || indep == "true";
    inherit lib;
  };

  lib = import ./lib.nix;
  fetchurl = import ./fetchurl.nix;
  packages = import ./packages.nix (context // { inherit fetchurl; });
  stdenv = import ./stdenv.nix (context // { inherit packages; });
  sources = import ./sources.nix (context // { inherit fetchurl packages stdenv; });

  # What is no package of Debian's.
  tools = {
    inherit lib fetchurl;
    inherit (stdenv) mkShell mkShellNoCC;
    stdenv = stdenv.stdenv;
    inherit (packages) environment;
    inherit (import ./builders.nix { inherit (stdenv) stdenv; }) runCommand writeText writeShellScriptBin;
    source = sources.named;
    callPackage = lib.callPackageWith self;
    debian = {
      inherit (context) suite sourceSuite;
      inherit (platform) architecture triplet;
    };
  };

  self =
    if inNixShell then
      sources.all // tools
    else
      packages.all // tools;
in
self
