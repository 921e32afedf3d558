import { homedir } from "node:os";
import { join } from "node:path";

/** The user's home directory. */
export function homeDirectory(): string {
  return process.env["HOME"] ?? homedir();
}

/** Nix's directory for a user's lasting state. */
export function stateHome(): string {
  return (
    process.env["NIX_STATE_HOME"] ??
    join(process.env["XDG_STATE_HOME"] ?? join(homeDirectory(), ".local/state"), "nix")
  );
}

/** The variables that decide about {@link stateHome}. */
export const STATE_VARIABLES = ["NIX_STATE_HOME", "XDG_STATE_HOME", "HOME"];

/** Whether a user's files of Nix's lie together in {@link stateHome}, not each in the home directory. */
export function usesXdg(raw: ReadonlyMap<string, string>): boolean {
  return raw.get("use-xdg-base-directories") === "true";
}

/** The user's own expressions, which `nix-env` looks in: among them the channels, which `<…>` finds, too. */
export function userExpressions(raw: ReadonlyMap<string, string>): string {
  return usesXdg(raw) ? join(stateHome(), "defexpr") : join(homeDirectory(), ".nix-defexpr");
}
