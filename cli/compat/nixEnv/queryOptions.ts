import { usageError } from "../commandLine.ts";

/** What `nix-env --query` prints, and of what. */
export interface QueryOptions {
  isAvailable: boolean;
  hasStatus: boolean;
  hasName: boolean;
  hasAttributePath: boolean;
  hasSystem: boolean;
  hasDrvPath: boolean;
  hasOutPath: boolean;
  hasDescription: boolean;
  hasMeta: boolean;
  comparesVersions: boolean;
  format: "table" | "json" | "xml";
  attribute: string;
  file: string | undefined;
  profile: string | undefined;
  systemFilter: string;
  isPrebuiltOnly: boolean;
}

export function newQueryOptions(): QueryOptions {
  return {
    isAvailable: false,
    hasStatus: false,
    hasName: true,
    hasAttributePath: false,
    hasSystem: false,
    hasDrvPath: false,
    hasOutPath: false,
    hasDescription: false,
    hasMeta: false,
    comparesVersions: false,
    format: "table",
    attribute: "",
    file: undefined,
    profile: undefined,
    systemFilter: "*",
    isPrebuiltOnly: false,
  };
}

/** Takes a flag of `nix-env --query`. @returns false for any other word */
export function takeQueryFlag(options: QueryOptions, word: string, next: () => string): boolean {
  switch (word) {
    case "-a":
    case "--available":
      options.isAvailable = true;
      return true;
    case "--installed":
      options.isAvailable = false;
      return true;
    case "-s":
    case "--status":
      options.hasStatus = true;
      return true;
    case "--no-name":
      options.hasName = false;
      return true;
    case "-P":
    case "--attr-path":
      options.hasAttributePath = true;
      return true;
    case "--system":
      options.hasSystem = true;
      return true;
    case "--drv-path":
      options.hasDrvPath = true;
      return true;
    case "--out-path":
      options.hasOutPath = true;
      return true;
    case "--description":
      options.hasDescription = true;
      return true;
    case "--meta":
      options.hasMeta = true;
      return true;
    case "-c":
    case "--compare-versions":
      options.comparesVersions = true;
      return true;
    case "--json":
      options.format = "json";
      return true;
    case "--xml":
      if (options.format === "table") options.format = "xml";
      return true;
    case "-A":
    case "--attr":
      options.attribute = next();
      return true;
    case "-f":
    case "--file":
      options.file = next();
      return true;
    case "-p":
    case "--profile":
      options.profile = next();
      return true;
    case "--system-filter":
      options.systemFilter = next();
      return true;
    case "-b":
    case "--prebuilt-only":
      options.isPrebuiltOnly = true;
      return true;
    default:
      return false;
  }
}

export function checkQueryOptions({ hasAttributePath, isAvailable }: QueryOptions): void {
  if (hasAttributePath && !isAvailable)
    throw usageError("nix-env", "--attr-path(-P) only works with --available");
}
