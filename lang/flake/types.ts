import type { ByteString } from "../../core/index.ts";
import type { FlakeAttributes } from "./flakeReference.ts";
import type { InputPath, LockNode } from "./lockFile.ts";
import type { FlakeReference } from "./reference.ts";

/** What `flake.nix` says of an input. */
export interface FlakeInput {
  readonly reference: FlakeReference | undefined;
  /** False for a plain tree. */
  readonly isFlake: boolean;
  /** From the root of the lock file on. */
  readonly follows: InputPath | undefined;
  /** What it says of the input's own inputs. */
  readonly overrides: FlakeInputs;
}

export type FlakeInputs = ReadonlyMap<string, FlakeInput>;

/** A value of `nixConfig`. */
export type FlakeSetting = string | bigint | boolean | readonly string[];

/** A flake's `flake.nix`, read, and where it came from. */
export interface Flake {
  readonly original: FlakeReference;
  /** After the registries. */
  readonly resolved: FlakeReference;
  /** As fetched. */
  readonly locked: FlakeReference;
  /** In the store. */
  readonly directory: ByteString;
  readonly description: string | undefined;
  readonly inputs: FlakeInputs;
  /** `inputs.self`. */
  readonly selfAttributes: FlakeAttributes;
  readonly settings: ReadonlyMap<string, FlakeSetting>;
}

export interface LockedFlake {
  readonly flake: Flake;
  readonly lock: LockNode;
  /** The directories of flakes and trees that were fetched while locking, in the store. */
  readonly directories: ReadonlyMap<LockNode, ByteString>;
  /** The lock is not written: what is in the store lacks it, so its revision is not told. */
  readonly isUnwritten: boolean;
}

/** Which registries an indirect reference is looked up in; `limited`: the command line's and the global one. */
export type RegistryScope = "all" | "limited" | "none";
