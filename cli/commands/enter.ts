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
  if (!process.stdin.isTTY)
    return enterWith(invocation, command === undefined ? { kind: "stdin" } : { kind: "text", text: command });
  // A session draws on a terminal: `devshell | tee log` gets a plain Bash, which writes where it is told to.
  const isReloading = process.stdout.isTTY && !flags.has("noReload");
  return enterWith(invocation, { kind: "enter", command, isReloading });
}
