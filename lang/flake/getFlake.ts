import type { ByteString } from "../../core/index.ts";
import { failure } from "../builtins/define.ts";
import {
  NO_POS,
  PathValue,
  force,
  forceStringNoContext,
  type Runtime,
  type Slot,
  type Value,
} from "../value/index.ts";
import { showPos } from "../value/position.ts";
import { callFlake } from "./callFlake.ts";
import { computeLocks, readFlakeLock } from "./computeLocks.ts";
import { fetchFlake } from "./fetchFlake.ts";
import { readFlake } from "./flakeFile.ts";
import { parseFlakeReference } from "./flakeReference.ts";
import { printLockFile } from "./lockFile.ts";
import { flakeReference, isLockedReference } from "./reference.ts";
import type { Flake } from "./types.ts";

/** `builtins.getFlake`: a flake's value. Locks are computed where they are missing, and never written. @throws EvalError */
export function getFlake(runtime: Runtime, argument: Slot): Value {
  const value = force(argument);
  const { isPure, usesRegistries } = runtime.settings;
  const scope = !isPure && usesRegistries ? "all" : "none";
  if (value instanceof PathValue) return evaluate(runtime, flakeAt(runtime, value.path));
  const text = forceStringNoContext(
    value,
    NO_POS,
    "while evaluating the argument passed to builtins.getFlake",
  );
  const reference = flakeReference(parseFlakeReference(text));
  if (isPure && !isLockedReference(reference))
    throw failure(
      `cannot call 'getFlake' on unlocked flake reference '${text}', at ${showPos(NO_POS)} (use --impure to override)`,
    );
  return evaluate(runtime, fetchFlake(runtime, reference, scope));
}

function evaluate(runtime: Runtime, flake: Flake): Value {
  const { isPure, usesRegistries } = runtime.settings;
  const old = readFlakeLock(runtime, `${flake.directory}/flake.lock`);
  const { lock, directories } = computeLocks(runtime, flake, {
    old,
    usesRegistries: !isPure && usesRegistries,
    allowsUnlocked: !isPure,
    overrides: new Map(),
    updates: new Set(),
  });
  const isUnwritten = printLockFile(lock) !== printLockFile(old);
  return callFlake(runtime, { flake, lock, directories, isUnwritten });
}

/** A flake that a path of the language names; no reference stands for it. */
function flakeAt(runtime: Runtime, directory: ByteString): Flake {
  const reference = flakeReference(parseFlakeReference("flake:get-flake"));
  return readFlake(runtime, {
    original: reference,
    resolved: reference,
    locked: reference,
    directory,
    lockPath: [],
  });
}
