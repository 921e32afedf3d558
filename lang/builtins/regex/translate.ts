import { firstBytes, isNullable } from "./program.ts";
import type { ByteSet, ParsedRegex, RegexNode } from "./syntax.ts";

/** A JavaScript expression that provably gives the same captures. */
export interface TranslatedRegex {
  readonly source: string;
  /** At most this many steps for a text of `n` bytes: `choices × (n + 1) ** loops`. */
  readonly choices: number;
  readonly loops: number;
}

/**
 * Translates where JavaScript's backtracking is provably the same and its cost can be bounded beforehand:
 * - a repeated body has no choice inside but between alternatives that start differently, cannot be empty, and holds
 *   no group inside an alternative (JavaScript forgets a group's capture in the next round, libstdc++ does not);
 * - an optional body cannot be empty (JavaScript skips it, libstdc++ enters it);
 * - a search has no alternatives that start alike (libstdc++ takes the longest, JavaScript the first) and no `^`.
 * A whole match has one length, so there both take the first way in the same order.
 */
export function translateRegex({ root }: ParsedRegex, isSearch: boolean): TranslatedRegex | undefined {
  const nullable = new Map<RegexNode, boolean>();
  let choices = 1;
  let loops = 0;

  const isPlain = (node: RegexNode, isRepeated: boolean, isAlternative: boolean): boolean => {
    switch (node.kind) {
      case "empty":
      case "set":
      case "eol":
        return true;
      case "bol":
        return !isSearch;
      case "group":
        return !isAlternative && isPlain(node.body, isRepeated, isAlternative);
      case "sequence":
        return node.items.every((item) => isPlain(item, isRepeated, isAlternative));
      case "alternatives": {
        const startsDiffer =
          !isNullable(node.left, nullable) &&
          !isNullable(node.right, nullable) &&
          areDisjoint(firstBytes(node.left, nullable), firstBytes(node.right, nullable));
        if (!startsDiffer) {
          if (isSearch || isRepeated) return false;
          choices *= 2;
        }
        return isPlain(node.left, isRepeated, isRepeated) && isPlain(node.right, isRepeated, isRepeated);
      }
      case "repeat": {
        const { body, min, max } = node;
        if (isNullable(body, nullable)) return false;
        if (min === max) return max < 1000 && isPlain(body, isRepeated || max > 1, isAlternative);
        if (isRepeated) return false;
        if (max === 1) choices *= 2;
        else loops++;
        return (max === Infinity || max < 1000) && isPlain(body, max > 1, false);
      }
    }
  };
  if (!isPlain(root, false, false) || choices > 1024 || loops > 6) return undefined;
  return { source: sourceOf(root), choices, loops };
}

function sourceOf(node: RegexNode): string {
  switch (node.kind) {
    case "empty":
      return "(?:)";
    case "set":
      return setSource(node.set);
    case "bol":
      return "^";
    case "eol":
      return "$";
    case "group":
      return `(${sourceOf(node.body)})`;
    case "sequence":
      return node.items
        .map((item) => (item.kind === "alternatives" ? `(?:${sourceOf(item)})` : sourceOf(item)))
        .join("");
    case "alternatives":
      return `${sourceOf(node.left)}|${sourceOf(node.right)}`;
    case "repeat": {
      const { body, min, max } = node;
      const atom = body.kind === "set" || body.kind === "group" ? sourceOf(body) : `(?:${sourceOf(body)})`;
      if (max === Infinity) return `${atom}{${min},}`;
      return `${atom}{${min},${max}}`;
    }
  }
}

function setSource(set: ByteSet): string {
  const count = set.reduce((sum, flag) => sum + flag, 0);
  if (count === 1) return byteSource(set.indexOf(1));
  let source = "";
  for (let low = 0; low < 256; low++) {
    if (set[low] === 0) continue;
    let high = low;
    while (high < 255 && set[high + 1] === 1) high++;
    source += low === high ? byteSource(low) : `${byteSource(low)}-${byteSource(high)}`;
    low = high;
  }
  return `[${source}]`;
}

function byteSource(byte: number): string {
  const char = String.fromCharCode(byte);
  return /[0-9A-Za-z]/.test(char) ? char : `\\x${byte.toString(16).padStart(2, "0")}`;
}

function areDisjoint(a: ByteSet, b: ByteSet): boolean {
  for (let byte = 0; byte < 256; byte++) if ((a[byte]! & b[byte]!) === 1) return false;
  return true;
}
