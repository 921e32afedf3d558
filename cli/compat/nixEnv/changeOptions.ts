import { usageError } from "../commandLine.ts";

/** Where packages to install come from. */
export type InstallSource = "names" | "expressions" | "profile" | "attributes";

/** What `nix-env`'s operations that change a profile take. */
export interface ChangeOptions {
  source: InstallSource;
  fromProfile: string;
  /** Beside those of the same name. */
  preservesInstalled: boolean;
  removesAll: boolean;
  priority: number | undefined;
  upgrade: "lt" | "leq" | "eq" | "always";
  forcedName: string | undefined;
  isDryRun: boolean;
}

export function newChangeOptions(): ChangeOptions {
  return {
    source: "names",
    fromProfile: "",
    preservesInstalled: false,
    removesAll: false,
    priority: undefined,
    upgrade: "lt",
    forcedName: undefined,
    isDryRun: false,
  };
}

/** Takes a flag of an operation. @returns false for any other word */
export function takeChangeFlag(
  options: ChangeOptions,
  operation: string,
  word: string,
  next: () => string,
): boolean {
  if (["install", "upgrade", "set"].includes(operation) && takeSourceFlag(options, word, next)) return true;
  if (operation === "install") return takeInstallFlag(options, word, next);
  if (operation !== "upgrade") return false;
  const upgrade = UPGRADES[word];
  if (upgrade === undefined) return false;
  options.upgrade = upgrade;
  return true;
}

function takeSourceFlag(options: ChangeOptions, word: string, next: () => string): boolean {
  switch (word) {
    case "-E":
    case "--from-expression":
      options.source = "expressions";
      return true;
    case "--from-profile":
      options.source = "profile";
      options.fromProfile = next();
      return true;
    case "-A":
    case "--attr":
      options.source = "attributes";
      return true;
    default:
      return false;
  }
}

function takeInstallFlag(options: ChangeOptions, word: string, next: () => string): boolean {
  switch (word) {
    case "-P":
    case "--preserve-installed":
      options.preservesInstalled = true;
      return true;
    case "-r":
    case "--remove-all":
      options.removesAll = true;
      return true;
    case "--priority": {
      const text = next();
      if (!/^-?\d{1,9}$/.test(text)) throw usageError("nix-env", "'--priority' requires an integer argument");
      options.priority = Number(text);
      return true;
    }
    default:
      return false;
  }
}

const UPGRADES: Readonly<Record<string, ChangeOptions["upgrade"]>> = {
  "--lt": "lt",
  "--leq": "leq",
  "--eq": "eq",
  "--always": "always",
};
