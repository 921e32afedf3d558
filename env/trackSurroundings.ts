import { accessSync, constants } from "node:fs";
import { bytesOfText, fsPath, type ByteString } from "../core/index.ts";
import { socketPathOf, type StoreSettings } from "../store/index.ts";
import { statOf, typeOf, type InputTracker } from "./inputTracker.ts";

/** Variables that decide where things are and what they mean, whether or not an evaluation asks for them. */
const DECIDING_VARIABLES = [
  "HOME",
  "NIX_BUILD_SHELL",
  "NIX_CONFIG",
  "NIX_CONF_DIR",
  "NIX_ABORT_ON_WARN",
  "NIX_DAEMON_SOCKET_PATH",
  "NIX_LOG_DIR",
  "NIX_PATH",
  "NIX_REMOTE",
  "NIX_STATE_DIR",
  "NIX_STORE",
  "NIX_STORE_DIR",
  "NIX_USER_CONF_FILES",
  "XDG_CONFIG_DIRS",
  "XDG_CONFIG_HOME",
  "XDG_DATA_HOME",
  "DEVSHELL_APT_DIR",
  "DEVSHELL_DEBIAN_KEYRING",
  "DEVSHELL_DEBIAN_MIRROR",
  "DEVSHELL_DEBIAN_VALID_UNTIL",
];

/**
 * Records what decides about every evaluation, before anything is evaluated: variables, configuration, where the store
 * is.
 */
export function trackSurroundings(
  tracker: InputTracker,
  settings: StoreSettings,
  configFiles: readonly string[],
): void {
  for (const name of DECIDING_VARIABLES) tracker.variable(name, bytesOfVariable(name));
  if (process.env["HOME"] === undefined) tracker.impure("the home directory of the user database");
  for (const path of configFiles) trackConfiguration(tracker, bytesOfText(path));
  trackPlaceOfStore(tracker, settings);
}

function trackConfiguration(tracker: InputTracker, path: ByteString): void {
  let found: ReturnType<InputTracker["followLinks"]>;
  try {
    found = tracker.followLinks(path);
  } catch {
    // In a directory of somebody else's, say; then it counts for nothing.
    return tracker.impure(`"${path}", which cannot be looked at`);
  }
  const [end, stat] = found;
  if (stat?.isFile() === true && isReadable(end)) tracker.file(end);
  else tracker.type(end, stat === undefined ? undefined : typeOf(stat));
}

function isReadable(path: ByteString): boolean {
  try {
    accessSync(fsPath(path), constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** Where nothing names the store, it is where directories can be written. */
function trackPlaceOfStore(tracker: InputTracker, { rung, storeDir, stateDir, daemon }: StoreSettings): void {
  if (rung === "prefix" || daemon?.isFound === true) {
    const socket = bytesOfText(socketPathOf(process.env, process.env["NIX_STATE_DIR"] || "/nix/var/nix"));
    const stat = statOf(socket);
    tracker.type(socket, stat === undefined ? undefined : typeOf(stat));
  }
  if (rung !== "system" && rung !== "prefix") return;
  const usualState = bytesOfVariable("NIX_STATE_DIR") || "/nix/var/nix";
  for (const directory of new Set([bytesOfText("/nix/store"), usualState, storeDir, stateDir]))
    for (let at = directory; ; at = at.slice(0, at.lastIndexOf("/")) || "/") {
      const stat = statOf(at);
      if (stat !== undefined) tracker.access(at);
      tracker.type(at, stat === undefined ? undefined : typeOf(stat));
      if (stat !== undefined || at === "/") break;
    }
}

function bytesOfVariable(name: string): ByteString | undefined {
  const value = process.env[name];
  return value === undefined ? undefined : bytesOfText(value);
}
