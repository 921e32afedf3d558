import { resolve } from "node:path";
import {
  lockFlake,
  parseReference,
  workingDirectory,
  type FlakeEvaluation,
  type LockOptions,
} from "../../../env/index.ts";
import {
  findLockedInput,
  flakeReference,
  parseInputPath,
  showInputPath,
  type FlakeReference,
} from "../../../lang/index.ts";
import { usageError } from "../commandLine.ts";
import { say } from "../output.ts";

/** What a command line says of locking, for every command that takes flakes. */
export interface FlakeFlags {
  isRecreated: boolean;
  isUpdateAllowed: boolean;
  isWritten: boolean;
  isCommitted: boolean;
  usesRegistries: boolean | undefined;
  referenceLockFile: string | undefined;
  outputLockFile: string | undefined;
  /** Path of an input → its reference, as written. */
  readonly overrides: Map<string, string>;
  readonly updates: Set<string>;
  /** Flakes whose inputs stand in for registry entries. */
  readonly inputsFrom: string[];
}

export function newFlakeFlags(): FlakeFlags {
  return {
    isRecreated: false,
    isUpdateAllowed: true,
    isWritten: true,
    isCommitted: false,
    usesRegistries: undefined,
    referenceLockFile: undefined,
    outputLockFile: undefined,
    overrides: new Map(),
    updates: new Set(),
    inputsFrom: [],
  };
}

/** Takes a flag about locking. */
export function takeFlakeFlag(flags: FlakeFlags, word: string, next: () => string): boolean {
  switch (word) {
    case "--recreate-lock-file":
      say(
        "warning: '--recreate-lock-file' is deprecated and will be removed in a future version; use 'nix flake update' instead.",
      );
      flags.isRecreated = true;
      return true;
    case "--no-update-lock-file":
      flags.isUpdateAllowed = false;
      return true;
    case "--no-write-lock-file":
      flags.isWritten = false;
      return true;
    case "--no-registries":
      say("warning: '--no-registries' is deprecated; use '--no-use-registries'");
      flags.usesRegistries = false;
      return true;
    case "--commit-lock-file":
      flags.isCommitted = true;
      return true;
    case "--update-input":
      say(
        "warning: '--update-input' is a deprecated alias for 'flake update' and will be removed in a future version.",
      );
      flags.updates.add(inputPath(word, next()));
      return true;
    case "--override-input":
      flags.isWritten = false;
      flags.overrides.set(inputPath(word, next()), next());
      return true;
    case "--reference-lock-file":
      flags.referenceLockFile = resolve(next());
      return true;
    case "--output-lock-file":
      flags.outputLockFile = resolve(next());
      return true;
    case "--inputs-from":
      flags.inputsFrom.push(next());
      return true;
    default:
      return false;
  }
}

function inputPath(word: string, text: string): string {
  const path = showInputPath(parseInputPath(text));
  if (path === "")
    throw usageError(
      "nix",
      `${word} was passed a zero-length input path, which would refer to the flake itself, not an input`,
    );
  return path;
}

/** Reads a reference of the command line; paths are relative to where the command runs. */
export function referenceOf(
  text: string,
  options: { readonly isMissingAllowed?: boolean } = {},
): FlakeReference {
  return parseReference(text, { directory: workingDirectory(), notice: say, ...options });
}

/** What the flags say, for {@link lockFlake}; takes `--inputs-from` into force first. */
export function lockOptions(evaluation: FlakeEvaluation, flags: FlakeFlags): LockOptions {
  for (const flake of flags.inputsFrom) useInputsOf(evaluation, flake);
  const { overrides, inputsFrom: _, ...rest } = flags;
  return {
    ...rest,
    overrides: new Map(
      [...overrides].map(([path, text]) => [path, referenceOf(text, { isMissingAllowed: true })]),
    ),
  };
}

function useInputsOf(evaluation: FlakeEvaluation, text: string): void {
  const { lock } = lockFlake(evaluation, referenceOf(text), { isWritten: false });
  for (const name of lock.inputs.keys()) {
    const pin = findLockedInput(lock, [name])?.pin;
    if (pin === undefined) continue;
    const from = flakeReference(
      new Map([
        ["type", "indirect"],
        ["id", name],
      ]),
    );
    evaluation.context.overrideFlake(from.attributes, pin.locked);
  }
}
