import type { ClientSettings } from "../../protocol/clientSettings.ts";
import { VERBOSITY } from "../../protocol/messages.ts";
import type { Wire } from "../../protocol/values.ts";
import { FEATURE } from "../../protocol/version.ts";
import type { StoreConfig } from "../../types.ts";

/** Options that concern evaluation, commands and fetching: a store has no use for them. */
const NOT_THE_STORES =
  /^(?:accept-flake-config|access-tokens|allow-dirty.*|allow-import-from-derivation|allow-unsafe-native-code-during-evaluation|allowed-uris|bash-prompt.*|commit-lock-file-summary|debugger-on-trace|eval-.*|experimental-features|fetchers-.*|flake-registry|ignore-try|json-log-path|lint-.*|log-format|max-call-depth|nix-path|nix-shell-.*|plugin-files|pure-eval|print-missing|restrict-eval|show-trace|tarball-ttl|trace-.*|use-registries|use-xdg-base-directories|verbosity|warn-.*|store)$/;
/** They have places of their own in the message. */
const OWN_PLACES = new Set([
  "keep-failed",
  "keep-going",
  "fallback",
  "max-jobs",
  "max-silent-time",
  "cores",
  "substitute",
]);

/** What a daemon is told of our settings: those of the user, not those of the machine, which it has itself. */
export function settingsForDaemon(config: StoreConfig): ClientSettings {
  const chosen = config.chosen ?? new Set<string>();
  const named = [...chosen].filter((name) => !OWN_PLACES.has(name) && !NOT_THE_STORES.test(name));
  const verbosity = Number(config.raw.get("verbosity") ?? VERBOSITY.info);
  return {
    keepFailed: config.keepFailed,
    keepGoing: config.keepGoing,
    fallback: config.fallback,
    verbosity: Number.isSafeInteger(verbosity) && verbosity >= 0 ? verbosity : VERBOSITY.info,
    maxJobs: config.maxJobs,
    maxSilentSeconds: config.maxSilentSeconds,
    cores: config.cores,
    substitute: config.substitute,
    named: new Map(named.sort().map((name) => [name, config.raw.get(name) ?? ""])),
  };
}

/** Whether the daemon wants to be told settings: one that serves a builder may not. */
export function takesSettings({ version }: Wire): boolean {
  return !version.features.has(FEATURE.disableSetOptions);
}
