import type { Random } from "../mutate.ts";

/** Something that reads what strangers send. */
export interface FuzzTarget {
  /** Inputs that are right, or nearly: what is mutated. */
  readonly corpus: readonly Buffer[];
  /** None of them may be refused: else all that is tried is how the reader begins. */
  readonly isCorpusRight?: boolean | undefined;
  /** Words that mean something to the reader. */
  readonly tokens: readonly Buffer[];
  /**
   * Reads an input. It may be refused by a `DevshellError`.
   * @throws anything else where the reader is at fault, or does not keep its word
   */
  readonly run: (input: Buffer, random: Random) => Promise<void> | void;
  readonly end?: (() => Promise<void> | void) | undefined;
}

export type MakeTarget = () => Promise<FuzzTarget> | FuzzTarget;
