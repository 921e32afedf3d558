import type { ByteString } from "../../core/index.ts";
import { isVariableName, quoteSh } from "../render/quote.ts";
import type { TrackedInput } from "../types.ts";

/** Names in one `stat` command: far below the kernel's limit for arguments. */
const STAT_BATCH = 2000;

/** `check.sh`: defines `devshell_check` (FORMAT.md). */
export function renderCheck(inputs: readonly TrackedInput[], existing: readonly string[]): ByteString {
  let text = "devshell_check() {\n";
  const newer: string[] = [];
  for (const input of inputs)
    switch (input.kind) {
      case "variable":
        if (!isVariableName(input.name)) break;
        text +=
          input.value === undefined
            ? `[ -z "\${${input.name}+x}" ] || return 1\n`
            : `[ "\${${input.name}-}" = ${quoteSh(input.value)} ] && [ -n "\${${input.name}+x}" ] || return 1\n`;
        break;
      case "absent":
        text += `[ -e ${quoteSh(input.path)} ] || [ -L ${quoteSh(input.path)} ] && return 1\n`;
        break;
      case "type":
        text += typeCheck(input.path, input.type);
        break;
      case "direct":
        text += `[ -L ${quoteSh(input.path)} ] && return 1\n`;
        break;
      case "access":
        text += `[ ${input.isWritable ? "" : "! "}-w ${quoteSh(input.path)} ] || return 1\n`;
        break;
      case "symlink":
      case "object":
      case "program":
        break;
      case "file":
      case "directory":
        newer.push(quoteSh(input.path));
    }
  for (const path of existing) text += `[ -e ${quoteSh(path)} ] || return 1\n`;
  if (newer.length > 0)
    text += `for devshell_input in ${newer.join(" \\\n  ")}; do\n  [ "$devshell_input" -nt "$devshell_record/stamp" ] && return 1\ndone\n`;
  return `${text}${statCheck(inputs)}}\n`;
}

/** What the `stat` commands of `check.sh` print while nothing has changed. */
export function renderStat(inputs: readonly TrackedInput[]): ByteString {
  return statted(inputs)
    .map(
      ({ path, stat }) =>
        `${path} ${stat.inode} ${stat.sizeBytes} ${seconds(stat.mtimeNs)} ${seconds(stat.ctimeNs)}\n`,
    )
    .join("");
}

function statCheck(inputs: readonly TrackedInput[]): string {
  const paths = statted(inputs).map((input) => quoteSh(input.path));
  if (paths.length === 0) return "return 0\n";
  const commands: string[] = [];
  for (let n = 0; n < paths.length; n += STAT_BATCH)
    commands.push(
      `LC_ALL=C stat -c '%n %i %s %.9Y %.9Z' -- ${paths.slice(n, n + STAT_BATCH).join(" \\\n  ")} 2>/dev/null`,
    );
  const [only = ""] = commands;
  const producer = commands.length === 1 ? only : `{ ${commands.join("\n")}; }`;
  return `${producer} | cmp -s - "$devshell_record/stat" 2>/dev/null\n`;
}

type StattedInput = Extract<TrackedInput, { readonly stat: unknown }>;

function statted(inputs: readonly TrackedInput[]): StattedInput[] {
  return inputs.filter((input): input is StattedInput => "stat" in input);
}

function typeCheck(path: ByteString, type: string): string {
  const word = quoteSh(path);
  switch (type) {
    case "directory":
      return `[ -d ${word} ] && [ ! -L ${word} ] || return 1\n`;
    case "regular":
      return `[ -f ${word} ] && [ ! -L ${word} ] || return 1\n`;
    case "symlink":
      return `[ -L ${word} ] || return 1\n`;
    default:
      return `[ -e ${word} ] || return 1\n`;
  }
}

function seconds(nanoseconds: string): string {
  const padded = nanoseconds.padStart(10, "0");
  return `${padded.slice(0, -9)}.${padded.slice(-9)}`;
}
