# default-builder.sh - the builder of stdenv.mkDerivation; runs under `bash -e`.
set -o pipefail
# shellcheck source=/dev/null
if [[ -n "${NIX_ATTRS_SH_FILE:-}" && -e "$NIX_ATTRS_SH_FILE" ]]; then . "$NIX_ATTRS_SH_FILE"; fi
. "$stdenv/setup"
genericBuild
