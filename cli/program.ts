import { existsSync } from "node:fs";
import { DevshellError } from "../core/index.ts";
import { COMMANDS, findCommand } from "./commandTable.ts";
import { loadCommand } from "./loadCommand.ts";
import { commandHelp, parseCommand } from "./parseCommand.ts";
import { runToExit } from "./runToExit.ts";
import { version } from "./version.ts";

/** Runs one command line to its end and exits with its status. */
export function runProgram(argv: readonly string[]): Promise<never> {
  return runToExit(argv, () => dispatch(argv), { isEventStream: isEventStream(argv) });
}

async function dispatch(argv: readonly string[]): Promise<number> {
  const name = process.env["DEVSHELL_ARGV0"] ?? "devshell";
  delete process.env["DEVSHELL_ARGV0"];
  if (name.startsWith("nix")) return (await import("./compat/index.ts")).runCompat(name, argv);
  const [first, ...rest] = argv;
  switch (first) {
    case "--version":
    case "-V":
      return print(`devshell ${version()}\n`);
    case "--help":
    case "-h":
      return print(rootHelp());
    case "help":
      return help(rest[0]);
    case "__refresh":
      return (await import("./refresh.ts")).refreshRecord(rest[0] ?? "");
    case undefined:
      break;
    default: {
      const script = await import("./shebang.ts");
      const expanded = script.expandScript(argv, "devshell");
      if (expanded !== undefined) return runNamed("enter", expanded.argv, expanded.script);
    }
  }
  const command = first === undefined ? undefined : findCommand(first);
  if (command !== undefined) return runNamed(command.name, rest);
  if (first !== undefined && isUnknownCommand(first)) throw await unknownCommand(first);
  return runNamed("enter", argv);
}

async function runNamed(name: string, argv: readonly string[], script?: readonly string[]): Promise<number> {
  const command = findCommand(name);
  if (command === undefined) throw new Error(`no command ${name}`);
  const parsed = parseCommand(command, argv);
  if (parsed === "help")
    return print(name === "enter" ? `${commandHelp(command)}\n${commandList()}` : commandHelp(command));
  if (script !== undefined) {
    const { runScript } = await import("./shebang.ts");
    return runScript({ ...parsed, argv, command: name }, script);
  }
  const run = await loadCommand(name);
  return run({ ...parsed, argv, command: name });
}

/** `devshell --json`: standard error is lines of JSON to its end. */
function isEventStream(argv: readonly string[]): boolean {
  // A drop-in command's own `--json` says what it prints.
  if (process.env["DEVSHELL_ARGV0"]?.startsWith("nix") === true) return false;
  const command = findCommand(argv[0] ?? "enter")?.name ?? "enter";
  return command === "enter" && argv.includes("--json");
}

/** A plain word that is neither a command nor anything that can be entered. */
function isUnknownCommand(word: string): boolean {
  return /^[a-z][a-z-]*$/.test(word) && !existsSync(word);
}

async function unknownCommand(word: string): Promise<DevshellError> {
  const { suggestNames } = await import("../env/index.ts");
  const names = COMMANDS.map((command) => command.name);
  return new DevshellError(
    "CLI_UNKNOWN_COMMAND",
    `Cannot find "${word}": no command and no file has that name`,
    {
      suggestions: suggestNames(word, names),
      hint: "`devshell --help` lists the commands; packages are entered by `devshell -p NAME`",
    },
  );
}

async function help(name: string | undefined): Promise<number> {
  if (name === undefined) return print(rootHelp());
  const command = findCommand(name);
  if (command === undefined) throw await unknownCommand(name);
  return print(commandHelp(command));
}

function rootHelp(): string {
  const enter = findCommand("enter");
  return `${enter === undefined ? "" : commandHelp(enter)}\n${commandList()}`;
}

function commandList(): string {
  const shown = COMMANDS.filter((command) => command.isHidden !== true);
  const width = Math.max(...shown.map((command) => command.name.length));
  const lines = shown.map((command) => `  ${command.name.padEnd(width)}  ${command.summary}`);
  return `Commands:\n${lines.join("\n")}\n\n\`devshell help COMMAND\` says more. Version ${version()}.\n`;
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}
