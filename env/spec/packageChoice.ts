import type { PackageChoice } from "../types.ts";

/** Splits `name@version`. */
export function parsePackageChoice(text: string): PackageChoice {
  const at = text.indexOf("@", 1);
  return at < 0 ? { name: text } : { name: text.slice(0, at), version: text.slice(at + 1) };
}
