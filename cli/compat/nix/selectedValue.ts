import type { Pos, Value } from "../../../lang/index.ts";

/** A value that a word of the command line names. */
export interface SelectedValue {
  readonly value: Value;
  readonly pos: Pos;
  /** From a flake's outputs, where it is of a flake. */
  readonly path: readonly string[];
}
