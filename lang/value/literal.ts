import { bytesOfText } from "../../core/index.ts";
import { claimWords } from "./heap.ts";
export { formatFloat } from "../print/floats.ts";

const KEYWORDS = new Set(["if", "then", "else", "assert", "with", "let", "in", "rec", "inherit"]);
const LONGEST_KEYWORD = 7;
const MAY_BEGIN_KEYWORD = new Uint8Array(256);
for (const keyword of KEYWORDS) MAY_BEGIN_KEYWORD[keyword.charCodeAt(0)] = 1;

/** An attribute's name as it would have to be written. */
export function quoteAttrName(name: string): string {
  return isIdentifier(name) && !isKeyword(name) ? name : quoteString(name);
}

function isKeyword(name: string): boolean {
  return name.length <= LONGEST_KEYWORD && MAY_BEGIN_KEYWORD[name.charCodeAt(0)] === 1 && KEYWORDS.has(name);
}

/** `[A-Za-z_][A-Za-z0-9_'-]*`, by hand: a third of the time of the expression, and printing asks for every name. */
function isIdentifier(name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    // a letter of either case, or _
    if (((code | 32) >= 97 && (code | 32) <= 122 && code < 128) || code === 95) continue;
    // a digit, ' or -
    if (i > 0 && ((code >= 48 && code <= 57) || code === 39 || code === 45)) continue;
    return false;
  }
  return name !== "";
}

/** A string literal of the language; what is cut off is counted. */
export function quoteString(text: string, maxLength = Number.MAX_SAFE_INTEGER): string {
  const shown = text.length > maxLength ? text.slice(0, maxLength) : text;
  const rest = text.length - shown.length;
  return rest === 0
    ? `"${escapeString(shown)}"`
    : `"${escapeString(shown)}" ${bytesOfText(`«${rest} byte${rest === 1 ? "" : "s"} elided»`)}`;
}

/** Backslashes before quotes, backslashes, line ends, tabs and what would begin an interpolation. */
function escapeString(text: string): string {
  // Made one piece of, escaped, put between quotes.
  if (text.length > LONG_TEXT) claimWords((text.length * 3) / 8);
  if (!ESCAPED.test(text)) return text;
  // JSON's escapes are the same but for other control characters; its native code is ten times as fast as a loop here.
  const escaped = CONTROL.test(text)
    ? text.replace(/["\\\n\r\t]/g, escapeCharacter)
    : JSON.stringify(text).slice(1, -1);
  return escaped.includes("${") ? escaped.replaceAll("${", "\\${") : escaped;
}

const LONG_TEXT = 1 << 16;

// oxlint-disable-next-line no-control-regex
const ESCAPED = /[\0-\x1f"\\$]/;
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\0-\x08\x0b\x0c\x0e-\x1f]/;

function escapeCharacter(char: string): string {
  return ESCAPES[char] ?? `\\${char}`;
}

const ESCAPES: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
