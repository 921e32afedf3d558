import { DevshellError } from "../../core/index.ts";
import { runProfile } from "../compat/nixProfile/index.ts";
import type { FlagName } from "../flags.ts";
import { FLAGS } from "../flags.ts";
import type { Invocation } from "../invocation.ts";
import { settingsOf } from "../request.ts";

/** Flags that mean the same to `nix profile`. */
const SAME: readonly FlagName[] = [
  "profile",
  "file",
  "priority",
  "all",
  "regex",
  "toVersion",
  "olderThan",
  "dryRun",
  "json",
  "showTrace",
  "quiet",
];

/** `devshell profile`: `nix profile` by our name, with our flags. */
export async function run({ words, flags }: Invocation): Promise<number> {
  const [action = "", ...others] = words;
  const options = [...settingsOf(flags)].flatMap(([name, value]) => ["--option", name, value]);
  if (flags.has("packages") && (action !== "add" || flags.has("file")))
    throw new DevshellError("CLI_USAGE", "Cannot take -p here: it goes with `add`, and without -f");
  const chosen = flags.has("packages") ? packagesOf(others) : { flags: [], words: others };
  const same = flags.occurrences(...SAME).flatMap(([name, values]) => [FLAGS[name].long, ...values]);
  const argv = [action, ...options, ...same, ...chosen.flags, "--", ...chosen.words];
  try {
    return await runProfile("devshell profile", argv);
  } catch (error) {
    throw flags.has("packages") ? (missingPackage(error, others) ?? error) : error;
  }
}

/** The user named a package, and no attribute of an expression of ours. */
function missingPackage(error: unknown, names: readonly string[]): DevshellError | undefined {
  if (!(error instanceof DevshellError)) return undefined;
  const name = /^attribute '(.*)' in selection path '".*"' not found/.exec(error.message)?.[1];
  if (name === undefined || !names.includes(name)) return undefined;
  return new DevshellError("CLI_PACKAGE_ABSENT", `Cannot find the package "${name}" in <debian>`, {
    cause: error,
    hint: `\`devshell packages ${name.slice(0, 3)}\` lists those whose names begin so`,
  });
}

/** Packages of `<debian>` as attributes of an expression: of each what a profile can show. */
function packagesOf(names: readonly string[]): {
  readonly flags: readonly string[];
  readonly words: readonly string[];
} {
  for (const name of names)
    if (!/^[a-z0-9][a-z0-9+.-]*$/.test(name))
      throw new DevshellError("CLI_USAGE", `Cannot add "${name}": it is no name of a package of <debian>`);
  const expression = `builtins.mapAttrs (name: package: package.profile) (import <debian> { })`;
  return { flags: ["--impure", "--expr", expression], words: names.map((name) => `"${name}"`) };
}
