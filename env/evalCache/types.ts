import type { ByteString } from "../../core/index.ts";
import type { TrackedInput } from "../types.ts";

/** What a command printed, and what must be as it was for it to print the same again (FORMAT.md). */
export interface EvalRecord {
  readonly inputs: readonly TrackedInput[];
  /** Variables visible in every file. */
  readonly globals: readonly string[];
  /** Where what evaluation put into the store, or read there, lies on this side of a mount namespace. */
  readonly required: readonly ByteString[];
  readonly links: readonly EvalLink[];
  /** Standard output. */
  readonly output: ByteString;
  /** Traces and warnings on standard error. */
  readonly messages: ByteString;
}

/** A link that the command made to what it built. */
export interface EvalLink {
  readonly link: ByteString;
  readonly target: ByteString;
}
