import type { ByteString } from "./byteString.ts";

/** Longest name of a store object, after the digest and its dash. */
const MAX_NAME_LENGTH = 211;

const DOT = 0x2e;
const NAME = /^[0-9A-Za-z+\-._?=]+$/;

/** Why a store object cannot have this name, worded as Nix does; `undefined` when it can. */
export function nameProblem(name: ByteString): string | undefined {
  if (name.length <= MAX_NAME_LENGTH && name.charCodeAt(0) !== DOT && NAME.test(name)) return undefined;
  if (name === "") return "name must not be empty";
  if (name.length > MAX_NAME_LENGTH)
    return `name '${name}' must be no longer than ${MAX_NAME_LENGTH} characters`;
  if (name === "." || name === "..") return `name '${name}' is not valid`;
  for (const dots of [".", ".."])
    if (name.startsWith(`${dots}-`))
      return `name '${name}' is not valid: first dash-separated component must not be '${dots}'`;
  const illegal = /[^0-9a-zA-Z+\-._?=]/.exec(name);
  return illegal === null ? undefined : `name '${name}' contains illegal character '${illegal[0]}'`;
}
