import { bytesOfText } from "../../core/index.ts";

/** As C's `%g`: six significant digits. */
export function formatFloat(value: number): string {
  if (Number.isNaN(value)) return Object.is(value, -NaN) ? "-nan" : "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  const [digits = "0", exponentText = "0"] = value.toExponential(5).split("e");
  const exponent = Number(exponentText);
  if (exponent < -4 || exponent >= 6) {
    const mantissa = digits.includes(".") ? digits.replace(/\.?0+$/, "") : digits;
    const sign = exponent < 0 ? "-" : "+";
    return `${mantissa}e${sign}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  const fixed = value.toFixed(Math.max(0, 5 - exponent));
  return fixed.includes(".") ? fixed.replace(/\.?0+$/, "") : fixed;
}

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
