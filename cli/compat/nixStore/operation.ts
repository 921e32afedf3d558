import { usageError, type CommonFlags } from "../commandLine.ts";

/** One `nix-store` command line: its operation's own flags and words. */
export interface StoreOperation {
  readonly flags: CommonFlags;
  /** What begins with a dash and is none of the common flags, in order, values of those that have some included. */
  readonly own: readonly string[];
  readonly words: readonly string[];
  /** `--add-root`. */
  readonly root: string | undefined;
  /** `--no-output`. */
  readonly isSilent: boolean;
}

/** @returns the exit status */
export type RunOperation = (operation: StoreOperation) => Promise<number> | number;

/** @throws {DevshellError} for own flags that are not among these */
export function switchesOf<Name extends string>(
  { own }: StoreOperation,
  known: readonly Name[],
): ReadonlySet<Name> {
  const given = new Set<Name>();
  for (const word of own) {
    const name = known.find((candidate) => candidate === word);
    if (name === undefined) throw usageError("nix-store", `unknown flag '${word}'`);
    given.add(name);
  }
  return given;
}

/** @throws {DevshellError} when there are words */
export function refuseWords({ words }: StoreOperation): void {
  if (words.length > 0) throw usageError("nix-store", "no arguments expected");
}
