import { run } from "./commands/eval.ts";
import { findCommand } from "./commandTable.ts";
import { copy } from "./compat/nix/copy.ts";
import { evaluate } from "./compat/nix/eval.ts";
import { hash } from "./compat/nix/hash.ts";
import { pathInfo } from "./compat/nix/pathInfo.ts";
import { store } from "./compat/nix/store.ts";
import { SUMMARIES } from "./compat/nix/summaries.ts";
import type { NixCommand } from "./compat/nix/types.ts";
import { runNixBuild } from "./compat/nixBuild.ts";
import { runNixHash } from "./compat/nixHash.ts";
import { runNixInstantiate } from "./compat/nixInstantiate.ts";
import { runNixStore } from "./compat/nixStore/index.ts";
import { printHelp } from "./compat/output.ts";
import { commandHelp, parseCommand } from "./parseCommand.ts";
import { runToExit } from "./runToExit.ts";

/** What the launcher starts this bundle for, by the name it was called; of `devshell` it is `eval` alone. */
const COMMANDS: Readonly<Record<string, (words: readonly string[]) => Promise<number> | number>> = {
  devshell: ([, ...words]) => evalCommand(words),
  nix: ([name = "", ...words]) =>
    words.includes("--help") ? printHelp(`nix ${name}`, SUMMARIES[name]) : NIX_COMMANDS[name]!(words),
  "nix-build": runNixBuild,
  "nix-hash": runNixHash,
  "nix-instantiate": runNixInstantiate,
  "nix-store": runNixStore,
};

/** The subcommands of `nix` that it is started for. */
const NIX_COMMANDS: Readonly<Record<string, NixCommand>> = {
  copy,
  eval: evaluate,
  hash,
  "path-info": pathInfo,
  store,
};

/** Runs the process's command line; ends the process. */
export function runQuickCommand(): void {
  // The launcher's, for this process's own malloc: neither for `getEnv` nor for what is started.
  if (process.env["DEVSHELL_OWN_TUNABLES"] !== undefined) {
    delete process.env["DEVSHELL_OWN_TUNABLES"];
    delete process.env["GLIBC_TUNABLES"];
  }
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
