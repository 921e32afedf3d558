import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { DevshellError, textOfBytes } from "../../core/index.ts";
import type { Flake, FlakeSetting } from "../../lang/index.ts";

export interface SettingsTrust {
  /** `accept-flake-config`. */
  readonly acceptsAll: boolean;
  /** Asks the user a yes-or-no question; without it, the answer is no. */
  readonly ask?: ((question: string) => boolean) | undefined;
  readonly warn: (message: string) => void;
}

/** What any flake may set. */
const HARMLESS = new Set([
  "bash-prompt",
  "bash-prompt-prefix",
  "bash-prompt-suffix",
  "commit-lock-file-summary",
  "commit-lockfile-summary",
  "flake-registry",
]);

/** Setting → value → whether the user trusts it, for good. */
type TrustedValues = Map<string, Map<string, boolean>>;

/**
 * The settings of a flake's `nixConfig` that may take force: harmless ones, and those that the user trusts.
 * @throws {DevshellError} `FLAKE_SETTINGS` where what the user trusts cannot be read
 */
export function acceptedSettings({ settings }: Flake, trust: SettingsTrust): Map<string, string> {
  const accepted = new Map<string, string>();
  for (const [name, setting] of settings) {
    const value = textOfBytes(valueOf(setting));
    if (HARMLESS.has(name.replace(/^extra-/, "")) || trust.acceptsAll || isTrusted(name, value, trust))
      accepted.set(name, value);
    else
      trust.warn(
        `ignoring untrusted flake configuration setting '${name}'.\nPass '--accept-flake-config' to trust it`,
      );
  }
  return accepted;
}

function valueOf(setting: FlakeSetting): string {
  return typeof setting === "object" ? setting.join(" ") : String(setting);
}

function isTrusted(name: string, value: string, { ask }: SettingsTrust): boolean {
  const known = readTrusted();
  const saved = known.get(name)?.get(value);
  if (saved !== undefined) return saved;
  if (ask === undefined) return false;
  const isAllowed = ask(
    `do you want to allow configuration setting '${name}' to be set to '${printable(value)}'`,
  );
  const verdict = isAllowed ? "trusted" : "untrusted";
  if (ask(`do you want to permanently mark this value as ${verdict}`)) {
    known.set(name, (known.get(name) ?? new Map<string, boolean>()).set(value, isAllowed));
    writeTrusted(known);
  }
  return isAllowed;
}

/** What a flake says must not move the cursor or hide what is asked. */
function printable(value: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are what is taken out
  return value.replace(/[\x00-\x1F\x7F-\x9F]/g, "?");
}

function trustedFile(): string {
  const data = process.env["XDG_DATA_HOME"] || join(process.env["HOME"] || homedir(), ".local/share");
  return join(data, "nix/trusted-settings.json");
}

function readTrusted(): TrustedValues {
  const file = trustedFile();
  const trusted: TrustedValues = new Map();
  if (!existsSync(file)) return trusted;
  const fail = (cause?: unknown): DevshellError =>
    new DevshellError("FLAKE_SETTINGS", `Cannot read "${file}": it is no list of trusted settings`, {
      cause,
    });
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(file, "utf8"));
  } catch (cause) {
    throw fail(cause);
  }
  if (typeof json !== "object" || json === null) throw fail();
  for (const [name, values] of Object.entries(json)) {
    if (typeof values !== "object" || values === null) throw fail();
    const known = new Map<string, boolean>();
    for (const [value, isAllowed] of Object.entries(values as object)) known.set(value, isAllowed === true);
    trusted.set(name, known);
  }
  return trusted;
}

function writeTrusted(trusted: TrustedValues): void {
  const file = trustedFile();
  mkdirSync(dirname(file), { recursive: true });
  const json = Object.fromEntries([...trusted].map(([name, values]) => [name, Object.fromEntries(values)]));
  writeFileSync(`${file}.${process.pid}`, JSON.stringify(json));
  renameSync(`${file}.${process.pid}`, file);
}
