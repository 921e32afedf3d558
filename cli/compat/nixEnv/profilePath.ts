import { lstatSync, readlinkSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { bytesOfText } from "../../../core/index.ts";
import { homeDirectory, stateHome, usesXdg } from "../../../env/index.ts";
import { makeDirectories, replaceSymlink, type StoreSettings } from "../../../store/index.ts";

/** The profile in use: `-p`, `NIX_PROFILE`, or where the user's link points. Nothing is made. */
export function profileInUse(given: string | undefined, settings: StoreSettings): string {
  return namedProfile(given ?? process.env["NIX_PROFILE"]) ?? linkedProfile(userProfileLink(settings));
}

/** As {@link profileInUse}; a user's first profile gets its place and the link to it, as Nix would make them. */
export function profileToChange(given: string | undefined, settings: StoreSettings): string {
  return namedProfile(given ?? process.env["NIX_PROFILE"]) ?? defaultProfile(settings);
}

/** Where the link in the user's home directory leads; profile and link are made where they are missing. */
export function defaultProfile(settings: StoreSettings): string {
  const link = userProfileLink(settings);
  const profile = join(profilesDirectory(settings), "profile");
  makeDirectories(bytesOfText(dirname(profile)));
  if (!isThere(link)) replaceSymlink(bytesOfText(link), bytesOfText(profile));
  // Where NixOS and its like look for root's.
  const shared = join(settings.stateDir, "profiles/default");
  if (isRoot() && !isThere(shared)) replaceSymlink(bytesOfText(shared), bytesOfText(profile));
  return linkedProfile(link);
}

/** The symlink in the home directory that tells which profile a user's shells have on `PATH`. */
export function userProfileLink(settings: StoreSettings): string {
  return usesXdg(settings.config.raw) ? join(stateHome(), "profile") : join(homeDirectory(), ".nix-profile");
}

/** Where this user's profiles and all users' are. */
export function profileDirectories({ stateDir }: StoreSettings): readonly string[] {
  return [join(stateDir, "profiles"), join(stateHome(), "profiles")];
}

/** A profile that was named, as a whole path. */
export function namedProfile(given: string | undefined): string | undefined {
  return given === undefined || given === "" ? undefined : resolve(given);
}

function linkedProfile(link: string): string {
  try {
    return resolve(dirname(link), readlinkSync(link));
  } catch {
    return link;
  }
}

/** Also a link to a profile that has no generation yet. */
function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** Where this user's profiles lie. */
export function profilesDirectory({ stateDir }: StoreSettings): string {
  return isRoot() ? join(stateDir, "profiles/per-user/root") : join(stateHome(), "profiles");
}

function isRoot(): boolean {
  return process.geteuid?.() === 0;
}
