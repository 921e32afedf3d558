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
  const same = flags.occurrences(...SAME).flatMap(([name, values]) => [FLAGS[name].long, ...values]);
  return runProfile("devshell profile", [action, ...options, ...same, "--", ...others]);
}
