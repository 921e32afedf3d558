import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../../../core/index.ts";
import { indexPath, readIndex } from "../../../env/cache/recordPaths.ts";
import { evalCacheDirectory, type EvalKey } from "../../../env/evalCache/evalKey.ts";
import {
  autoArguments,
  createStoreContext,
  evaluationFacts,
  findEvalRecord,
  openEvaluation,
  writeEvalRecord,
} from "../../../env/index.ts";
import { printJson } from "../../../lang/index.ts";

/** A command line: which attributes of a file, with which arguments. */
export interface Command {
  readonly attributes: readonly string[];
  readonly arg?: string | undefined;
}

export interface Evaluated {
  /** Undefined: it failed. */
  readonly output: string | undefined;
  readonly isKept: boolean;
}

/** Evaluates from nothing, as a command does, and keeps what can be kept. */
export function evaluateAndKeep(file: string, directory: string, command: Command): Evaluated {
  const startedMs = Date.now();
  using context = createStoreContext({ onEvent: () => undefined });
  const { evaluator, host } = openEvaluation(context, { directory, includes: [] });
  let output: string;
  try {
    const given = autoArguments(evaluator, {
      directory,
      arguments: command.arg === undefined ? [] : [{ name: "arg", kind: "string", value: command.arg }],
    });
    const root = evaluator.evalFile(file);
    output = command.attributes
      .map((name) => {
        const { slot } = evaluator.selectAttrPath(root, name, given);
        return `${name} ${printJson(evaluator.runtime, slot, new Set())}\n`;
      })
      .join("");
    host.flush();
  } catch {
    return { output: undefined, isKept: false };
  }
  const facts = evaluationFacts(context);
  if (facts === undefined) return { output, isKept: false };
  const record = { ...facts, links: [], output, messages: "" };
  return { output, isKept: writeEvalRecord(keyOf(directory, command), record, startedMs) };
}

export function keyOf(directory: string, { attributes, arg }: Command): EvalKey {
  const words = [...attributes, "--arg", arg ?? "(none)"];
  return { directory, text: words.map((word) => `${word}\x1f`).join("") };
}

export interface Answer {
  readonly output: string;
  readonly by: "shell" | "node";
}

/** What the cache says, asked as the launcher and then the program ask it. */
export function ask(directory: string, command: Command): Answer | undefined {
  const key = keyOf(directory, command);
  const record = readIndex(indexPath(evalCacheDirectory(), directory)).find(
    (entry) => entry.key === key.text,
  )?.record;
  if (record !== undefined && existsSync(record)) {
    const launcher = join(packageRoot, "cli/devshell");
    const [touched = ""] = /^devshell_touched\(\) \{\n.*?^\}\n/ms.exec(readFileSync(launcher, "utf8")) ?? [];
    const script = `${touched}devshell_self=$2; devshell_record=$1; command . "$1" 2>/dev/null && devshell_answer; exit 77`;
    const { status, stdout } = spawnSync("/bin/sh", ["-c", script, "sh", record, launcher], {
      encoding: "latin1",
    });
    if (status === 0) return { output: stdout, by: "shell" };
  }
  const found = findEvalRecord(key);
  return found === undefined ? undefined : { output: found.output, by: "node" };
}
