import { usageError } from "../commandLine.ts";

/** What the environment of a command is to be: all of the caller's, or what is kept of it, and what is set. */
export interface EnvironmentFlags {
  isIgnored: boolean;
  readonly kept: Set<string>;
  readonly unset: Set<string>;
  readonly set: Map<string, string>;
}

export function newEnvironmentFlags(): EnvironmentFlags {
  return { isIgnored: false, kept: new Set(), unset: new Set(), set: new Map() };
}

/** Takes `--ignore-env`, `--keep-env-var`, `--unset-env-var`, `--set-env-var` and their other names. */
export function takeEnvironmentFlag(flags: EnvironmentFlags, word: string, next: () => string): boolean {
  switch (word) {
    case "-i":
    case "--ignore-env":
    case "--ignore-environment":
      flags.isIgnored = true;
      return true;
    case "-k":
    case "--keep":
    case "--keep-env-var":
      flags.kept.add(next());
      return true;
    case "-u":
    case "--unset":
    case "--unset-env-var": {
      const name = next();
      if (flags.set.has(name))
        throw usageError(
          "nix",
          `Cannot unset environment variable '${name}' that is set with '--set-env-var'`,
        );
      flags.unset.add(name);
      return true;
    }
    case "-s":
    case "--set-env-var": {
      const name = next();
      if (flags.unset.has(name))
        throw usageError(
          "nix",
          `Cannot set environment variable '${name}' that is unset with '--unset-env-var'`,
        );
      if (flags.set.has(name))
        throw usageError(
          "nix",
          `Duplicate definition of environment variable '${name}' with '--set-env-var' is ambiguous`,
        );
      flags.set.set(name, next());
      return true;
    }
    default:
      return false;
  }
}

/** The environment that the flags make of the caller's. @throws {DevshellError} `CLI_USAGE` */
export function environmentOf(flags: EnvironmentFlags, caller: NodeJS.ProcessEnv): Record<string, string> {
  checkEnvironmentFlags(flags);
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(caller))
    if (value !== undefined && !flags.unset.has(name) && (!flags.isIgnored || flags.kept.has(name)))
      environment[name] = value;
  for (const [name, value] of flags.set) environment[name] = value;
  return environment;
}

function checkEnvironmentFlags(flags: EnvironmentFlags): void {
  if (flags.isIgnored && flags.unset.size > 0)
    throw usageError("nix", "--unset-env-var does not make sense with --ignore-env");
  if (!flags.isIgnored && flags.kept.size > 0)
    throw usageError("nix", "--keep-env-var does not make sense without --ignore-env");
}
