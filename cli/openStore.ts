import { LocalStore, resolveStoreSettings } from "../store/index.ts";
import type { ParsedFlags } from "./flags.ts";
import { settingsOf } from "./request.ts";

/** The store that the environment, `nix.conf` and the flags name. */
export function openStore(flags: ParsedFlags): LocalStore {
  const warn = (message: string): void => void process.stderr.write(`warning: ${message}\n`);
  const settings = resolveStoreSettings(process.env, { overrides: settingsOf(flags), onWarn: warn });
  return LocalStore.open(settings, {
    onWait: (message) => void process.stderr.write(`${message}\n`),
    onWarn: warn,
  });
}
