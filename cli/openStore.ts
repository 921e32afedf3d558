import { openStore as open, resolveStoreSettings, type Store } from "../store/index.ts";
import { textOfBytes } from "../core/index.ts";
import type { ParsedFlags } from "./flags.ts";
import { settingsOf } from "./request.ts";

/** The store that the environment, `nix.conf` and the flags name. */
export function openStore(flags: ParsedFlags): Store {
  const warn = (message: string): void => void process.stderr.write(`warning: ${message}\n`);
  const settings = resolveStoreSettings(process.env, { overrides: settingsOf(flags), onWarn: warn });
  return open(settings, {
    onWait: (message) => void process.stderr.write(`${message}\n`),
    onWarn: warn,
    onEvent: (event) => {
      if (event.kind === "log") process.stderr.write(`${textOfBytes(event.line)}\n`);
    },
  });
}
