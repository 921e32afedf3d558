import { resolve } from "node:path";
import { bytesOfText, textOfBytes } from "../../../core/index.ts";
import {
  lockFlake,
  openFlake,
  parseReference,
  type LockOptions,
  type StoreContext,
} from "../../../env/index.ts";
import {
  findInput,
  parseInputPath,
  showInputPath,
  showReference,
  type AttrSet,
  type FlakeReference,
  type LockedFlake,
  type Slot,
} from "../../../lang/index.ts";
import { userAsker } from "../askUser.ts";
import { usageError } from "../commandLine.ts";
import { baseDirectory } from "../baseDirectory.ts";
import type { CompatEvaluation } from "../evaluate.ts";
import { say } from "../output.ts";

/** What the command line says of flakes: their locks, the registries. */
export interface FlakeFlags {
  readonly lock: { -readonly [Name in keyof LockOptions]: LockOptions[Name] };
  /** Input path → reference, as given. */
  readonly overrides: Map<string, string>;
  readonly updates: Set<string>;
  /** Flakes whose inputs stand before the registries. */
  readonly inputsFrom: string[];
}

export interface FlakeOutputs {
  readonly outputs: Slot;
  /** All that it is: its inputs, too. */
  readonly flake: AttrSet;
  /** The directory it was read from, of a local one. */
  readonly sourcePath: string | undefined;
  /** The reference, for messages. */
  readonly shown: string;
  /** As it was named. */
  readonly original: FlakeReference;
  /** As it was fetched. */
  readonly locked: FlakeReference;
}

export function newFlakeFlags(): FlakeFlags {
  return { lock: {}, overrides: new Map(), updates: new Set(), inputsFrom: [] };
}

/** Takes what says how a flake's lock is read, made and written, and where names of flakes are looked up. */
export function takeFlakeFlag(flags: FlakeFlags, word: string, next: () => string): boolean {
  const { lock } = flags;
  switch (word) {
    case "--recreate-lock-file":
      deprecated(word, "nix flake update");
      lock.isRecreated = true;
      return true;
    case "--no-update-lock-file":
      lock.isUpdateAllowed = false;
      return true;
    case "--no-write-lock-file":
      lock.isWritten = false;
      return true;
    case "--no-registries":
      say("warning: '--no-registries' is deprecated; use '--no-use-registries'");
      lock.usesRegistries = false;
      return true;
    case "--commit-lock-file":
      lock.isCommitted = true;
      return true;
    case "--update-input":
      say(
        "warning: '--update-input' is a deprecated alias for 'flake update' and will be removed in a future version.",
      );
      flags.updates.add(inputPath(word, next()));
      return true;
    case "--override-input":
      flags.overrides.set(inputPath(word, next()), next());
      lock.isWritten = false;
      return true;
    case "--reference-lock-file":
      lock.referenceLockFile = resolve(next());
      return true;
    case "--output-lock-file":
      lock.outputLockFile = resolve(next());
      return true;
    case "--inputs-from":
      flags.inputsFrom.push(next());
      return true;
    default:
      return false;
  }
}

/** What {@link FlakeFlags} mean; what stands before the registries is put in force. */
export function lockOptions(
  context: StoreContext,
  evaluation: CompatEvaluation,
  flags: FlakeFlags,
): LockOptions {
  const { evaluator } = evaluation;
  for (const word of flags.inputsFrom) {
    const { lock } = lockFlake({ context, evaluator }, referenceOf(word), { isWritten: false });
    for (const name of lock.inputs.keys()) {
      const locked = findInput(lock, [name])?.pin?.locked;
      if (locked === undefined) continue;
      const from = new Map([
        ["type", "indirect"],
        ["id", name],
      ]);
      context.overrideFlake(from, locked);
    }
  }
  const overrides = new Map<string, FlakeReference>();
  for (const [path, word] of flags.overrides) overrides.set(path, referenceOf(word, true));
  return { ...flags.lock, overrides, updates: flags.updates, appliesSettings: true, ask: userAsker() };
}

/** Locks a flake and opens its outputs. */
export function openFlakeOutputs(
  context: StoreContext,
  evaluation: CompatEvaluation,
  reference: FlakeReference,
  options: LockOptions,
): FlakeOutputs {
  const within = { context, evaluator: evaluation.evaluator };
  const locked = lockFlake(within, reference, options);
  const flake = openFlake(within, locked);
  return {
    outputs: flake.get("outputs") ?? null,
    flake,
    sourcePath: sourcePathOf(locked),
    shown: textOfBytes(showReference(reference)),
    original: reference,
    locked: locked.flake.locked,
  };
}

/** Reads a reference of the command line; paths are relative to where the command runs. */
export function referenceOf(word: string, isMissingAllowed = false): FlakeReference {
  return parseReference(word, {
    directory: baseDirectory(),
    isMissingAllowed,
    notice: (line) => say(bytesOfText(line)),
  });
}

/** The path of an input, in the form that a lock's options take. */
function inputPath(flag: string, text: string): string {
  const path = parseInputPath(bytesOfText(text));
  if (path.length === 0)
    throw usageError(
      "nix",
      `${flag} was passed a zero-length input path, which would refer to the flake itself, not an input`,
    );
  return showInputPath(path);
}

function deprecated(flag: string, better: string): void {
  say(`warning: '${flag}' is deprecated and will be removed in a future version; use '${better}' instead.`);
}

function sourcePathOf({ flake: { resolved } }: LockedFlake): string | undefined {
  const { attributes } = resolved;
  const path = attributes.get("path");
  if (attributes.get("type") === "path" && typeof path === "string") return textOfBytes(path);
  const url = attributes.get("url");
  if (attributes.get("type") !== "git" || typeof url !== "string" || !url.startsWith("file://"))
    return undefined;
  return decodeURIComponent(new URL(url).pathname);
}
