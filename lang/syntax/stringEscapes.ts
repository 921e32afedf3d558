/** Resolves backslash escapes; CR and CR LF that are not escaped become LF. */
export function unescape(raw: string): string {
  return raw.replace(/\\([^])|\r\n?/g, (_match: string, escaped: string | undefined) => {
    if (escaped === undefined) return "\n";
    return escaped === "n" ? "\n" : escaped === "r" ? "\r" : escaped === "t" ? "\t" : escaped;
  });
}
