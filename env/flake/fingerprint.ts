import { formatHash, hashBytes } from "../../core/index.ts";
import { isLockedReference, printLockFile, type LockedFlake } from "../../lang/index.ts";

/**
 * A hash that says whether evaluating a locked flake can give anything new, as Nix computes it.
 * @returns `undefined` where the flake's tree is not pinned
 */
export function fingerprintOf({ flake, lock }: LockedFlake): string | undefined {
  const { attributes, dir } = flake.locked;
  if (!isLockedReference(flake.locked)) return undefined;
  const type = String(attributes.get("type"));
  const rev = attributes.get("rev");
  const narHash = attributes.get("narHash");
  const isByHash = type === "path" || type === "tarball" || type === "file";
  const tree = isByHash ? (narHash ?? rev) : (rev ?? narHash);
  const flags = (["submodules", "exportIgnore", "lfs"] as const)
    .filter((name) => type === "git" && attributes.get(name) === true)
    .map((name) => `;${name.charAt(0)}`);
  const parts = [`${type}:${String(tree)}${flags.join("")}`, dir, printLockFile(lock).trimEnd()];
  for (const name of ["revCount", "lastModified"]) {
    const value = attributes.get(name);
    if (value !== undefined) parts.push(`${name}=${String(value)}`);
  }
  return formatHash(hashBytes("sha256", parts.join(";")), "base16");
}
