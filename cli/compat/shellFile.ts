import { existsSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { DevshellError, bytesOfText } from "../../core/index.ts";
import type { CommonFlags } from "./commandLine.ts";
import { say } from "./output.ts";

const SETTING = "nix-shell-always-looks-for-shell-nix";

/** @throws {DevshellError} `CLI_NO_SHELL_FILE` where nix-shell, without words, has nothing to read */
export function requireShellFile(): void {
  if (existsSync("shell.nix") || existsSync("default.nix")) return;
  throw new DevshellError(
    "CLI_NO_SHELL_FILE",
    "no argument specified and no 'shell.nix' or 'default.nix' file found in the working directory",
  );
}

/**
 * The file that nix-shell reads for a word: of a directory, also one of the search path, its `shell.nix`, else its
 * `default.nix`. Other words stay.
 * @throws {DevshellError} `CLI_NO_SHELL_FILE` where a directory has neither
 */
export async function shellFileOf(word: string, flags: CommonFlags): Promise<string> {
  const entry = /^<([^<>]+)>$/.exec(word)?.[1];
  const place = entry === undefined ? word : findEntry(entry, flags.includes);
  if (place === undefined || !isDirectory(place)) return word;
  const file = join(place, "shell.nix");
  if (existsSync(file)) {
    if (await looksForShellFile(flags)) return file;
    say(
      bytesOfText(
        `warning: Skipping '${resolve(file)}', because the setting '${SETTING}' is disabled. This is a deprecated behavior. Consider enabling '${SETTING}'.`,
      ),
    );
  }
  const other = join(place, "default.nix");
  if (existsSync(other)) return other;
  throw new DevshellError(
    "CLI_NO_SHELL_FILE",
    `neither 'shell.nix' nor 'default.nix' found in '${resolve(place)}'`,
  );
}

/** Where an element of the search path lies on this machine; `undefined` where only evaluation finds out. */
function findEntry(name: string, includes: readonly string[]): string | undefined {
  for (const element of [...includes, ...variableElements()]) {
    const at = element.indexOf("=");
    const prefix = at < 0 ? "" : element.slice(0, at);
    const value = element.slice(at + 1);
    const rest = prefix === "" ? name : restAfter(name, prefix);
    if (rest === undefined) continue;
    // Not a file of this machine: it may hold what is looked for, so nothing after it counts.
    if (/^[a-z][a-z0-9+.-]*:/.test(value)) return undefined;
    const place = rest === "" ? value : join(value, rest);
    if (existsSync(place)) return place;
  }
  return undefined;
}

function restAfter(name: string, prefix: string): string | undefined {
  if (name === prefix) return "";
  return name.startsWith(`${prefix}/`) ? name.slice(prefix.length + 1) : undefined;
}

/** `NIX_PATH`, whose elements may be URLs with colons of their own. */
function variableElements(): string[] {
  return (process.env["NIX_PATH"] ?? "").split(/:(?!\/\/)/).filter((element) => element !== "");
}

async function looksForShellFile({ settings }: CommonFlags): Promise<boolean> {
  const { resolveStoreSettings } = await import("../../store/index.ts");
  const { raw } = resolveStoreSettings(process.env, { overrides: settings }).config;
  return raw.get(SETTING) !== "false";
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
