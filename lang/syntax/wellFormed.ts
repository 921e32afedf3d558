import { CLASSES, ID_PART, ID_START, INDENTED_STOP, PATH_CHAR, STRING_STOP, URI_CHAR } from "./characters.ts";

// Tells of most expressions that they are well-formed, without making anything: the definitions of a package collection
// are then parsed when they are asked for (deferred.ts). What is rare here (functions, `let`, comparisons, quoted and
// dynamic names, names that are defined twice) is left to the parser, which also words all errors: each function gives
// where its part of the grammar ends, or `NOT_TOLD`, where no text has what is asked for next. The bytes end with zeros,
// which nothing here goes past.

/** No part ends at the beginning of a text. */
export const NOT_TOLD = 0;

/** Deeper ones are left to the parser. */
const MOST_LEVELS = 32;
/** Names of one set, which are all compared. */
const MOST_NAMES = 64;
const MOST_DIGITS = 15;

const TAB = 9;
const NEWLINE = 10;
const SPACE = 32;
const QUOTE = 34;
const HASH = 35;
const DOLLAR = 36;
const APOSTROPHE = 39;
const PAREN_OPEN = 40;
const PAREN_CLOSE = 41;
const STAR = 42;
const PLUS = 43;
const DOT = 46;
const SLASH = 47;
const COLON = 58;
const SEMICOLON = 59;
export const EQUALS = 61;
const BRACKET_OPEN = 91;
const BACKSLASH = 92;
const BRACKET_CLOSE = 93;
const BRACE_OPEN = 123;
const BRACE_CLOSE = 125;

/**
 * The value of `name = value;`, which is neither a set, since another one may be merged into that, nor a function, which
 * would be called by the name.
 * @param at where it starts
 * @returns where the semicolon is
 */
export function endOfValue(bytes: Uint8Array, at: number): number {
  const code = bytes[at]!;
  if (code === BRACE_OPEN || code === PAREN_OPEN || isWord(bytes, at, "rec")) return NOT_TOLD;
  const end = skipBlank(bytes, endOfExpression(bytes, at, 0));
  return bytes[end] === SEMICOLON ? end : NOT_TOLD;
}

/** What is neither a blank nor of a comment; what was not told stays so. */
export function skipBlank(bytes: Uint8Array, from: number): number {
  if (from === NOT_TOLD) return NOT_TOLD;
  let at = from;
  for (;;) {
    const code = bytes[at];
    if (code === SPACE || code === NEWLINE || code === TAB) at++;
    else if (code === HASH) {
      while (bytes[at] !== NEWLINE && bytes[at] !== 0) at++;
    } else if (code === SLASH && bytes[at + 1] === STAR) {
      at += 2;
      while (bytes[at] !== 0 && (bytes[at] !== STAR || bytes[at + 1] !== SLASH)) at++;
      if (bytes[at] === 0) return at;
      at += 2;
    } else return at;
  }
}

function endOfExpression(bytes: Uint8Array, from: number, level: number): number {
  if (level > MOST_LEVELS) return NOT_TOLD;
  const at = skipBlank(bytes, from);
  if (isWord(bytes, at, "with")) {
    const end = skipBlank(bytes, endOfExpression(bytes, at + 4, level + 1));
    return bytes[end] === SEMICOLON ? endOfExpression(bytes, end + 1, level + 1) : NOT_TOLD;
  }
  if (isWord(bytes, at, "if")) {
    const then = skipBlank(bytes, endOfExpression(bytes, at + 2, level + 1));
    if (!isWord(bytes, then, "then")) return NOT_TOLD;
    const otherwise = skipBlank(bytes, endOfExpression(bytes, then + 4, level + 1));
    return isWord(bytes, otherwise, "else") ? endOfExpression(bytes, otherwise + 4, level + 1) : NOT_TOLD;
  }
  return endOfOperators(bytes, at, level);
}

/** Operands with `++`, `//` and `+` between them, none of which asks for parentheses. */
function endOfOperators(bytes: Uint8Array, from: number, level: number): number {
  let end = endOfApplication(bytes, from, level);
  while (end !== NOT_TOLD) {
    const at = skipBlank(bytes, end);
    const code = bytes[at]!;
    const following = bytes[at + 1]!;
    let next: number;
    if (code === SLASH && following === SLASH) next = at + 2;
    // Pluses may also begin a path.
    else if (code === PLUS && following === PLUS && isBlank(bytes[at + 2]!)) next = at + 2;
    else if (code === PLUS && at > end && isBlank(following)) next = at + 1;
    else return end;
    end = endOfApplication(bytes, skipBlank(bytes, next), level);
  }
  return NOT_TOLD;
}

function endOfApplication(bytes: Uint8Array, from: number, level: number): number {
  let end = endOfSelection(bytes, from, level);
  while (end !== NOT_TOLD) {
    const at = skipBlank(bytes, end);
    if (!startsOperand(bytes, at)) return end;
    end = endOfSelection(bytes, at, level);
  }
  return NOT_TOLD;
}

function startsOperand(bytes: Uint8Array, at: number): boolean {
  const code = bytes[at]!;
  if ((CLASSES[code]! & ID_START) !== 0)
    return !isKeyword(bytes, at, endOfWord(bytes, at)) || isWord(bytes, at, "rec");
  switch (code) {
    case QUOTE:
    case APOSTROPHE:
    case PAREN_OPEN:
    case BRACKET_OPEN:
    case BRACE_OPEN:
    case DOT:
      return true;
    default:
      return isDigit(code);
  }
}

/** An operand, and what is selected of it: `a.b.c or d`. */
function endOfSelection(bytes: Uint8Array, from: number, level: number): number {
  const code = bytes[from]!;
  const isBare = (CLASSES[code]! & ID_START) !== 0;
  let at = endOfOperand(bytes, from, code, level);
  if (at === NOT_TOLD) return NOT_TOLD;
  const end = at;
  while (bytes[at] === DOT) {
    at = endOfName(bytes, at + 1);
    if (at === NOT_TOLD) return NOT_TOLD;
  }
  // The lexer would read on: a path.
  if ((isBare || at > end) && isJoined(bytes[at]!)) return NOT_TOLD;
  if (at === end) return at;
  const next = skipBlank(bytes, at);
  return isWord(bytes, next, "or") ? endOfSelection(bytes, skipBlank(bytes, next + 2), level) : at;
}

function endOfOperand(bytes: Uint8Array, at: number, code: number, level: number): number {
  if ((CLASSES[code]! & ID_START) !== 0) {
    if (isWord(bytes, at, "rec")) {
      const open = skipBlank(bytes, at + 3);
      return bytes[open] === BRACE_OPEN ? endOfSet(bytes, open + 1, level + 1) : NOT_TOLD;
    }
    const end = endOfName(bytes, at);
    return bytes[end] === COLON && end !== NOT_TOLD ? endOfUri(bytes, at, end) : end;
  }
  switch (code) {
    case QUOTE:
      return endOfString(bytes, at + 1, level);
    case APOSTROPHE:
      return bytes[at + 1] === APOSTROPHE ? endOfIndentedString(bytes, at + 2, level) : NOT_TOLD;
    case PAREN_OPEN: {
      const end = skipBlank(bytes, endOfExpression(bytes, at + 1, level + 1));
      return bytes[end] === PAREN_CLOSE ? end + 1 : NOT_TOLD;
    }
    case BRACKET_OPEN:
      return endOfList(bytes, at + 1, level + 1);
    case BRACE_OPEN:
      return endOfSet(bytes, at + 1, level + 1);
    case DOT:
      return endOfPath(bytes, at);
    default:
      return isDigit(code) ? endOfInteger(bytes, at) : NOT_TOLD;
  }
}

function endOfList(bytes: Uint8Array, from: number, level: number): number {
  if (level > MOST_LEVELS) return NOT_TOLD;
  let at = skipBlank(bytes, from);
  while (bytes[at] !== BRACKET_CLOSE) {
    const end = endOfSelection(bytes, at, level);
    if (end === NOT_TOLD) return NOT_TOLD;
    at = skipBlank(bytes, end);
  }
  return at + 1;
}

/** Definitions up to and with the closing brace. */
function endOfSet(bytes: Uint8Array, from: number, level: number): number {
  if (level > MOST_LEVELS) return NOT_TOLD;
  const hashes: number[] = [];
  let at = skipBlank(bytes, from);
  while (bytes[at] !== BRACE_CLOSE) {
    let end: number;
    if (isWord(bytes, at, "inherit")) end = endOfInherited(bytes, at + 7, level, hashes);
    else {
      end = endOfName(bytes, at);
      if (end === NOT_TOLD || !isNew(bytes, at, end, hashes)) return NOT_TOLD;
      while (bytes[end] === DOT) {
        end = endOfName(bytes, end + 1);
        if (end === NOT_TOLD) return NOT_TOLD;
      }
      const assign = skipBlank(bytes, end);
      if (bytes[assign] !== EQUALS || bytes[assign + 1] === EQUALS) return NOT_TOLD;
      end = endOfExpression(bytes, assign + 1, level + 1);
    }
    if (end === NOT_TOLD) return NOT_TOLD;
    at = skipBlank(bytes, end);
    if (bytes[at] !== SEMICOLON) return NOT_TOLD;
    at = skipBlank(bytes, at + 1);
  }
  return at + 1;
}

/** `(source) a b`, from behind `inherit`. */
function endOfInherited(bytes: Uint8Array, from: number, level: number, hashes: number[]): number {
  let at = skipBlank(bytes, from);
  if (bytes[at] === PAREN_OPEN) {
    at = skipBlank(bytes, endOfExpression(bytes, at + 1, level + 1));
    if (bytes[at] !== PAREN_CLOSE) return NOT_TOLD;
    at = skipBlank(bytes, at + 1);
  }
  while (bytes[at] !== SEMICOLON) {
    const end = endOfName(bytes, at);
    if (end === NOT_TOLD || !isNew(bytes, at, end, hashes)) return NOT_TOLD;
    at = skipBlank(bytes, end);
  }
  return at;
}

/** Whether a set has no such name yet, nor one of the same hash: keeps it. */
function isNew(bytes: Uint8Array, start: number, end: number, hashes: number[]): boolean {
  let hash = 0;
  for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + bytes[at]!) | 0;
  if (hashes.length >= MOST_NAMES || hashes.includes(hash)) return false;
  hashes.push(hash);
  return true;
}

/** From behind the opening quote. */
function endOfString(bytes: Uint8Array, from: number, level: number): number {
  let at = from;
  for (;;) {
    while ((CLASSES[bytes[at]!]! & STRING_STOP) === 0) at++;
    const code = bytes[at];
    if (code === QUOTE) return at + 1;
    const following = bytes[at + 1];
    if (following === 0) return NOT_TOLD;
    if (code === BACKSLASH) at += 2;
    else if (code !== DOLLAR) return NOT_TOLD;
    else if (following === BRACE_OPEN) {
      at = endOfInterpolation(bytes, at + 2, level);
      if (at === NOT_TOLD) return NOT_TOLD;
    } else at += following === DOLLAR ? 2 : 1;
  }
}

/** From behind the opening quotes. */
function endOfIndentedString(bytes: Uint8Array, from: number, level: number): number {
  let at = from;
  for (;;) {
    while ((CLASSES[bytes[at]!]! & INDENTED_STOP) === 0) at++;
    const code = bytes[at];
    const following = bytes[at + 1];
    if (code === 0 || following === 0) return NOT_TOLD;
    if (code === DOLLAR) {
      if (following === BRACE_OPEN) {
        at = endOfInterpolation(bytes, at + 2, level);
        if (at === NOT_TOLD) return NOT_TOLD;
      } else at += following === APOSTROPHE ? 1 : 2;
    } else if (following !== APOSTROPHE) at += following === DOLLAR ? 1 : 2;
    else {
      const third = bytes[at + 2];
      if (third === DOLLAR || third === APOSTROPHE) at += 3;
      else if (third !== BACKSLASH) return at + 2;
      else if (bytes[at + 3] === 0) return NOT_TOLD;
      else at += 4;
    }
  }
}

/** From behind `${`. */
function endOfInterpolation(bytes: Uint8Array, from: number, level: number): number {
  const end = skipBlank(bytes, endOfExpression(bytes, from, level + 1));
  return bytes[end] === BRACE_CLOSE ? end + 1 : NOT_TOLD;
}

/** `scheme://…`. @param colon where the scheme ends */
function endOfUri(bytes: Uint8Array, start: number, colon: number): number {
  if (bytes[colon + 1] !== SLASH || bytes[colon + 2] !== SLASH) return NOT_TOLD;
  for (let at = start; at < colon; at++) if (!isLetterOrDigit(bytes[at]!)) return NOT_TOLD;
  let at = colon + 3;
  while ((CLASSES[bytes[at]!]! & URI_CHAR) !== 0) at++;
  return at;
}

/** `./a/b` or `../a`. */
function endOfPath(bytes: Uint8Array, start: number): number {
  let at = bytes[start + 1] === DOT ? start + 2 : start + 1;
  if (bytes[at] !== SLASH) return NOT_TOLD;
  while (bytes[at] === SLASH) {
    if ((CLASSES[bytes[++at]!]! & PATH_CHAR) === 0) return NOT_TOLD;
    while ((CLASSES[bytes[at]!]! & PATH_CHAR) !== 0) at++;
  }
  return bytes[at] === DOLLAR ? NOT_TOLD : at;
}

function endOfInteger(bytes: Uint8Array, start: number): number {
  let at = start;
  while (isDigit(bytes[at]!)) at++;
  return at - start > MOST_DIGITS || isJoined(bytes[at]!) ? NOT_TOLD : at;
}

/** A name that is no keyword. */
function endOfName(bytes: Uint8Array, start: number): number {
  if ((CLASSES[bytes[start]!]! & ID_START) === 0) return NOT_TOLD;
  const end = endOfWord(bytes, start);
  return isKeyword(bytes, start, end) ? NOT_TOLD : end;
}

function endOfWord(bytes: Uint8Array, start: number): number {
  let at = start + 1;
  while ((CLASSES[bytes[at]!]! & ID_PART) !== 0) at++;
  return at;
}

const KEYWORDS_BY_LENGTH: readonly (readonly string[])[] = [
  [],
  [],
  ["if", "in", "or"],
  ["let", "rec"],
  ["then", "else", "with"],
  [],
  ["assert"],
  ["inherit"],
];

function isKeyword(bytes: Uint8Array, start: number, end: number): boolean {
  const words = KEYWORDS_BY_LENGTH[end - start];
  if (words === undefined) return false;
  for (let i = 0; i < words.length; i++) if (isWord(bytes, start, words[i]!)) return true;
  return false;
}

function isWord(bytes: Uint8Array, start: number, word: string): boolean {
  const { length } = word;
  for (let i = 0; i < length; i++) if (bytes[start + i] !== word.charCodeAt(i)) return false;
  return (CLASSES[bytes[start + length]!]! & ID_PART) === 0;
}

/** Whether it may make a word or a number before it part of something longer. */
function isJoined(code: number): boolean {
  return code === SLASH || (CLASSES[code]! & PATH_CHAR) !== 0;
}

function isBlank(code: number): boolean {
  return code === SPACE || code === NEWLINE || code === TAB;
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

function isLetterOrDigit(code: number): boolean {
  return isDigit(code) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122);
}
