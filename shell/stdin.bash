# stdin.bash - read by a Bash whose script is its standard input or one word (`--run`), before it (as BASH_ENV): the
# environment.
unset BASH_ENV
__devshell_record=$DEVSHELL_PLAIN_RECORD
unset DEVSHELL_PLAIN_RECORD
. "$__devshell_record/rc.bash"
unset __devshell_record
