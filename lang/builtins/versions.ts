/** Splits a derivation name: the version starts after the first dash that no letter follows. */
export function parseDerivationName(text: string): { readonly name: string; readonly version: string } {
  for (let i = 0; i + 1 < text.length; i++)
    if (text.charCodeAt(i) === DASH && !isLetter(text.charCodeAt(i + 1)))
      return { name: text.slice(0, i), version: text.slice(i + 1) };
  return { name: text, version: "" };
}

/** The components of a version: runs of digits, and runs of anything else but dots and dashes. */
export function splitVersion(version: string): string[] {
  const components: string[] = [];
  for (let at = 0; ;) {
    const end = componentEnd(version, (at = skipSeparators(version, at)));
    if (end === at) return components;
    components.push(version.slice(at, end));
    at = end;
  }
}

/** @returns −1, 0 or 1, as Nix orders versions: `2.3pre` < `2.3` < `2.3.1`, and `2.3a` < `2.3.1` */
export function compareVersions(left: string, right: string): -1 | 0 | 1 {
  let i = 0;
  let j = 0;
  while (i < left.length || j < right.length) {
    i = skipSeparators(left, i);
    j = skipSeparators(right, j);
    const iEnd = componentEnd(left, i);
    const jEnd = componentEnd(right, j);
    const a = left.slice(i, iEnd);
    const b = right.slice(j, jEnd);
    if (a !== b) {
      if (isComponentLess(a, b)) return -1;
      if (isComponentLess(b, a)) return 1;
    }
    i = iEnd;
    j = jEnd;
  }
  return 0;
}

const DASH = 45;
const DOT = 46;

function skipSeparators(text: string, at: number): number {
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code !== DOT && code !== DASH) break;
  }
  return at;
}

function componentEnd(text: string, at: number): number {
  if (at >= text.length) return at;
  const isNumber = isDigit(text.charCodeAt(at));
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (isDigit(code) !== isNumber || code === DOT || code === DASH) break;
  }
  return at;
}

function isComponentLess(a: string, b: string): boolean {
  const aNumber = int32Of(a);
  const bNumber = int32Of(b);
  if (aNumber !== undefined && bNumber !== undefined) return aNumber < bNumber;
  if (a === "" && bNumber !== undefined) return true;
  if (a === "pre" && b !== "pre") return true;
  if (b === "pre") return false;
  if (bNumber !== undefined) return true;
  if (aNumber !== undefined) return false;
  return a < b;
}

/** A run of digits that fits C's `int`; larger ones compare as text, as in Nix. */
function int32Of(component: string): number | undefined {
  if (component === "" || !isDigit(component.charCodeAt(0))) return undefined;
  const value = Number(component);
  return value <= 0x7fffffff ? value : undefined;
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

function isLetter(code: number): boolean {
  return (code >= 65 && code <= 90) || (code >= 97 && code <= 122);
}
