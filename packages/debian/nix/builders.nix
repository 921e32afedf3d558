# Small builders on the standard environment.
{ stdenv }:

let
  # A derivation whose build is a piece of Bash.
  runCommand =
    name: attributes: script:
    stdenv.mkDerivation (
      {
        inherit name;
        phases = [ "buildPhase" ];
        buildPhase = script;
      }
      // attributes
    );
in
{
  inherit runCommand;
  writeText = builtins.toFile;
  writeShellScriptBin =
    name: text:
    runCommand name { inherit text; passAsFile = [ "text" ]; } ''
      mkdir -p "$out/bin"
      { echo "#! ${stdenv.shell}"; cat "$textPath"; } > "$out/bin/${name}"
      chmod +x "$out/bin/${name}"
    '';
}
