import { join } from "node:path";
import { bytesOfText, packageRoot, type ByteString } from "../../core/index.ts";
import { isVariableName, quoteSh } from "../render/quote.ts";
import type { TrackedInput } from "../types.ts";
import type { EvalRecord } from "./types.ts";

/** Names in one `stat` command: far below the kernel's limit for arguments. */
const STAT_BATCH = 2000;
const MAX_SUMS = 10_000;
/** Longer output is printed by `cat`. */
const MAX_INLINE_BYTES = 256 << 10;

/**
 * The shell's form of a record: the function `devshell_answer`, which prints what was printed and ends, or returns.
 * @returns undefined where only Node can check the record
 */
export function renderEvalCheck(record: EvalRecord): ByteString | undefined {
  const { inputs } = record;
  if (record.output.length > MAX_INLINE_BYTES) return undefined;
  if (record.output.includes("\0") || record.messages.includes("\0")) return undefined;
  if (inputs.some((input) => input.kind === "variable" && !isForShell(input.name))) return undefined;
  const launcher = bytesOfText(join(packageRoot, "cli/devshell"));
  const conditions = [
    `[ "$devshell_self" -ef ${quoteSh(launcher)} ]`,
    ...variableConditions(inputs),
    ...each(pathsOf(inputs, "access", true), '[ -w "$devshell_input" ]'),
    ...each(pathsOf(inputs, "access", false), '[ ! -w "$devshell_input" ]'),
    ...each(
      [...pathsOf(inputs, "direct"), ...pathsOf(inputs, "type", "directory")],
      '[ ! -L "$devshell_input" ]',
    ),
    ...each(pathsOf(inputs, "type", "directory"), '[ -d "$devshell_input" ]'),
    ...each(pathsOf(inputs, "type", "symlink"), '[ -L "$devshell_input" ]'),
    ...each(pathsOf(inputs, "type", "regular"), '[ -f "$devshell_input" ] && [ ! -L "$devshell_input" ]'),
    // Neither of the three; no such thing can be asked for by one test.
    ...each(
      pathsOf(inputs, "type", "unknown"),
      '[ -e "$devshell_input" ] && [ ! -f "$devshell_input" ] && [ ! -d "$devshell_input" ] && [ ! -L "$devshell_input" ]',
    ),
    ...each(pathsOf(inputs, "absent"), '[ ! -e "$devshell_input" ] && [ ! -L "$devshell_input" ]'),
    ...each(record.required, '[ -e "$devshell_input" ]'),
    ...record.links.map(
      ({ link, target }) => `[ -L ${quoteSh(link)} ] && [ ${quoteSh(link)} -ef ${quoteSh(target)} ]`,
    ),
    ...statConditions(inputs),
  ];
  const messages = record.messages === "" ? "" : `printf %s ${quoteSh(record.messages)} >&2\n`;
  return `devshell_answer() {
${conditions.map((condition) => `${condition} || return 1\n`).join("")}: 2>/dev/null >"\${devshell_record%.sh}.used"
${messages}printf %s ${quoteSh(record.output)}
exit
}
`;
}

/**
 * What the shell compares where a stat differs: for each line of the `stat`s, in their order, the path and the SHA-256
 * of the file; `-` for what is no file, or may be executed, which only Node can tell.
 * @returns undefined where a name holds a newline, or there are more than the shell should look through
 */
export function renderEvalSums({ inputs }: EvalRecord): ByteString | undefined {
  const statted = inputs.filter((input) => "stat" in input);
  if (statted.length > MAX_SUMS || statted.some(({ path }) => path.includes("\n"))) return undefined;
  const words = statted.map((input) => {
    const sum = input.kind === "file" && /^[0-9a-f]{64}$/.test(input.content) ? input.content : "-";
    return `${quoteSh(input.path)} ${sum}`;
  });
  return `set -- ${words.join(" \\\n")}\n`;
}

/** One loop for many paths: a test for each costs a line of its own otherwise. */
function each(paths: readonly ByteString[], test: string): string[] {
  if (paths.length === 0) return [];
  const words = paths.map(quoteSh).join(" \\\n");
  return [`for devshell_input in ${words}; do\n${test} || return 1\ndone`];
}

function pathsOf(
  inputs: readonly TrackedInput[],
  kind: "access" | "direct" | "type" | "absent",
  detail?: string | boolean,
): ByteString[] {
  return inputs.flatMap((input) => {
    if (input.kind !== kind) return [];
    if (input.kind === "type") return input.type === detail ? [input.path] : [];
    if (input.kind === "access") return input.isWritable === detail ? [input.path] : [];
    return [input.path];
  });
}

function variableConditions(inputs: readonly TrackedInput[]): string[] {
  const variables = inputs.filter((input) => input.kind === "variable");
  const unset = variables.filter(({ value }) => value === undefined);
  return [
    `[ -z "${unset.map(({ name }) => `\${${name}+x}`).join("")}" ]`,
    ...variables.flatMap(({ name, value }) =>
      value === undefined ? [] : [`[ "\${${name}+x}\${${name}-}" = ${quoteSh(`x${value}`)} ]`],
    ),
  ];
}

function statConditions(inputs: readonly TrackedInput[]): string[] {
  const statted = inputs.filter((input) => "stat" in input);
  const conditions: string[] = [`devshell_total=${2 * statted.length}`];
  for (let at = 0; at < statted.length; at += STAT_BATCH) {
    const batch = statted.slice(at, at + STAT_BATCH);
    const words = batch.map(({ path }) => quoteSh(path)).join(" \\\n");
    const lines = batch.map(
      ({ stat }) => `${stat.inode} ${stat.sizeBytes} ${seconds(stat.mtimeNs)} ${seconds(stat.ctimeNs)}`,
    );
    conditions.push(
      `devshell_have=$(LC_ALL=C stat --printf='%i %s %.9Y %.9Z\\n' -- ${words} 2>/dev/null)
devshell_want='${lines.join("\n")}'
[ "$devshell_have" = "$devshell_want" ] || devshell_touched ${at}`,
    );
  }
  return conditions;
}

/** Names that a shell does not set or read itself, so that it sees what its caller gave. */
function isForShell(name: string): boolean {
  return (
    isVariableName(name) &&
    !/^(?:devshell_|BASH|DEVSHELL_(?:ARGV0|STACK|LAUNCHER)$)/.test(name) &&
    !SET_BY_SHELLS.has(name)
  );
}

const SET_BY_SHELLS: ReadonlySet<string> = new Set(
  `_ CDPATH COLUMNS DIRSTACK ENV EPOCHREALTIME EPOCHSECONDS EUID FUNCNAME GROUPS HISTCMD HISTFILE HISTSIZE HOSTNAME
  HOSTTYPE IFS LINENO LINES MACHTYPE MAIL MAILCHECK MAILPATH OLDPWD OPTARG OPTERR OPTIND OSTYPE PIPESTATUS
  POSIXLY_CORRECT PPID PS1 PS2 PS3 PS4 PWD RANDOM REPLY SECONDS SHELLOPTS SHLVL SRANDOM UID`.split(/\s+/),
);

function seconds(nanoseconds: string): string {
  const padded = nanoseconds.padStart(10, "0");
  return `${padded.slice(0, -9)}.${padded.slice(-9)}`;
}
