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
export function run({ words, flags }: Invocation): Promise<number> {
  const [action = "", ...others] = words;
  const options = [...settingsOf(flags)].flatMap(([name, value]) => ["--option", name, value]);
  if (flags.has("packages") && (action !== "add" || flags.has("file")))
    throw new DevshellError("CLI_USAGE", "Cannot take -p here: it goes with `add`, and without -f");
  const chosen = flags.has("packages") ? packagesOf(others) : { flags: [], words: others };
  const same = flags.occurrences(...SAME).flatMap(([name, values]) => [FLAGS[name].long, ...values]);
  return runProfile("devshell profile", [
    action,
    ...options,
    ...same,
    ...chosen.flags,
    "--",
    ...chosen.words,
  ]);
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
