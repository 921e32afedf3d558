import { bytesOfText } from "../../core/index.ts";

/** Paths of our own files start so; they are no files of the host. */
export const INTERNAL_PREFIX = bytesOfText("«nix-internal»/");

/**
 * `<nix/fetchurl.nix>`: a fixed-output derivation whose builder is part of the program. Its attributes must be those
 * of Nix's own file, since they enter the derivation's hash.
 */
const FETCHURL = `
{ url
, system ? ""
, hash ? "", md5 ? "", sha1 ? "", sha256 ? "", sha512 ? ""
, outputHash ?
    if hash != "" then hash
    else if sha512 != "" then sha512
    else if sha1 != "" then sha1
    else if md5 != "" then md5
    else sha256
, outputHashAlgo ?
    if hash != "" then ""
    else if sha512 != "" then "sha512"
    else if sha1 != "" then "sha1"
    else if md5 != "" then "md5"
    else "sha256"
, executable ? false
, unpack ? false
, name ? baseNameOf (toString url)
, impure ? false
}:
let
  address = if impure then { __impure = true; } else { inherit outputHashAlgo outputHash; };
in
derivation ({
  inherit name url executable unpack;
  builder = "builtin:fetchurl";
  system = "builtin";
  outputHashMode = if unpack || executable then "recursive" else "flat";
  urls = [ url ];
  preferLocalBuild = true;
  impureEnvVars = [ "http_proxy" "https_proxy" "ftp_proxy" "all_proxy" "no_proxy" ];
} // address)
`;

/** Text by path. */
export const INTERNAL_FILES: ReadonlyMap<string, string> = new Map([
  [`${INTERNAL_PREFIX}nix/fetchurl.nix`, FETCHURL],
]);
