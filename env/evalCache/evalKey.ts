import { join } from "node:path";
import { workingDirectory } from "../cache/cacheRecord.ts";
import { cacheDirectory, selectionKey } from "../cache/recordPaths.ts";

/** Which command line a record answers, and where. */
export interface EvalKey {
  readonly directory: string;
  /** As the launcher puts it together (FORMAT.md). */
  readonly text: string;
}

const WORD_END = "\x1f";
/** What a word of a command line becomes that is no UTF-8. */
const LOSS = "\ufffd";

/** The key of a command line; undefined where nothing is to be kept for it. */
export function evalKey(
  name: string,
  argv: readonly string[],
  options: { readonly isTerminal: boolean; readonly environment?: NodeJS.ProcessEnv },
): EvalKey | undefined {
  const environment = options.environment ?? process.env;
  if (isEvalCacheOff(environment)) return undefined;
  const directory = workingDirectory(environment);
  const words = [name, options.isTerminal ? "tty" : "", ...argv];
  if ([directory, ...words].some((word) => word.includes(WORD_END) || word.includes(LOSS))) return undefined;
  // One line of the index holds a key.
  const text = selectionKey(words);
  return /\n/.test(directory) || /\n/.test(text) ? undefined : { directory, text };
}

export function isEvalCacheOff(environment: NodeJS.ProcessEnv): boolean {
  return environment["DEVSHELL_EVAL_CACHE"] === "off" || (environment["DEVSHELL_NO_CACHE"] ?? "") !== "";
}

/** See FORMAT.md. */
export function evalCacheDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  return join(cacheDirectory(environment), "eval-1");
}
