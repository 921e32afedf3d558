/**
 * What the builder of an environment's derivation runs instead of the build: the setup, then all variables and
 * functions that it leaves, as JSON in the form of Nix's own (`nix print-dev-env --json`), so that either can read
 * what the other made. Nothing but Bash's builtins: PATH may be empty.
 */
export const DUMP_SCRIPT = String.raw`set -e
if [[ -e \${NIX_ATTRS_SH_FILE-} ]]; then source "$NIX_ATTRS_SH_FILE"; fi
export IN_NIX_SHELL=impure dontAddDisableDepTrack=1
if [[ -n \${stdenv-} ]]; then source "$stdenv/setup"; fi
set +u
shopt -u patsub_replacement 2>/dev/null || true
devshell_variables=$(declare -p)
devshell_functions=$(declare -F)

devshell_quote() {
  local LC_ALL=C text=$1 char number escape
  text=\${text//\\/\\\\}
  text=\${text//\"/\\\"}
  text=\${text//$'\n'/\\n}
  text=\${text//$'\r'/\\r}
  text=\${text//$'\t'/\\t}
  if [[ $text == *[$'\x01'-$'\x1f']* ]]; then
    for ((number = 1; number < 32; number++)); do
      printf -v escape '\\x%02x' "$number"
      printf -v char "$escape"
      printf -v escape '\\u%04x' "$number"
      text=\${text//"$char"/"$escape"}
    done
  fi
  printf '"%s"' "$text"
}

devshell_dump_functions() {
  local line name body separator=
  while read -r line; do
    [[ $line =~ ^declare\ -f\ (.*) ]] || continue
    name=\${BASH_REMATCH[1]}
    body=$(declare -f -- "$name")
    body=\${body#*\{}
    printf '%s' "$separator"
    devshell_quote "$name"
    printf ':'
    devshell_quote "\${body%\}*}"
    separator=,
  done <<<"$devshell_functions"
}

devshell_dump_variable() {
  local devshell_attributes=$1 devshell_name=$2 devshell_separator= devshell_item
  case $devshell_attributes in
    -x | --)
      [[ $devshell_attributes == -x ]] && devshell_item=exported || devshell_item=var
      printf '{"type":"%s","value":' "$devshell_item"
      devshell_quote "\${!devshell_name}" ;;
    -a)
      printf '{"type":"array","value":['
      local devshell_items="$devshell_name[@]"
      for devshell_item in "\${!devshell_items}"; do
        printf '%s' "$devshell_separator"
        devshell_quote "$devshell_item"
        devshell_separator=,
      done
      printf ']' ;;
    -A)
      printf '{"type":"associative","value":{'
      local -n devshell_items="$devshell_name"
      for devshell_item in "\${!devshell_items[@]}"; do
        printf '%s' "$devshell_separator"
        devshell_quote "$devshell_item"
        printf ':'
        devshell_quote "\${devshell_items[$devshell_item]}"
        devshell_separator=,
      done
      printf '}' ;;
    *) printf '{"type":"unknown"' ;;
  esac
  printf '}'
}

devshell_dump_variables() {
  local devshell_line devshell_separator= devshell_name
  while read -r devshell_line; do
    [[ $devshell_line =~ ^declare\ (-[^ ])\ ([A-Za-z_][A-Za-z0-9_]*)(=|$) ]] || continue
    devshell_name=\${BASH_REMATCH[2]}
    case $devshell_name in
      BASH_* | COMP_* | _ | DIRSTACK | EUID | FUNCNAME | HISTCMD | HOSTNAME | GROUPS | PIPESTATUS | PWD | RANDOM) continue ;;
      SHLVL | SECONDS | EPOCHREALTIME | EPOCHSECONDS | devshell_variables | devshell_functions) continue ;;
    esac
    printf '%s' "$devshell_separator"
    devshell_quote "$devshell_name"
    printf ':'
    devshell_dump_variable "\${BASH_REMATCH[1]}" "$devshell_name"
    devshell_separator=,
  done <<<"$devshell_variables"
}

devshell_dump() {
  printf '{"bashFunctions":{'
  devshell_dump_functions
  printf '},"variables":{'
  devshell_dump_variables
  printf '}'
  if [[ -e \${NIX_ATTRS_SH_FILE-} ]]; then
    printf ',"structuredAttrs":{".attrs.sh":'
    devshell_quote "$(<"$NIX_ATTRS_SH_FILE")"
    printf ',".attrs.json":'
    devshell_quote "$(<"$NIX_ATTRS_JSON_FILE")"
    printf '}'
  fi
  printf '}\n'
}

devshell_places=()
if [[ -e \${NIX_ATTRS_SH_FILE-} ]]; then
  devshell_places=("\${outputs[@]}")
else
  for devshell_output in \${outputs:-out}; do devshell_places+=("\${!devshell_output}"); done
fi
devshell_dump >"\${devshell_places[0]}"
for devshell_output in "\${devshell_places[@]:1}"; do : >"$devshell_output"; done
exit 0
`.replaceAll("\\${", "${");
