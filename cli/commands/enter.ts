import { DevshellError } from "../../core/index.ts";
import type { Invocation } from "../invocation.ts";
import { enterWith } from "../enterRecord.ts";

/** `devshell`: a shell in the environment; one command of Bash with `--run`. */
export function run(invocation: Invocation): Promise<number> {
  const { flags } = invocation;
  const text = flags.value("run");
  const command = flags.value("command");
  if (text !== undefined && command !== undefined)
    throw new DevshellError("CLI_USAGE", "Cannot take both --run and --command");
  if (text !== undefined) return enterWith(invocation, { kind: "text", text });
  const isTerminal = process.stdin.isTTY && isTerminalOut();
  if (!isTerminal)
    return enterWith(invocation, command === undefined ? { kind: "stdin" } : { kind: "text", text: command });
  return enterWith(invocation, { kind: "enter", command, isReloading: !flags.has("noReload") });
}

/** A session's output must be a terminal too: `devshell | tee log` reads a script. */
function isTerminalOut(): boolean {
  return process.stdout.isTTY || process.stderr.isTTY;
}
