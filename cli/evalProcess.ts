import { run } from "./commands/eval.ts";
import { findCommand } from "./commandTable.ts";
import { commandHelp, parseCommand } from "./parseCommand.ts";
import { runToExit } from "./runToExit.ts";

const argv = process.argv.slice(3);
void runToExit(argv, () => {
  delete process.env["DEVSHELL_ARGV0"];
  const command = findCommand("eval")!;
  const parsed = parseCommand(command, argv);
  if (parsed !== "help") return run({ ...parsed, argv, command: command.name });
  process.stdout.write(commandHelp(command));
  return 0;
});
