import type { AttrSet, Slot } from "../../lang/index.ts";

/** A value that an attribute path of a spec names. */
export interface SelectedValue {
  /** Empty for the whole. */
  readonly attribute: string;
  readonly slot: Slot;
  /** What functions on the way are called with. */
  readonly autoArguments: AttrSet;
}

export interface EvaluateOptions {
  /** Functions that ask for `inNixShell` get `true`. */
  readonly isShell: boolean;
  /** Pins of `devshell.lock` are made anew. */
  readonly isUpdate?: boolean | undefined;
  readonly showTrace?: boolean | undefined;
}
