import { DevshellError } from "../core/index.ts";
import { workingDirectory } from "../env/index.ts";
import type { EnvironmentRequest, SpecArgument } from "../env/index.ts";
import type { ParsedFlags } from "./flags.ts";

/** What the words and flags of the nix-shell family ask for; shared by the drop-in commands. */
export function requestOf(
  words: readonly string[],
  flags: ParsedFlags,
  selection?: readonly string[],
): EnvironmentRequest {
  if (flags.has("expr") && flags.has("packages"))
    throw new DevshellError(
      "CLI_USAGE",
      "Cannot take the words both as expressions (-E) and as packages (-p)",
    );
  if (flags.has("pure") && flags.has("impure"))
    throw new DevshellError("CLI_USAGE", "Cannot be both --pure and --impure");
  if (flags.has("expr") && words.length !== 1)
    throw new DevshellError(
      "CLI_USAGE",
      `Cannot evaluate: -E takes one expression, found ${words.length} words`,
    );
  const isPlain = !flags.has("expr") && !flags.has("packages");
  const keep = flags.values("keep");
  return {
    directory: workingDirectory(),
    files: [...flags.values("file"), ...(isPlain ? words : [])],
    expression: flags.has("expr") ? words[0] : undefined,
    packages: flags.has("packages") ? words : undefined,
    attributes: flags.values("attr"),
    arguments: argumentsOf(flags),
    includes: flags.values("include"),
    pure: flags.has("pure") ? true : flags.has("impure") ? false : undefined,
    keep: keep.length === 0 ? undefined : keep,
    exclude: flags.values("exclude"),
    selection,
  };
}

export function argumentsOf(flags: ParsedFlags): SpecArgument[] {
  return flags.occurrences("arg", "argstr").map(([flag, [name = "", value = ""]]) => ({
    name,
    kind: flag === "arg" ? "expression" : "string",
    value,
  }));
}

/** `nix.conf` options from `--option` and from the flags that stand for one. */
export function settingsOf(flags: ParsedFlags): Map<string, string> {
  const options = new Map<string, string>();
  for (const [, [name = "", value = ""]] of flags.occurrences("option")) options.set(name, value);
  const maxJobs = flags.value("maxJobs");
  if (maxJobs !== undefined)
    options.set("max-jobs", maxJobs === "auto" ? "auto" : String(flags.number("maxJobs")));
  if (flags.has("cores")) options.set("cores", String(flags.number("cores")));
  if (flags.has("keepGoing")) options.set("keep-going", "true");
  if (flags.has("keepFailed")) options.set("keep-failed", "true");
  if (flags.has("fallback")) options.set("fallback", "true");
  return options;
}
