# <nix/fetchurl.nix>: downloads a file without any package, by the store's own builder. The attributes are the ones
# that existing expressions rely on, so that their derivations keep their paths.
{
  url,
  name ? baseNameOf (toString url),
  hash ? "",
  sha512 ? "",
  sha1 ? "",
  md5 ? "",
  sha256 ? "",
  system ? "",
  executable ? false,
  unpack ? false,
  impure ? false,
  outputHashAlgo ? given.algorithm,
  outputHash ? given.digest,
  # The first hash that is given; an SRI hash names its algorithm itself.
  given ?
    if hash != "" then
      { algorithm = ""; digest = hash; }
    else if sha512 != "" then
      { algorithm = "sha512"; digest = sha512; }
    else if sha1 != "" then
      { algorithm = "sha1"; digest = sha1; }
    else if md5 != "" then
      { algorithm = "md5"; digest = md5; }
    else
      { algorithm = "sha256"; digest = sha256; },
}:

let
  content = if impure then { __impure = true; } else { inherit outputHash outputHashAlgo; };
in
derivation (
  content
  // {
    inherit name url executable unpack;
    urls = [ url ];
    system = "builtin";
    builder = "builtin:fetchurl";
    outputHashMode = if executable || unpack then "recursive" else "flat";
    preferLocalBuild = true;
    impureEnvVars = [ "http_proxy" "https_proxy" "ftp_proxy" "all_proxy" "no_proxy" ];
  }
)
