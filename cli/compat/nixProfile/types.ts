import type { FlakeReference } from "../../../lang/index.ts";
import type { StorePath } from "../../../store/index.ts";
import type { Outputs } from "../nix/outputs.ts";

/** The flake that a package came from: an upgrade looks there again. */
export interface ElementSource {
  readonly original: FlakeReference;
  readonly locked: FlakeReference;
  readonly attrPath: string;
  readonly outputs: Outputs;
}

/** A package of a profile. */
export interface ProfileElement {
  /** Sorted. */
  readonly storePaths: readonly StorePath[];
  readonly source: ElementSource | undefined;
  readonly isActive: boolean;
  /** Lower hides higher. */
  readonly priority: number;
}

/** A profile's packages by their names, in the order of the names. */
export type ProfileManifest = ReadonlyMap<string, ProfileElement>;
