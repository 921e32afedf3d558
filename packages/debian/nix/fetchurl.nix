# One file by its hash, from the first of several places that has it. Its store path depends on name and hash only.
{
  url ? null,
  urls ? [ url ],
  name ? baseNameOf (builtins.head urls),
  # In any of Nix's forms.
  sha256 ? null,
  hash ? null,
  executable ? false,
  # Whether a binary cache may be asked for it.
  allowSubstitutes ? true,
}:

derivation {
  inherit name urls executable;
  url = builtins.head urls;
  builder = "builtin:fetchurl";
  # Runs in the process, whatever the machine.
  system = "builtin";
  outputHashAlgo = if hash == null then "sha256" else null;
  outputHash =
    if hash != null then
      hash
    else if sha256 != null then
      sha256
    else
      throw "fetchurl: the hash of \"${builtins.head urls}\" is missing (sha256 = \"…\")";
  outputHashMode = if executable then "recursive" else "flat";
  preferLocalBuild = true;
  unpack = false;
  ${if allowSubstitutes then null else "allowSubstitutes"} = false;
}
