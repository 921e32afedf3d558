import { run } from "./commands/eval.ts";
import { findCommand } from "./commandTable.ts";
import { evaluate } from "./compat/nix/eval.ts";
import { runNixBuild } from "./compat/nixBuild.ts";
import { runNixInstantiate } from "./compat/nixInstantiate.ts";
import { printHelp } from "./compat/output.ts";
import { commandHelp, parseCommand } from "./parseCommand.ts";
import { runToExit } from "./runToExit.ts";

/** What the launcher starts this bundle for, by the name it was called; `devshell` and `nix` with `eval` alone. */
const COMMANDS: Readonly<Record<string, (words: readonly string[]) => Promise<number> | number>> = {
  devshell: ([, ...words]) => evalCommand(words),
  nix: ([, ...words]) => (words.includes("--help") ? printHelp("nix eval") : evaluate(words)),
  "nix-build": runNixBuild,
  "nix-instantiate": runNixInstantiate,
};

/** Runs the process's command line; ends the process. */
export function runEvalCommand(): void {
  const [, , ...words] = process.argv;
  void runToExit(words, () => {
    const name = process.env["DEVSHELL_ARGV0"] ?? "devshell";
    delete process.env["DEVSHELL_ARGV0"];
    return COMMANDS[name]!(words);
  });
}

async function evalCommand(argv: readonly string[]): Promise<number> {
  const command = findCommand("eval")!;
  const parsed = parseCommand(command, argv);
  if (parsed !== "help") return run({ ...parsed, argv, command: command.name });
  process.stdout.write(commandHelp(command));
  return 0;
}
