import { nameProblem, type ByteString } from "../../core/index.ts";

const HASH_LENGTH = 32;

/** Why a name in the store directory is none of a store object, worded as Nix does. */
export function storePathProblem(base: ByteString): string | undefined {
  if (base.length <= HASH_LENGTH) return `'${base}' is too short to be a valid store path`;
  if (base[HASH_LENGTH] !== "-")
    return `'${base}' can't name a store path because the hash part is not followed by a '-'`;
  const illegal = /[^0-9abcdfghijklmnpqrsvwxyz]/.exec(base.slice(0, HASH_LENGTH));
  if (illegal !== null) return `store path '${base}' contains illegal base-32 character '${illegal[0]}'`;
  const problem = nameProblem(base.slice(HASH_LENGTH + 1));
  return problem === undefined ? undefined : `path '${base}' is not a valid store path: ${problem}`;
}

/** Whether a path is that of a store object itself: `<storeDir>/<hash>-<name>`. */
export function isStorePath(storeDir: ByteString, path: ByteString): boolean {
  return storeObjectOf(storeDir, path) === path;
}

/** The store object a path lies in (or is); `undefined` outside the store. */
export function storeObjectOf(storeDir: ByteString, path: ByteString): ByteString | undefined {
  if (!path.startsWith(`${storeDir}/`)) return undefined;
  const start = storeDir.length + 1;
  const slash = path.indexOf("/", start);
  const object = slash < 0 ? path : path.slice(0, slash);
  const base = object.slice(start);
  if (!/^[0-9abcdfghijklmnpqrsvwxyz]{32}-/.test(base)) return undefined;
  return nameProblem(base.slice(HASH_LENGTH + 1)) === undefined ? object : undefined;
}

/** Whether a path lies inside the store directory. */
export function isInStore(storeDir: ByteString, path: ByteString): boolean {
  return path.startsWith(`${storeDir}/`) && path.length > storeDir.length + 1;
}
