/** A subcommand's own part. @returns the exit status */
export type NixCommand = (argv: readonly string[]) => Promise<number> | number;
