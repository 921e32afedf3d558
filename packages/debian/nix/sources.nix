# Source packages: what `-A <name>` enters.
{
  ask,
  fetchurl,
  indep,
  lib,
  packages,
  profiles,
  sourceSuite,
  stdenv,
  suite,
  ...
}:

let
  named =
    name:
    let
      record = ask {
        op = "source";
        suite = sourceSuite;
        binarySuite = suite;
        inherit name;
      };
      # Each file of the source package, by its name: the upstream tarballs, Debian's changes, the .dsc.
      files = builtins.listToAttrs (
        map (file: {
          inherit (file) name;
          value = fetchurl { inherit (file) name sha256 urls; allowSubstitutes = false; };
        }) record.files
      );
      matching = pattern: builtins.filter (file: builtins.match pattern file != null) (builtins.attrNames files);
      first = names: if names == [ ] then null else files.${builtins.head names};
      # A native package (made for Debian) has one tarball, the others upstream's and Debian's changes.
      upstream = matching ".*[.]orig[.]tar[.][a-z0-9]+";
      native = matching ".*[.]tar[.][a-z0-9]+";
    in
    stdenv.mkDerivation {
      name = record.storeName;
      pname = record.name;
      version = record.upstreamVersion;
      src = first (upstream ++ native);
      environment = packages.join {
        name = record.storeName;
        records = packages.resolve {
          essential = true;
          source = {
            suite = sourceSuite;
            inherit (record) name;
            inherit profiles indep;
          };
        };
      };
      passthru = {
        inherit files;
        dsc = first (matching ".*[.]dsc");
        # Debian's packaging: debian.tar.xz, or diff.gz of old.
        debianChanges = first (matching ".*[.]debian[.]tar[.][a-z0-9]+" ++ matching ".*[.]diff[.]gz");
        # Further upstream tarballs, by component.
        components = builtins.listToAttrs (
          map (file: {
            name = builtins.head (builtins.match ".*[.]orig-([a-z0-9-]+)[.]tar[.][a-z0-9]+" file);
            value = files.${file};
          }) (matching ".*[.]orig-[a-z0-9-]+[.]tar[.][a-z0-9]+")
        );
        debianVersion = record.version;
      };
    };
in
{
  inherit named;
  all = builtins.mapAttrs (name: _: named name) (ask {
    op = "names";
    kind = "source";
    inherit suite sourceSuite;
  });
}
