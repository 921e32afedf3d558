import { existsSync } from "node:fs";
import { DevshellError } from "../../core/index.ts";
import type { Invocation } from "../invocation.ts";
import { findCommand } from "../commandTable.ts";
import { printHelp, printVersion } from "./output.ts";

/** `nix-shell`: the shell of a derivation, by the same way as `devshell`'s own. */
export async function runNixShell(argv: readonly string[]): Promise<number> {
  if (argv.includes("--version")) return printVersion("nix-shell");
  if (argv.includes("--help")) return printHelp("nix-shell");
  const { expandScript, runScript } = await import("../shebang.ts");
  const script = expandScript(argv, "nix-shell");
  const invocation = await invocationOf(script?.argv ?? argv);
  if (script !== undefined) return runScript(invocation, script.script);
  const { run } = await import("../commands/enter.ts");
  return run(invocation);
}

async function invocationOf(argv: readonly string[]): Promise<Invocation> {
  const spec = findCommand("enter");
  if (spec === undefined) throw new Error("no command enter");
  const { parseCommand } = await import("../parseCommand.ts");
  const parsed = parseCommand(spec, argv);
  if (parsed === "help") throw new Error("unreachable");
  const isNamed = parsed.words.length > 0 || parsed.flags.has("expr") || parsed.flags.has("packages");
  if (isNamed) return { ...parsed, argv, command: "enter" };
  const file = ["shell.nix", "default.nix"].find((name) => existsSync(name));
  if (file === undefined)
    throw new DevshellError(
      "CLI_NO_SHELL_FILE",
      "no argument specified and no 'shell.nix' or 'default.nix' file found in the working directory",
    );
  return { ...parsed, words: [file], argv: [...argv, file], command: "enter" };
}
