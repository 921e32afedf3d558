# session.bash - what an interactive devshell session needs of Bash; sourced by the rc file that rcFile.ts writes.
# Forks nothing. Locals are named so that no variable of an environment is hidden by them.

declare -gA __devshell_kept=()

# NAME…: remembers what variables were before the environment set them: "x…" exported, "v…" not, "-" unset.
__devshell_keep() {
  local __devshell_n __devshell_a
  for __devshell_n; do
    [[ -v __devshell_kept[$__devshell_n] ]] && continue
    if [[ -v $__devshell_n ]]; then
      __devshell_a=${!__devshell_n@a}
      if [[ $__devshell_a == *x* ]]; then
        __devshell_kept[$__devshell_n]=x${!__devshell_n}
      else
        __devshell_kept[$__devshell_n]=v${!__devshell_n}
      fi
    else
      __devshell_kept[$__devshell_n]=-
    fi
  done
}

# NAME VALUE: gives a variable back, unless it was changed since the environment gave it VALUE.
__devshell_restore() {
  [[ ${!1-} == "$2" ]] || return 0
  local __devshell_old=${__devshell_kept[$1]--}
  unset "__devshell_kept[$1]"
  case $__devshell_old in
    x*) export "$1=${__devshell_old:1}" ;;
    v*) declare -g "$1=${__devshell_old:1}" && export -n "${1?}" ;;
    *) unset -v "$1" ;;
  esac
}

declare -gA __devshell_given=() __devshell_held=()

# NAME…: remembers what the environment and its hook gave.
__devshell_note() {
  local __devshell_n
  for __devshell_n; do __devshell_given[$__devshell_n]=${!__devshell_n-}; done
}

# NAME…: before a reload, holds what the user has set otherwise since.
__devshell_hold() {
  local __devshell_n
  __devshell_held=()
  for __devshell_n; do
    [[ -v $__devshell_n && -v __devshell_given[$__devshell_n] ]] || continue
    [[ ${!__devshell_n} == "${__devshell_given[$__devshell_n]}" ]] || __devshell_held[$__devshell_n]=${!__devshell_n}
  done
}

# NAME…: after a reload, gives it back where the environment's own value is the same as before.
__devshell_settle() {
  local __devshell_n
  for __devshell_n in "${!__devshell_held[@]}"; do
    [[ ${!__devshell_n-} == "${__devshell_given[$__devshell_n]}" ]] || unset "__devshell_held[$__devshell_n]"
  done
  __devshell_note "$@"
  for __devshell_n in "${!__devshell_held[@]}"; do
    printf -v "$__devshell_n" %s "${__devshell_held[$__devshell_n]}"
  done
}

# NAME PART: takes the environment's part out of a list; what the user added stays.
__devshell_strip() {
  local __devshell_v=":${!1-}:"
  __devshell_v=${__devshell_v/":$2:"/:}
  __devshell_v=${__devshell_v#:}
  __devshell_v=${__devshell_v%:}
  if [[ -z $__devshell_v && ${__devshell_kept[$1]--} == - ]]; then
    unset -v "$1"
  else
    printf -v "$1" %s "$__devshell_v"
  fi
}

# In a session: the whole of it stops, as `suspend` in a shell on the terminal itself would.
__devshell_own_suspend() {
  suspend() { builtin kill -s TSTP "$PPID"; }
}

# NAME: puts "(devshell:NAME)" before the user's own prompt.
__devshell_mark() {
  __devshell_marker=
  [[ -z ${NIX_SHELL_PRESERVE_PROMPT-} ]] || return 0
  [[ -n ${PS1-} && $PS1 != '\s-\v\$ ' ]] || PS1='\w\$ '
  __devshell_marker="(devshell:$1)"
  PS1="\[\e[1;32m\]$__devshell_marker\[\e[0m\] $PS1"
}

# Before each prompt: two stats, and the new environment when there is one.
__devshell_prompt() {
  if [[ $__devshell_dir/next -nt $__devshell_dir/applied ]]; then
    : >"$__devshell_dir/applied"
    . "$__devshell_dir/next"
  fi
  # Prompts that are written anew each time (starship and the like) get their marker back.
  [[ -z $__devshell_marker || $PS1 == *"$__devshell_marker"* ]] || PS1="$__devshell_marker $PS1"
}

__devshell_hook_prompt() {
  if [[ ${PROMPT_COMMAND@a} == *a* ]]; then
    PROMPT_COMMAND+=(__devshell_prompt)
  else
    PROMPT_COMMAND=${PROMPT_COMMAND:+$PROMPT_COMMAND$'\n'}__devshell_prompt
  fi
  export -n PROMPT_COMMAND
}
