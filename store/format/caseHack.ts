import { DevshellError, type ByteString } from "../../core/index.ts";

/** Begins what Nix appends, with a number, to names that a file system which ignores case would take for another's. */
export const CASE_HACK_SUFFIX = "~nix~case~hack~";

export interface CaseHackable {
  readonly name: ByteString;
}

/**
 * Entries of a directory as an archive names them, by byte.
 * @throws {DevshellError} `NAR_CASE_COLLISION` where two have the same name then
 */
export function withoutCaseHack<Entry extends CaseHackable>(
  directory: ByteString,
  entries: readonly Entry[],
): readonly (Entry & { readonly fileName: ByteString })[] {
  const files = new Map<ByteString, Entry & { readonly fileName: ByteString }>();
  for (const entry of entries) {
    const at = entry.name.indexOf(CASE_HACK_SUFFIX);
    const name = at < 0 ? entry.name : entry.name.slice(0, at);
    const other = files.get(name);
    if (other !== undefined)
      throw new DevshellError(
        "NAR_CASE_COLLISION",
        `file name collision between '${directory}/${other.fileName}' and '${directory}/${entry.name}'`,
      );
    files.set(name, { ...entry, name, fileName: entry.name });
  }
  return [...files.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}
