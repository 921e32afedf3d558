import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DevshellError, bytesOfText, fsPath, textOfBytes, shownUrl } from "../../core/index.ts";
import {
  addFrame,
  attributesOf,
  callFlake,
  computeLocks,
  fetchFlake,
  isFollowed,
  isLockedReference,
  parseLockFile,
  printLockFile,
  readFlakeLock,
  relativePathOf,
  showReference,
  type AttrSet,
  type Evaluator,
  type Flake,
  type FlakeReference,
  type LockNode,
  type LockedFlake,
} from "../../lang/index.ts";
import type { StoreContext } from "../storeContext.ts";
import { describeLockChanges } from "./describeLockChanges.ts";
import { acceptedSettings } from "./flakeSettings.ts";
import { sourceDirectoryOf, writeFlakeFile } from "./writeFlakeFile.ts";

/** What flakes are locked and evaluated with: a context, and what `openEvaluation` made of it. */
export interface FlakeEvaluation {
  readonly context: StoreContext;
  readonly evaluator: Evaluator;
}

export interface LockOptions {
  /** Everything is locked anew (`nix flake update`). */
  readonly isRecreated?: boolean | undefined;
  /** `false`: a lock file that does not fit is an error (`--no-update-lock-file`). */
  readonly isUpdateAllowed?: boolean | undefined;
  /** `false`: a new lock stays in memory (`--no-write-lock-file`). */
  readonly isWritten?: boolean | undefined;
  /** An input that cannot be locked is an error, not a warning (`nix flake lock`). */
  readonly failsOnUnlocked?: boolean | undefined;
  /** `false`: indirect references are errors (`--no-registries`); the setting `use-registries` unless said. */
  readonly usesRegistries?: boolean | undefined;
  /** `--commit-lock-file`. */
  readonly isCommitted?: boolean | undefined;
  /** Read instead of the flake's own `flake.lock`. */
  readonly referenceLockFile?: string | undefined;
  /** Written instead of the flake's own `flake.lock`. */
  readonly outputLockFile?: string | undefined;
  /** Path of an input, `a/b` → what to take instead (`--override-input`). */
  readonly overrides?: ReadonlyMap<string, FlakeReference> | undefined;
  /** The flake's `nixConfig` takes force, as far as it is trusted. */
  readonly appliesSettings?: boolean | undefined;
  /** Asks the user a yes-or-no question. */
  readonly ask?: ((question: string) => boolean) | undefined;
  /** Paths of inputs to lock anew (`nix flake update INPUT`). */
  readonly updates?: ReadonlySet<string> | undefined;
  /** What was written is read again, so that inputs within the flake's tree lie where they will lie next time. */
  readonly isReread?: boolean | undefined;
}

/**
 * Fetches a flake, locks its inputs, and writes its `flake.lock` where that changes.
 * @throws {DevshellError} `FLAKE_…`, and what fetching and evaluation throw
 */
export function lockFlake(
  evaluation: FlakeEvaluation,
  reference: FlakeReference,
  options: LockOptions = {},
): LockedFlake {
  return evaluation.evaluator.run(() => {
    const flake = fetchTop(evaluation, reference, options);
    if (options.appliesSettings === true) applySettings(evaluation.context, flake, options.ask);
    try {
      return lock(evaluation, reference, options, flake);
    } catch (error) {
      throw addFrame(
        error,
        `while updating the lock file of flake '${shownUrl(showReference(flake.locked))}'`,
        0,
      );
    }
  });
}

/** A locked flake's value: its outputs and metadata; `outputs` has the outputs alone. */
export function openFlake({ evaluator }: FlakeEvaluation, locked: LockedFlake): AttrSet {
  return evaluator.run(() => callFlake(evaluator.runtime, locked));
}

function applySettings(context: StoreContext, flake: Flake, ask: LockOptions["ask"]): void {
  context.useSettings(
    acceptedSettings(flake, {
      acceptsAll: context.settings.config.raw.get("accept-flake-config") === "true",
      ask,
      warn: (message) => context.message("warning", message),
    }),
  );
}

/** A flake as a command line names it, all registries considered. */
function fetchTop(
  { context, evaluator }: FlakeEvaluation,
  reference: FlakeReference,
  options: LockOptions,
): Flake {
  return fetchFlake(evaluator.runtime, reference, usesRegistries(context, options) ? "all" : "none");
}

function usesRegistries(context: StoreContext, options: LockOptions): boolean {
  return options.usesRegistries ?? context.settings.config.raw.get("use-registries") !== "false";
}

function lock(
  evaluation: FlakeEvaluation,
  reference: FlakeReference,
  options: LockOptions,
  flake: Flake,
): LockedFlake {
  const { context, evaluator } = evaluation;
  const { raw } = context.settings.config;
  const { referenceLockFile, outputLockFile } = options;
  if (referenceLockFile !== undefined && raw.get("allow-dirty") === "false")
    throw failure("reference lock file was provided, but the `allow-dirty` setting is set to false");
  const old =
    referenceLockFile === undefined
      ? readFlakeLock(evaluator.runtime, `${flake.directory}/flake.lock`)
      : readLockOutside(context, referenceLockFile);
  const computed = computeLocks(evaluator.runtime, flake, {
    old: options.isRecreated === true ? undefined : old,
    usesRegistries: usesRegistries(context, options),
    allowsUnlocked: true,
    overrides: options.overrides ?? new Map(),
    updates: options.updates ?? new Set(),
  });
  const text = printLockFile(computed.lock);
  const done: LockedFlake = { flake, ...computed, isUnwritten: false };
  if (text === printLockFile(old) && outputLockFile === undefined) return done;
  const shown = textOfBytes(showReference(reference));
  const changes = describeLockChanges(old, computed.lock).replace(/\n+$/, "");
  if (options.isWritten === false) {
    context.message("warning", `not writing modified lock file of flake '${shown}':\n${changes}`);
    return { ...done, isUnwritten: true };
  }
  const directory = sourceDirectoryOf(reference);
  if (directory === undefined && outputLockFile === undefined)
    throw failure(
      `cannot write modified lock file of flake '${shown}' (use '--no-write-lock-file' to ignore)`,
    );
  const unlocked = unlockedInput(computed.lock, raw.get("allow-dirty-locks") === "true");
  if (unlocked !== undefined) {
    const input = textOfBytes(showReference(unlocked));
    if (options.failsOnUnlocked === true)
      throw failure(
        `Not writing lock file of flake '${shown}' because it has an unlocked input ('${input}'). Use '--allow-dirty-locks' to allow this anyway.`,
      );
    if (raw.get("warn-dirty") !== "false")
      context.message(
        "warning",
        `not writing lock file of flake '${shown}' because it has an unlocked input ('${input}')`,
      );
    return done;
  }
  if (options.isUpdateAllowed === false)
    throw failure(
      `flake '${shown}' requires lock file changes but they're not allowed due to '--no-update-lock-file'`,
    );
  if (outputLockFile !== undefined) {
    if (options.isCommitted === true)
      throw failure("'--commit-lock-file' and '--output-lock-file' are incompatible");
    writeFileSync(outputLockFile, text, "latin1");
  } else if (directory !== undefined) {
    const name = reference.dir === "" ? "flake.lock" : `${textOfBytes(reference.dir)}/flake.lock`;
    const file = join(directory, name);
    const isNew = !existsSync(file);
    context.message("warning", announce(file, isNew, changes));
    writeFlakeFile(reference, name, text, {
      commitMessage:
        options.isCommitted === true
          ? commitMessage(name, isNew, changes, raw.get("commit-lock-file-summary") ?? "")
          : undefined,
    });
  }
  context.forgetFetched();
  const again = fetchTop(evaluation, reference, options);
  const rev = again.locked.attributes.get("rev");
  if (options.isCommitted === true && rev !== undefined && rev !== flake.locked.attributes.get("rev"))
    context.message("warning", `committed new revision '${String(rev)}'`);
  if (options.isReread === true)
    return lock(evaluation, reference, { usesRegistries: options.usesRegistries }, again);
  // the root's tree has the new lock file in it
  computed.directories.set(computed.lock, again.directory);
  return { ...done, flake: again };
}

function announce(file: string, isNew: boolean, changes: string): string {
  if (isNew) return `creating lock file "${file}": \n${changes}`;
  return changes === "" ? `updating lock file "${file}"` : `updating lock file "${file}":\n${changes}`;
}

function commitMessage(name: string, isNew: boolean, changes: string, summary: string): string {
  const title = summary === "" ? `${name}: ${isNew ? "Add" : "Update"}` : summary;
  // eslint-disable-next-line no-control-regex -- colours have no place in a commit
  const plain = changes.replace(/\u001B\[[0-9;]*m/g, "");
  return `${title}\n\nFlake lock file updates:\n\n${plain}\n`;
}

function readLockOutside(context: StoreContext, file: string): LockNode {
  const path = bytesOfText(file);
  if (!existsSync(fsPath(path))) return { inputs: new Map(), pin: undefined };
  return parseLockFile(readFileSync(fsPath(path)).toString("latin1"), path, (message) =>
    context.message("warning", message),
  );
}

/** An input that no lock file can pin, such as a work tree with changes. */
function unlockedInput(root: LockNode, isDirtyAllowed: boolean): FlakeReference | undefined {
  const seen = new Set<LockNode>();
  const visit = (node: LockNode): FlakeReference | undefined => {
    if (seen.has(node)) return undefined;
    seen.add(node);
    const locked = node.pin?.locked;
    if (locked !== undefined && relativePathOf(locked) === undefined && !isLockedReference(locked))
      if (!isDirtyAllowed || !attributesOf(locked).has("narHash")) return locked;
    for (const edge of node.inputs.values()) {
      const found = isFollowed(edge) ? undefined : visit(edge);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return visit(root);
}

function failure(message: string): DevshellError {
  return new DevshellError("FLAKE_LOCK", message);
}
