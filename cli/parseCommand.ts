import { Command, CommanderError, Option } from "commander";
import { DevshellError } from "../core/index.ts";
import { FLAGS, ParsedFlags, flagOfWord } from "./flags.ts";
import type { FlagName, FlagSpec } from "./flags.ts";

/** A command as the table defines it: parsing, help and completion come from here. */
export interface CommandSpec {
  readonly name: string;
  readonly summary: string;
  /** More for `--help`. */
  readonly description?: string | undefined;
  readonly arguments: readonly ArgumentSpec[];
  readonly flags: readonly FlagName[];
  /** The first plain word begins a command with options of its own. */
  readonly isPassThrough?: boolean | undefined;
  readonly examples?: readonly (readonly [command: string, says: string])[] | undefined;
}

export interface ArgumentSpec {
  readonly name: string;
  readonly help: string;
  readonly isOptional?: boolean | undefined;
  readonly isVariadic?: boolean | undefined;
  readonly completes?: "file" | "directory" | "command" | undefined;
  readonly choices?: readonly string[] | undefined;
}

export interface ParsedCommand {
  readonly words: readonly string[];
  readonly flags: ParsedFlags;
}

/** Joins the values of an option with several, which commander does not know. */
const VALUE_SEPARATOR = "\0";

/**
 * Parses the words after a command's name.
 * @returns `help` when that was asked for
 * @throws {DevshellError} `CLI_USAGE` with what was meant, where that can be guessed
 */
export function parseCommand(spec: CommandSpec, argv: readonly string[]): ParsedCommand | "help" {
  const given: (readonly [FlagName, readonly string[]])[] = [];
  const command = commanderOf(spec, (name, values) => given.push([name, values]));
  let words: readonly string[] = [];
  command.action(() => {
    words = command.args;
  });
  try {
    command.parse(joinValues(argv, spec.isPassThrough === true), { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.code === "commander.helpDisplayed" || error.code === "commander.help") return "help";
    throw usageError(spec, error);
  }
  return { words, flags: new ParsedFlags(given) };
}

/** The text of `devshell COMMAND --help`. */
export function commandHelp(spec: CommandSpec): string {
  const command = commanderOf(spec, () => undefined);
  const examples = spec.examples ?? [];
  const width = Math.max(0, ...examples.map(([text]) => text.length));
  const lines = examples.map(([text, says]) => `  ${text.padEnd(width)}  ${says}`);
  return command.helpInformation() + (lines.length === 0 ? "" : `\nExamples:\n${lines.join("\n")}\n`);
}

function commanderOf(
  spec: CommandSpec,
  onFlag: (name: FlagName, values: readonly string[]) => void,
): Command {
  const command = new Command(spec.name === "enter" ? "devshell" : `devshell ${spec.name}`)
    .description(spec.description === undefined ? `${spec.summary}.` : `${spec.summary}. ${spec.description}`)
    .exitOverride()
    .configureOutput({ writeOut: () => undefined, writeErr: () => undefined })
    .configureHelp({ helpWidth: Math.min(process.stdout.columns || 100, 120), showGlobalOptions: false })
    .helpOption("-h, --help", "show this help")
    .passThroughOptions(spec.isPassThrough === true);
  for (const argument of spec.arguments) {
    const inner = `${argument.name}${argument.isVariadic === true ? "..." : ""}`;
    const help = argument.choices === undefined ? argument.help : `${argument.help}: ${listed(argument)}`;
    command.argument(argument.isOptional === true ? `[${inner}]` : `<${inner}>`, help);
  }
  for (const name of spec.flags) {
    const flag: FlagSpec = FLAGS[name];
    const values = flag.values.map((value) => ` <${value}>`).join("");
    const option = new Option(
      `${flag.short === undefined ? "" : `${flag.short}, `}${flag.long}${values}`,
      flag.help,
    );
    command.addOption(option);
    command.on(`option:${option.name()}`, (value: string | null) =>
      onFlag(name, flag.values.length === 0 ? [] : (value ?? "").split(VALUE_SEPARATOR)),
    );
    for (const alias of flag.aliases ?? []) {
      const hidden = new Option(`${alias}${values}`).hideHelp();
      command.addOption(hidden);
      command.on(`option:${hidden.name()}`, () => onFlag(name, []));
    }
  }
  return command;
}

function listed({ choices = [] }: ArgumentSpec): string {
  return choices.join(", ");
}

function joinValues(argv: readonly string[], isPassThrough: boolean): string[] {
  const joined: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? "";
    if (word === "--" || (isPassThrough && !word.startsWith("-"))) return [...joined, ...argv.slice(at)];
    joined.push(word);
    const name = flagOfWord(word);
    const count = name === undefined ? 0 : FLAGS[name].values.length;
    const values = argv.slice(at + 1, at + 1 + count);
    if (count > 0 && values.length === count) joined.push(values.join(VALUE_SEPARATOR));
    else if (count > 1)
      throw new DevshellError(
        "CLI_USAGE",
        `Cannot read ${word}: it takes ${count} words, found ${values.length}`,
      );
    at += values.length;
  }
  return joined;
}

function usageError(spec: CommandSpec, error: CommanderError): DevshellError {
  const [first = "", ...rest] = error.message.replace(/^error: /, "").split("\n");
  const meant = /Did you mean (?:one of )?(.*)\?/.exec(rest.join(" "))?.[1];
  const command = spec.name === "enter" ? "devshell" : `devshell ${spec.name}`;
  const [argument] = spec.arguments;
  const isMissing = error.code === "commander.missingArgument" && argument?.choices !== undefined;
  const help = `see \`${command} --help\``;
  return new DevshellError(
    "CLI_USAGE",
    `Cannot understand the arguments of ${command}: ${first.replaceAll("'", '"')}`,
    {
      hint: meant !== undefined ? undefined : isMissing ? `there are ${listed(argument)}; ${help}` : help,
      suggestions: meant?.split(/,? (?:or )?|, /).filter((word) => word !== "") ?? [],
    },
  );
}
