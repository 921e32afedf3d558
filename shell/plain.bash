# plain.bash - the rc file of a shell on the caller's own terminal, without a session process: `--command`,
# `--no-reload`. DEVSHELL_PLAIN_RECORD, _PURE and _COMMAND say what and how.
if [ -z "$DEVSHELL_PLAIN_PURE" ] && [ -r ~/.bashrc ]; then . ~/.bashrc; fi
. "${BASH_SOURCE[0]%/*}/session.bash"
__devshell_dir=$DEVSHELL_PLAIN_RECORD __devshell_command=$DEVSHELL_PLAIN_COMMAND
unset DEVSHELL_PLAIN_RECORD DEVSHELL_PLAIN_PURE DEVSHELL_PLAIN_COMMAND
__devshell_mark "${__devshell_dir##*/}"
. "$__devshell_dir/rc.bash"
if [[ -n $__devshell_marker ]]; then
  # The name is known only now; a hook that wrote its own prompt is not overruled.
  case ${name-} in
    '' | devshell | shell | nix-shell | nix-shell-env | interactive-shell-env) __devshell_name=${PWD##*/} ;;
    *) __devshell_name=$name ;;
  esac
  PS1=${PS1/"$__devshell_marker"/"(devshell:${__devshell_name//[^A-Za-z0-9._+@-]/_})"}
  unset __devshell_name
fi
if [ -n "$__devshell_command" ]; then
  eval "$__devshell_command
exit"
fi
