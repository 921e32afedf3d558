import { IDENTIFIER, KEYWORDS, LONGEST_KEYWORD, type TokenKind } from "./token.ts";

/**
 * The words met last, each at the place its hash says: a word that is repeated is one string, which saves making it,
 * asking whether it is a keyword, and hashing it again when its variable is looked for. A cache, so that no text can
 * make it grow.
 */
const SLOTS = 1 << 12;
const texts: string[] = new Array<string>(SLOTS).fill("");
const kinds = new Uint8Array(SLOTS);

/** @returns where `wordAt` and `kindAt` find the word from `start` to `end`, until another takes its place */
export function slotOfWord(
  text: string,
  bytes: Uint8Array,
  start: number,
  end: number,
  hash: number,
): number {
  const slot = (hash ^ (hash >>> 12)) & (SLOTS - 1);
  const known = texts[slot]!;
  const length = end - start;
  if (known.length === length) {
    let i = 0;
    while (i < length && known.charCodeAt(i) === bytes[start + i]) i++;
    if (i === length) return slot;
  }
  const word = text.slice(start, end);
  texts[slot] = word;
  kinds[slot] = (length <= LONGEST_KEYWORD ? KEYWORDS.get(word) : undefined) ?? IDENTIFIER;
  return slot;
}

export function wordAt(slot: number): string {
  return texts[slot]!;
}

export function kindAt(slot: number): TokenKind {
  return kinds[slot]!;
}
