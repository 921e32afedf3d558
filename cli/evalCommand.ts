import { run } from "./commands/eval.ts";
import { findCommand } from "./commandTable.ts";
import { runNixInstantiate } from "./compat/nixInstantiate.ts";
import { commandHelp, parseCommand } from "./parseCommand.ts";
import { runToExit } from "./runToExit.ts";

/** `devshell eval` or `nix-instantiate`, as the launcher was called; ends the process. */
export function runEvalCommand(): void {
  const [, , ...words] = process.argv;
  const isDropIn = process.env["DEVSHELL_ARGV0"] === "nix-instantiate";
  void (isDropIn
    ? runToExit(words, () => {
        delete process.env["DEVSHELL_ARGV0"];
        return runNixInstantiate(words);
      })
    : runToExit(words.slice(1), () => evaluate(words.slice(1))));
}

async function evaluate(argv: readonly string[]): Promise<number> {
  delete process.env["DEVSHELL_ARGV0"];
  const command = findCommand("eval")!;
  const parsed = parseCommand(command, argv);
  if (parsed !== "help") return run({ ...parsed, argv, command: command.name });
  process.stdout.write(commandHelp(command));
  return 0;
}
