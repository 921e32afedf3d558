import { spawn, spawnSync } from "node:child_process";
import { join, resolve } from "node:path";
import { expect } from "vitest";
import type { CommandResult, TestCommands } from "../cli/testCommands.ts";

export interface RunningCommand {
  readonly done: Promise<CommandResult>;
  /** With all that it has started. */
  kill(): void;
}

/** Starts a command of ours, or a program by its path, while this process goes on serving. */
export function startCommand(
  commands: TestCommands,
  [command = "", ...args]: readonly string[],
  env: Readonly<Record<string, string>> = {},
): RunningCommand {
  const child = spawn(resolve(commands.root, "bin", command), args, {
    cwd: commands.root,
    env: { ...commands.environment(), ...env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let [out, err] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
  const done = new Promise<CommandResult>((ended, failed) => {
    child.on("error", failed);
    child.on("close", (status) => ended({ status, out, err }));
  });
  return {
    done,
    kill: () => {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    },
  };
}

export async function runCommand(
  commands: TestCommands,
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CommandResult> {
  return await startCommand(commands, words, env).done;
}

/** @returns what it printed, once it has succeeded */
export async function succeed(result: CommandResult | Promise<CommandResult>): Promise<string> {
  const { status, out, err } = await result;
  expect(status, err).toBe(0);
  return out.trim();
}

/** @returns what it complained of, once it has failed */
export async function fail(result: CommandResult | Promise<CommandResult>): Promise<string> {
  const { status, err } = await result;
  expect(status, err).toBe(1);
  return err;
}

/** Text files in the store, each of which refers to the one before: the last one's path. */
export async function addChain(commands: TestCommands, length: number): Promise<string> {
  const expression = `builtins.foldl'
    (before: n: builtins.toFile "link-\${toString n}" "\${before}\\nlink \${toString n}") "" (builtins.genList (n: n) ${length})`;
  return await succeed(runCommand(commands, ["nix", "eval", "--raw", "--expr", expression]));
}

/** A path of random bytes, which no compression makes smaller. */
export async function addRandom(commands: TestCommands, name: string, mib: number): Promise<string> {
  const file = join(commands.root, name);
  spawnSync("dd", ["if=/dev/urandom", `of=${file}`, "bs=1M", `count=${mib}`], { stdio: "ignore" });
  return await succeed(runCommand(commands, ["nix-store", "--add", file]));
}

/** Another store for the same directory's name, so that paths are the same in both. */
export function storeBeside(commands: TestCommands, name: string): string {
  const place = join(commands.root, name);
  return `${place}?store=${commands.root}/store&real=${place}/store&state=${place}/var`;
}
