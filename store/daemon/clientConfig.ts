import { DevshellError } from "../../core/index.ts";
import type { ClientSettings } from "../protocol/clientSettings.ts";
import { changeConfig } from "../settings.ts";
import type { StoreConfig } from "../types.ts";

/** What any user may choose. */
const HARMLESS = new Set([
  "timeout",
  "build-timeout",
  "max-silent-time",
  "build-poll-interval",
  "connect-timeout",
]);
const SUBSTITUTER_NAMES = new Set(["substituters", "binary-caches"]);
/** Of these the daemon's own are in force, whoever asks. */
const OWN = new Set([
  "ssh-auth-sock",
  "experimental-features",
  "plugin-files",
  "trusted-users",
  "allowed-users",
]);
const MAX_NUMBER = 999_999_999;

/**
 * The daemon's settings as a client may change them: a trusted one all, others what concerns only their own builds,
 * and among the substituters those that the daemon's own settings name.
 */
export function clientConfig(
  config: StoreConfig,
  options: ClientSettings,
  { isTrusted, warn }: { readonly isTrusted: boolean; readonly warn: (text: string) => void },
): StoreConfig {
  const number = (value: number): string => String(Math.min(value, MAX_NUMBER));
  let changed = changeConfig(config, [
    ["keep-failed", String(options.keepFailed)],
    ["keep-going", String(options.keepGoing)],
    ["fallback", String(options.fallback)],
    ["max-jobs", number(options.maxJobs)],
    ["max-silent-time", number(options.maxSilentSeconds)],
    ["cores", number(options.cores)],
    ["substitute", String(options.substitute)],
  ]);
  for (const [name, value] of options.named) {
    if (OWN.has(name)) continue;
    let allowed: string | undefined;
    if (isTrusted || HARMLESS.has(name) || (name === "builders" && value === "")) allowed = value;
    else if (SUBSTITUTER_NAMES.has(name)) allowed = allowedSubstituters(config, value, warn);
    else if (config.raw.get(name) !== value)
      warn(
        `ignoring the client-specified setting '${name}', because it is a restricted setting and you are not a trusted user`,
      );
    if (allowed === undefined) continue;
    try {
      changed = changeConfig(changed, [[name, allowed]]);
    } catch (error) {
      if (!(error instanceof DevshellError)) throw error;
      warn(error.message);
    }
  }
  return changed;
}

function allowedSubstituters(config: StoreConfig, value: string, warn: (text: string) => void): string {
  const trusted = new Set([...config.substituters, ...words(config.raw.get("trusted-substituters") ?? "")]);
  return words(value)
    .filter((url) => {
      const isAllowed = trusted.has(url) || trusted.has(`${url}/`) || trusted.has(url.replace(/\/$/, ""));
      if (!isAllowed)
        warn(
          `ignoring untrusted substituter '${url}', you are not a trusted user.\n` +
            "Run `man nix.conf` for more information on the `substituters` configuration option.",
        );
      return isAllowed;
    })
    .join(" ");
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}
