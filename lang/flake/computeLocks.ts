import { shownUrl } from "../../core/index.ts";
import type { ByteString } from "../../core/index.ts";
import { failure } from "../builtins/define.ts";
import { addFrame, canonicalPath, evalError, type Runtime } from "../value/index.ts";
import { fetchFlake, fetchReference, flakeDirectory } from "./fetchFlake.ts";
import { readFlake } from "./flakeFile.ts";
import {
  checkFollows,
  comparePaths,
  emptyLock,
  isFollowed,
  parseLockFile,
  showInputPath,
  sortedInputs,
  type InputPath,
  type LockNode,
} from "./lockFile.ts";
import {
  canonicalReference,
  flakeReference,
  isLockedReference,
  isSameReference,
  relativePathOf,
  showReference,
  type FlakeReference,
} from "./reference.ts";
import type { Flake, FlakeInput, FlakeInputs, RegistryScope } from "./types.ts";

export interface ComputeLocksOptions {
  /** The lock file as it is; without it, everything is locked anew. */
  readonly old: LockNode | undefined;
  /** For inputs; overrides of the command line may use all registries. */
  readonly usesRegistries: boolean;
  /** Whether inputs that are not locked may be fetched. */
  readonly allowsUnlocked: boolean;
  /** Path of an input → what to take instead. */
  readonly overrides: ReadonlyMap<string, FlakeReference>;
  /** Paths of inputs whose locks are made anew. */
  readonly updates: ReadonlySet<string>;
}

/** An override, by the path of its input. */
interface Override {
  readonly path: InputPath;
  readonly input: FlakeInput;
  /** What a relative path in it is relative to. */
  readonly directory: ByteString;
  /** The flake that overrides; `undefined` for the command line. */
  readonly parent: InputPath | undefined;
}

/** A node whose inputs are to be locked. */
interface Task {
  readonly inputs: FlakeInputs;
  readonly node: LockNode;
  readonly path: InputPath;
  /** From which locks are taken. */
  readonly old: LockNode | undefined;
  /** What `follows` in `old` is relative to. */
  readonly followsPrefix: InputPath;
  readonly directory: ByteString;
  /** The inputs are those of `old`. */
  readonly isTrusted: boolean;
}

const MAX_DEPTH = 500;

/**
 * Locks a flake's inputs, taking what still holds from its lock file.
 * @returns the lock file's root, and the directories of what was fetched on the way
 * @throws EvalError, DevshellError
 */
export function computeLocks(
  runtime: Runtime,
  flake: Flake,
  options: ComputeLocksOptions,
): { readonly lock: LockNode; readonly directories: Map<LockNode, ByteString> } {
  const locker = new Locker(runtime, flake, options);
  return locker.run();
}

/** The lock file of a flake that was fetched; empty where there is none. @throws EvalError */
export function readFlakeLock(runtime: Runtime, path: ByteString): LockNode {
  const { host } = runtime;
  if (host.fileType(path) === undefined) return emptyLock();
  return parseLockFile(host.readFile(path), path, (message) => host.warn(message));
}

class Locker {
  readonly #runtime: Runtime;
  readonly #flake: Flake;
  readonly #options: ComputeLocksOptions;
  readonly #scope: RegistryScope;
  readonly #overrides = new Map<string, Override>();
  readonly #usedOverrides = new Set<string>();
  readonly #seen = new Set<string>();
  readonly #directories = new Map<LockNode, ByteString>();
  /** References on the way from the root to what is being locked. */
  readonly #parents: FlakeReference[] = [];

  constructor(runtime: Runtime, flake: Flake, options: ComputeLocksOptions) {
    this.#runtime = runtime;
    this.#flake = flake;
    this.#options = options;
    this.#scope = options.usesRegistries ? "limited" : "none";
    for (const [path, reference] of options.overrides)
      this.#overrides.set(path, {
        path: path.split("/"),
        input: { reference, isFlake: true, follows: undefined, overrides: new Map() },
        directory: flake.directory,
        parent: undefined,
      });
  }

  run(): { lock: LockNode; directories: Map<LockNode, ByteString> } {
    const { host } = this.#runtime;
    const { old, overrides, updates } = this.#options;
    const lock = emptyLock();
    this.#directories.set(lock, this.#flake.directory);
    this.#lock({
      inputs: this.#flake.inputs,
      node: lock,
      path: [],
      old,
      followsPrefix: [],
      directory: this.#flake.directory,
      isTrusted: false,
    });
    for (const [path, reference] of overrides)
      if (!this.#usedOverrides.has(path))
        host.warn(`the flag '--override-input ${path} ${showReference(reference)}' does not match any input`);
    for (const path of [...updates].toSorted())
      if (!this.#seen.has(path)) host.warn(`'${path}' does not match any input of this flake`);
    checkFollows(lock);
    return { lock, directories: this.#directories };
  }

  #lock(task: Task): void {
    if (task.path.length > MAX_DEPTH)
      throw failure(
        `the inputs of flake '${shownUrl(showReference(this.#flake.original))}' are nested too deeply`,
      );
    const inputs = [...task.inputs].toSorted(([a], [b]) => (a < b ? -1 : 1));
    for (const [name, input] of inputs) this.#addOverrides(task, input, [...task.path, name]);
    this.#warnOfUnknown(task);
    for (const [name, input] of inputs)
      try {
        this.#lockInput(task, name, input);
      } catch (error) {
        throw addFrame(error, `while updating the flake input '${showInputPath([...task.path, name])}'`, 0);
      }
  }

  #addOverrides(task: Task, input: FlakeInput, prefix: InputPath): void {
    for (const [name, override] of input.overrides) {
      const path = [...prefix, name];
      const key = showInputPath(path);
      const hasOwn = override.reference !== undefined || override.follows !== undefined;
      // what lies nearer to the root wins
      if (hasOwn && !this.#overrides.has(key))
        this.#overrides.set(key, { path, input: override, directory: task.directory, parent: task.path });
      this.#addOverrides(task, override, path);
    }
  }

  #warnOfUnknown(task: Task): void {
    const here = showInputPath(task.path);
    for (const { path } of [...this.#overrides.values()].toSorted((a, b) => comparePaths(a.path, b.path))) {
      const name = path.at(-1) ?? "";
      if (showInputPath(path.slice(0, -1)) === here && !task.inputs.has(name))
        this.#runtime.host.warn(`input '${here}' has an override for a non-existent input '${name}'`);
    }
  }

  #lockInput(task: Task, name: string, own: FlakeInput): void {
    const path = [...task.path, name];
    const key = showInputPath(path);
    const override = this.#overrides.get(key);
    const isFromCommandLine = this.#options.overrides.has(key);
    if (override !== undefined) this.#usedOverrides.add(key);
    const input: FlakeInput = override === undefined ? own : { ...override.input, isFlake: own.isFlake };
    if (input.follows !== undefined) {
      task.node.inputs.set(name, input.follows);
      return;
    }
    const reference =
      input.reference ??
      flakeReference(
        new Map([
          ["type", "indirect"],
          ["id", name],
        ]),
      );
    const relative = relativePathOf(reference);
    const parent = relative === undefined ? undefined : override === undefined ? task.path : override.parent;
    const base = override === undefined ? task.directory : override.directory;
    const place = relative === undefined ? undefined : () => this.#placeOf(base, relative, input.isFlake);
    this.#seen.add(key);
    const wanted: WantedInput = { name, path, reference, parent, place, isFlake: input.isFlake };
    const oldEdge = this.#options.updates.has(key) ? undefined : task.old?.inputs.get(name);
    const old = oldEdge === undefined || isFollowed(oldEdge) ? undefined : oldEdge;
    if (
      old?.pin !== undefined &&
      isSameReference(canonicalReference(old.pin.original), canonicalReference(reference)) &&
      isSamePath(old.pin.parent, parent) &&
      !isFromCommandLine
    )
      this.#keep(task, wanted, old);
    else this.#renew(task, wanted, own, isFromCommandLine);
  }

  /** Where a relative path leads. @throws EvalError where that is outside of the tree */
  #placeOf(directory: ByteString, relative: ByteString, isFlake: boolean): ByteString {
    const { host, settings } = this.#runtime;
    const place = canonicalPath(`${directory}/${relative}`);
    const top = directory.slice(host.storeDir.length + 1).split("/")[0] ?? "";
    if (`${place}/`.startsWith(`${host.storeDir}/${top}/`)) return place;
    const file = isFlake ? canonicalPath(`${place}/flake.nix`) : place;
    if (settings.isPure)
      throw evalError(
        "restricted",
        `access to absolute path '${file}' is forbidden in pure evaluation mode (use '--impure' to override)`,
      );
    if (host.fileType(file) === undefined) return place;
    throw failure(`relative path '${relative}' points outside of its flake's tree '${host.storeDir}/${top}'`);
  }

  /** Takes an input from the old lock file; fetches it only where its own inputs cannot be told from there. */
  #keep(task: Task, { name, path, place }: WantedInput, old: LockNode): void {
    const node: LockNode = { inputs: new Map(), pin: old.pin };
    task.node.inputs.set(name, node);
    const known = this.#hasUpdateBelow(path) ? undefined : this.#inputsOfLock(task, path, old);
    const { followsPrefix } = task;
    if (known !== undefined) {
      this.#lock({ ...task, inputs: known, node, path, old, isTrusted: true });
      return;
    }
    if (old.pin === undefined) throw new Error("a locked input has no pin");
    const flake = this.#fetch(old.pin.locked, place, this.#scope, path);
    this.#directories.set(node, flake.directory);
    const { inputs, directory } = flake;
    this.#lock({ inputs, node, path, old, followsPrefix, directory, isTrusted: false });
  }

  #hasUpdateBelow(path: InputPath): boolean {
    const prefix = `${showInputPath(path)}/`;
    return [...this.#options.updates].some((update) => update.startsWith(prefix));
  }

  /** A locked node's inputs; `undefined` where an override that shaped them is gone. */
  #inputsOfLock(task: Task, path: InputPath, old: LockNode): FlakeInputs | undefined {
    const inputs = new Map<string, FlakeInput>();
    for (const [name, edge] of sortedInputs(old)) {
      if (!isFollowed(edge)) {
        const { original, isFlake } = edge.pin!;
        inputs.set(name, { reference: original, isFlake, follows: undefined, overrides: new Map() });
        continue;
      }
      if (!task.isTrusted && !this.#overrides.has(showInputPath([...path, name]))) return undefined;
      const follows = [...task.followsPrefix, ...edge];
      inputs.set(name, { reference: undefined, isFlake: true, follows, overrides: new Map() });
    }
    return inputs;
  }

  #renew(task: Task, wanted: WantedInput, own: FlakeInput, isFromCommandLine: boolean): void {
    const { name, path, reference, parent, place, isFlake } = wanted;
    if (!this.#options.allowsUnlocked && place === undefined && !isLockedReference(reference))
      throw failure(`cannot update unlocked flake input '${showInputPath(path)}' in pure mode`);
    // an override of the command line holds until flake.nix says something else
    const original = isFromCommandLine ? (own.reference ?? reference) : reference;
    if (!isFlake) {
      const tree = place === undefined ? fetchReference(this.#runtime, reference, this.#scope) : undefined;
      const locked: FlakeReference =
        tree === undefined ? reference : { attributes: tree.locked.attributes, dir: reference.dir };
      const node: LockNode = { inputs: new Map(), pin: { locked, original, isFlake, parent } };
      this.#directories.set(node, tree?.storePath ?? place?.() ?? "");
      task.node.inputs.set(name, node);
      return;
    }
    const flake = this.#fetch(reference, place, isFromCommandLine ? "all" : this.#scope, path);
    const node: LockNode = {
      inputs: new Map(),
      pin: { locked: flake.locked, original, isFlake, parent },
    };
    task.node.inputs.set(name, node);
    if (this.#parents.some((each) => isSameReference(each, reference)))
      throw failure(`found circular import of flake '${showReference(reference)}'`);
    this.#parents.push(reference);
    this.#directories.set(node, flake.directory);
    const { inputs, directory } = flake;
    const old = readFlakeLock(this.#runtime, `${directory}/flake.lock`);
    this.#lock({ inputs, node, path, old, followsPrefix: path, directory, isTrusted: false });
    this.#parents.pop();
  }

  #fetch(
    reference: FlakeReference,
    place: WantedInput["place"],
    scope: RegistryScope,
    path: InputPath,
  ): Flake {
    if (place === undefined) return fetchFlake(this.#runtime, reference, scope, path);
    return readFlake(this.#runtime, {
      original: reference,
      resolved: reference,
      locked: reference,
      directory: flakeDirectory(place(), reference.dir),
      lockPath: path,
    });
  }
}

/** What an input is to be, overrides considered. */
interface WantedInput {
  readonly name: string;
  readonly path: InputPath;
  readonly reference: FlakeReference;
  readonly parent: InputPath | undefined;
  /** Where a relative path leads, in the store; what is locked already is not looked for. */
  readonly place: (() => ByteString) | undefined;
  readonly isFlake: boolean;
}

function isSamePath(a: InputPath | undefined, b: InputPath | undefined): boolean {
  return a === undefined || b === undefined ? a === b : comparePaths(a, b) === 0;
}
