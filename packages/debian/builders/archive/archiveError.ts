import { DevshellError } from "../../../../core/index.ts";

/** A damaged or hostile archive: says what was found, the caller adds which file. */
export function archiveError(what: string): DevshellError {
  return new DevshellError("DEBIAN_ARCHIVE_INVALID", `Cannot unpack: ${what}`, {
    hint: "the package file is damaged or not made by Debian's tools",
  });
}

/** Quotes a byte string for a message: bounded, control characters escaped. */
export function show(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}
