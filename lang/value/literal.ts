import { bytesOfText } from "../../core/index.ts";
export { formatFloat } from "../print/floats.ts";

const KEYWORDS = new Set(["if", "then", "else", "assert", "with", "let", "in", "rec", "inherit"]);
const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_'-]*$/;

/** An attribute's name as it would have to be written. */
export function quoteAttrName(name: string): string {
  return IDENTIFIER.test(name) && !KEYWORDS.has(name) ? name : quoteString(name);
}

/** A string literal of the language; what is cut off is counted. */
export function quoteString(text: string, maxLength = Number.MAX_SAFE_INTEGER): string {
  const shown = text.length > maxLength ? text.slice(0, maxLength) : text;
  const escaped = shown.replace(/["\\\n\r\t]|\$(?=\{)/g, (char) => ESCAPES[char] ?? `\\${char}`);
  const rest = text.length - shown.length;
  return rest === 0
    ? `"${escaped}"`
    : `"${escaped}" ${bytesOfText(`«${rest} byte${rest === 1 ? "" : "s"} elided»`)}`;
}

const ESCAPES: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
