import { DevshellError } from "../core/index.ts";
import { COMMANDS } from "./commandTable.ts";
import type { CommandEntry } from "./commandTable.ts";
import { FLAGS } from "./flags.ts";
import type { FlagSpec } from "./flags.ts";

/** A shell's completion of devshell, made from the same table as parsing and help. */
export function renderCompletion(shell: string): string {
  switch (shell) {
    case "bash":
      return renderBashCompletion();
    case "zsh":
      return renderZshCompletion();
    case "fish":
      return renderFishCompletion();
    default:
      throw new DevshellError("CLI_UNKNOWN_SHELL", `Cannot complete in "${shell}"`, {
        hint: "there are bash, zsh and fish",
      });
  }
}

const SHOWN = COMMANDS.filter((command) => command.isHidden !== true);
const ENTER = COMMANDS.filter((command) => command.name === "enter");

function flagsOf(command: CommandEntry): FlagSpec[] {
  return command.flags.map((name) => FLAGS[name]);
}

function flagWords(command: CommandEntry): string[] {
  return [
    ...flagsOf(command).flatMap((flag) => [flag.long, ...(flag.short === undefined ? [] : [flag.short])]),
    "--help",
  ];
}

function choicesOf(command: CommandEntry): readonly string[] {
  return command.arguments[0]?.choices ?? [];
}

function renderBashCompletion(): string {
  const cases = [...ENTER, ...SHOWN].map((command) => {
    const valued = flagsOf(command).filter((flag) => flag.values.length > 0);
    const names = command.name === "enter" ? "''" : command.name;
    const word = (flag: FlagSpec): string =>
      [flag.long, ...(flag.short === undefined ? [] : [flag.short])].join("|");
    const files = valued
      .filter((flag) => flag.completes === "file" || flag.completes === "directory")
      .map(word);
    const others = valued.filter((flag) => flag.completes === undefined).map(word);
    return [
      `    ${names})`,
      `      flags='${flagWords(command).join(" ")}'`,
      `      choices='${choicesOf(command).join(" ")}'`,
      ...(files.length + others.length === 0
        ? []
        : [
            "      case $before in",
            ...(files.length > 0
              ? [`        ${files.join("|")}) COMPREPLY=($(compgen -f -- "$word")); return ;;`]
              : []),
            ...(others.length > 0 ? [`        ${others.join("|")}) return ;;`] : []),
            "      esac",
          ]),
      "      ;;",
    ].join("\n");
  });
  return `# bash completion of devshell
_devshell() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} command='' flags='' choices='' n
  COMPREPLY=()
  case \${COMP_WORDS[1]-} in
    ${SHOWN.map((command) => command.name).join("|")}) ((COMP_CWORD > 1)) && command=\${COMP_WORDS[1]} ;;
  esac
  if [[ $command == run ]]; then
    for ((n = 2; n < COMP_CWORD; n++)); do
      if [[ \${COMP_WORDS[n]} == -- ]] && declare -F _command_offset >/dev/null; then
        _command_offset $((n + 1)); return
      fi
    done
  fi
  case $command in
${cases.join("\n")}
  esac
  if [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$word"))
  elif [[ -n $choices ]] && ((COMP_CWORD == 2)); then
    COMPREPLY=($(compgen -W "$choices" -- "$word"))
  else
    COMPREPLY=($(compgen -f -- "$word"))
    ((COMP_CWORD == 1)) && COMPREPLY+=($(compgen -W '${SHOWN.map((command) => command.name).join(" ")}' -- "$word"))
  fi
}
complete -o filenames -F _devshell devshell
`;
}

function renderZshCompletion(): string {
  const escape = (text: string): string => text.replaceAll("'", "'\\''").replace(/([[\]:])/g, "\\$1");
  const specs = (command: CommandEntry): string[] => [
    ...flagsOf(command)
      .map((flag) => {
        const values = flag.values
          .map((value) => `:${value}:${flag.completes === undefined ? " " : "_files"}`)
          .join("");
        const star = flag.isRepeatable === true ? "*" : "";
        return flag.short === undefined || flag.isRepeatable === true
          ? [flag.long, ...(flag.short === undefined ? [] : [flag.short])].map(
              (word) => `'${star}${word}[${escape(flag.help)}]${values}'`,
            )
          : [`'(${flag.long} ${flag.short})'{${flag.long},${flag.short}}'[${escape(flag.help)}]${values}'`];
      })
      .flat(),
    ...(choicesOf(command).length > 0
      ? [`'1:${command.arguments[0]?.name ?? ""}:(${choicesOf(command).join(" ")})'`, "'*:file:_files'"]
      : ["'*::argument:_files'"]),
  ];
  const body = SHOWN.map(
    (command) =>
      `    ${command.name})\n      shift words; ((CURRENT--))\n      _arguments ${specs(command).join(" \\\n        ")} ;;`,
  ).join("\n");
  return `#compdef devshell
# zsh completion of devshell
_devshell() {
  local -a commands=(
${SHOWN.map((command) => `    '${command.name}:${escape(command.summary)}'`).join("\n")}
  )
  if ((CURRENT == 2)) && [[ $words[2] != -* ]]; then
    _describe command commands
    _files
    return
  fi
  case $words[2] in
${body}
    *)
      _arguments ${ENTER.flatMap(specs).join(" \\\n        ")} ;;
  esac
}
if [[ $funcstack[1] == _devshell ]]; then _devshell "$@"; else compdef _devshell devshell; fi
`;
}

function renderFishCompletion(): string {
  const escape = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("'", "\\'");
  const names = SHOWN.map((command) => command.name).join(" ");
  const none = `not __fish_seen_subcommand_from ${names}`;
  const lines = SHOWN.map(
    (command) => `complete -c devshell -n '${none}' -a ${command.name} -d '${escape(command.summary)}'`,
  );
  for (const command of [...ENTER, ...SHOWN]) {
    const condition = command.name === "enter" ? none : `__fish_seen_subcommand_from ${command.name}`;
    for (const flag of flagsOf(command)) {
      const short = flag.short === undefined ? "" : ` -s ${flag.short.slice(1)}`;
      const value = flag.values.length === 0 ? "" : flag.completes === undefined ? " -x" : " -r";
      lines.push(
        `complete -c devshell -n '${condition}' -l ${flag.long.slice(2)}${short}${value} -d '${escape(flag.help)}'`,
      );
    }
    if (choicesOf(command).length > 0)
      lines.push(`complete -c devshell -n '${condition}' -f -a '${choicesOf(command).join(" ")}'`);
  }
  return `# fish completion of devshell\n${lines.join("\n")}\n`;
}
