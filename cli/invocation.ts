import type { ParsedCommand } from "./parseCommand.ts";

/** One run of a command. */
export interface Invocation extends ParsedCommand {
  /** The words after the command's name, unparsed: the cache's key is made of them. */
  readonly argv: readonly string[];
  /** The command's own name. */
  readonly command: string;
}

/** What a command's file exports. @returns the exit status */
export type RunCommand = (invocation: Invocation) => Promise<number> | number;
