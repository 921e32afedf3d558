import { evalError } from "../value/error.ts";
import type { Pos } from "../value/position.ts";
import type { SourceLayout } from "./options.ts";
import { BLANK, CLASSES, ID_PART, ID_START, JOINER, PATH_CHAR, SINGLE, URI_CHAR } from "./characters.ts";
import { bytesOfSource } from "./sourceBytes.ts";
import * as Token from "./token.ts";
import { kindAt, slotOfWord, wordAt } from "./words.ts";

/**
 * Cuts a text into tokens, one ahead of the parser. Longest match wins, as in Nix's lexer: `a/b` is a path, `a:b` a
 * URI. Strings and paths with interpolation are read by the parser, which calls back for their pieces.
 *
 * Plain fields and functions, not private ones, of which each use checks the object's class: much of the code that
 * reads a file runs before V8 has compiled it well.
 */
export class Lexer {
  readonly text: string;
  /** The position of the text's first character. */
  readonly base: Pos;
  readonly bytes: Buffer;
  /** Where the next token is looked for. */
  at = 0;
  kind: Token.TokenKind = Token.END;
  /** Where the current token starts. */
  start = 0;
  /** The current token's text (identifiers, literals, paths). */
  value = "";
  readonly allowsPipes: boolean;
  /** Gets the doc comments (`/** … *\/`), by the place of what follows them. */
  readonly docComments: Map<Pos, string> | undefined;
  readonly layout: SourceLayout | undefined;
  readonly hasCarriageReturns: boolean;
  /** The run of characters of paths met last: in `a.b.c…` it is the same for every name. */
  runStart = 0;
  runEnd = 0;

  constructor(
    text: string,
    base: Pos,
    allowsPipes: boolean,
    docComments: Map<Pos, string> | undefined,
    layout: SourceLayout | undefined,
  ) {
    this.text = text;
    this.base = base;
    this.bytes = bytesOfSource(text);
    this.allowsPipes = allowsPipes;
    this.docComments = docComments;
    this.layout = layout;
    this.hasCarriageReturns = text.includes("\r");
  }

  /** Of the token that is looked at. */
  get pos(): Pos {
    return this.base + this.start;
  }

  /** Moves to the next token. */
  next(): void {
    const { bytes } = this;
    let at = this.at;
    let code = bytes[at]!;
    while (code === 32 || code === 10) code = bytes[++at]!;
    if ((CLASSES[code]! & BLANK) !== 0) {
      at = skipBlank(this, at);
      code = bytes[at]!;
    }
    this.start = at;
    if ((CLASSES[code]! & ID_START) !== 0) readWord(this, at, code);
    else {
      const single = SINGLE[code]!;
      if (single === 0) readSymbol(this, at, code);
      else {
        this.kind = single;
        this.at = at + 1;
      }
    }
  }

  /** Reads literal text within a path with interpolation, from `at`; "" where there is none. */
  pathPart(): string {
    const { bytes, at: start } = this;
    let end = start;
    while ((CLASSES[bytes[end]!]! & PATH_CHAR) !== 0) end++;
    end = endOfPath(bytes, end);
    if (bytes[end] === 47) end++;
    this.at = end;
    return this.text.slice(start, end);
  }
}

/** From what may be a comment to what follows all blanks and comments. */
function skipBlank(lexer: Lexer, from: number): number {
  const { bytes, text, docComments } = lexer;
  let at = from;
  let doc: string | undefined;
  for (;;) {
    const code = bytes[at];
    if (code === 32 || code === 10 || code === 13 || code === 9) at++;
    else if (code === 35) at = endOfLine(lexer, at + 1);
    else if (code === 47 && bytes[at + 1] === 42) {
      const end = text.indexOf("*/", at + 2);
      if (end < 0) break;
      if (docComments !== undefined && /^\/\*\*[^/*]/.test(text.slice(at, at + 4)))
        doc = text.slice(at, end + 2);
      at = end + 2;
    } else break;
  }
  if (doc !== undefined) docComments?.set(lexer.base + at, doc);
  lexer.layout?.blank(lexer.base + from, lexer.base + at);
  return at;
}

function endOfLine({ text, hasCarriageReturns }: Lexer, from: number): number {
  let end = text.indexOf("\n", from);
  if (end < 0) end = text.length;
  if (!hasCarriageReturns) return end;
  for (let at = from; at < end; at++) if (text.charCodeAt(at) === 13) return at;
  return end;
}

function readWord(lexer: Lexer, start: number, first: number): void {
  const { bytes } = lexer;
  let end = start;
  let code = first;
  let hash = 0;
  do {
    hash = (Math.imul(hash, 31) + code) | 0;
    code = bytes[++end]!;
  } while ((CLASSES[code]! & ID_PART) !== 0);
  if ((CLASSES[code]! & JOINER) !== 0 && readLongerWord(lexer, start, end)) return;
  const slot = slotOfWord(lexer.text, bytes, start, end, hash);
  lexer.at = end;
  lexer.value = wordAt(slot);
  lexer.kind = kindAt(slot);
}

/** A path or URI that begins as an identifier does, which would end at `end`. */
function readLongerWord(lexer: Lexer, start: number, end: number): boolean {
  const { bytes, text } = lexer;
  // The usual `x: y`.
  if (bytes[end] === 58 && (CLASSES[bytes[end + 1]!]! & URI_CHAR) === 0) return false;
  const run = endOfRun(lexer, start);
  if (bytes[run] === 47) return readPath(lexer, start, run, Token.PATH);
  if (bytes[run] !== 58 || (CLASSES[bytes[run + 1]!]! & URI_CHAR) === 0) return false;
  // No scheme has an underscore.
  for (let at = start; at < run; at++) if (bytes[at] === 95) return false;
  let uriEnd = run + 2;
  while ((CLASSES[bytes[uriEnd]!]! & URI_CHAR) !== 0) uriEnd++;
  readValue(lexer, text.slice(start, uriEnd), uriEnd, Token.URI);
  return true;
}

/** Where the characters of paths end that a token starts with. */
function endOfRun(lexer: Lexer, start: number): number {
  if (start >= lexer.runStart && start < lexer.runEnd) return lexer.runEnd;
  const { bytes } = lexer;
  let end = start;
  while ((CLASSES[bytes[end]!]! & PATH_CHAR) !== 0) end++;
  lexer.runStart = start;
  lexer.runEnd = end;
  return end;
}

function readValue(lexer: Lexer, value: string, end: number, kind: Token.TokenKind): void {
  lexer.value = value;
  lexer.at = end;
  lexer.kind = kind;
}

/** A path, if there is one: that begins with a name, dots and so on. */
function readRelativePath(lexer: Lexer, start: number): boolean {
  const end = endOfRun(lexer, start);
  return lexer.bytes[end] === 47 && readPath(lexer, start, end, Token.PATH);
}

/**
 * A path, or the first part of one with interpolation; leaves `at` behind the literal text.
 * @param slash the index of the first slash
 */
function readPath(lexer: Lexer, start: number, slash: number, kind: Token.TokenKind): boolean {
  const { bytes, text } = lexer;
  let end = endOfPath(bytes, slash);
  if (end === slash) {
    if (!text.startsWith("/${", slash)) return false;
    end = slash + 1;
  } else if (bytes[end] === 47) end++;
  readValue(lexer, text.slice(start, end), end, kind);
  return true;
}

/** Where `/a/b` ends; a last slash with nothing behind it is not of it. */
function endOfPath(bytes: Buffer, slash: number): number {
  let end = slash;
  while (bytes[end] === 47 && (CLASSES[bytes[end + 1]!]! & PATH_CHAR) !== 0) {
    end += 2;
    while ((CLASSES[bytes[end]!]! & PATH_CHAR) !== 0) end++;
  }
  return end;
}

function readNumber(lexer: Lexer, start: number): void {
  const { bytes, text } = lexer;
  let end = start + 1;
  while (isDigit(bytes[end]!)) end++;
  const code = bytes[end]!;
  if ((CLASSES[code]! & PATH_CHAR) !== 0 || code === 47) {
    const floatEnd = endOfFloat(text, start);
    if (readRelativePath(lexer, start) && lexer.at > floatEnd) return;
    if (floatEnd > end) {
      readValue(lexer, text.slice(start, floatEnd), floatEnd, Token.FLOAT);
      return;
    }
  }
  readValue(lexer, text.slice(start, end), end, Token.INTEGER);
}

/** Where a floating-point literal ends; `start` if there is none. */
function endOfFloat(text: string, start: number): number {
  const pattern = /(?:[1-9][0-9]*\.[0-9]*|0?\.[0-9]+)(?:[Ee][+-]?[0-9]+)?/y;
  pattern.lastIndex = start;
  return pattern.test(text) ? pattern.lastIndex : start;
}

function readSymbol(lexer: Lexer, start: number, code: number): void {
  const { bytes, text } = lexer;
  const following = bytes[start + 1]!;
  switch (code) {
    case 61: // =
      if (following === 61) accept(lexer, Token.EQUAL, 2);
      else accept(lexer, Token.ASSIGN, 1);
      return;
    case 46: // .
      if (isDigit(following)) {
        const end = endOfFloat(text, start);
        if (readRelativePath(lexer, start) && lexer.at > end) return;
        readValue(lexer, text.slice(start, end), end, Token.FLOAT);
        return;
      }
      if (readRelativePath(lexer, start)) return;
      if (following === 46 && bytes[start + 2] === 46) accept(lexer, Token.ELLIPSIS, 3);
      else accept(lexer, Token.DOT, 1);
      return;
    case 45: // -
      if (readRelativePath(lexer, start)) return;
      if (following === 62) accept(lexer, Token.IMPLIES, 2);
      else accept(lexer, Token.MINUS, 1);
      return;
    case 43: // +
      if (readRelativePath(lexer, start)) return;
      if (following === 43) accept(lexer, Token.CONCAT, 2);
      else accept(lexer, Token.PLUS, 1);
      return;
    case 47: // /
      if (readPath(lexer, start, start, Token.PATH)) return;
      if (following === 47) accept(lexer, Token.UPDATE, 2);
      else accept(lexer, Token.DIVIDE, 1);
      return;
    case 33: // !
      if (following === 61) accept(lexer, Token.UNEQUAL, 2);
      else accept(lexer, Token.NOT, 1);
      return;
    case 60: // <
      if (readSearchPath(lexer, start)) return;
      if (following === 124) acceptPipe(lexer, Token.PIPE_FROM);
      else if (following === 61) accept(lexer, Token.LESS_EQUAL, 2);
      else accept(lexer, Token.LESS, 1);
      return;
    case 62: // >
      if (following === 61) accept(lexer, Token.GREATER_EQUAL, 2);
      else accept(lexer, Token.GREATER, 1);
      return;
    case 38: // &
      if (following === 38) return accept(lexer, Token.LOGICAL_AND, 2);
      break;
    case 124: // |
      if (following === 124) return accept(lexer, Token.LOGICAL_OR, 2);
      if (following === 62) return acceptPipe(lexer, Token.PIPE_INTO);
      break;
    case 36: // $
      if (following === 123) return accept(lexer, Token.DOLLAR_BRACE, 2);
      break;
    case 39: // '
      if (following === 39) return accept(lexer, Token.INDENTED_STRING, 2);
      break;
    case 126: // ~
      if (following === 47 && readPath(lexer, start, start + 1, Token.HOME_PATH)) return;
      break;
    default:
      if (isDigit(code)) return readNumber(lexer, start);
      break;
  }
  if (start < text.length) return accept(lexer, Token.INVALID, 1);
  lexer.kind = Token.END;
  lexer.at = start;
}

function accept(lexer: Lexer, kind: Token.TokenKind, length: number): void {
  lexer.kind = kind;
  lexer.at = lexer.start + length;
}

function acceptPipe(lexer: Lexer, kind: Token.TokenKind): void {
  if (!lexer.allowsPipes)
    throw evalError(
      "parse",
      "experimental Nix feature 'pipe-operators' is disabled; add '--extra-experimental-features pipe-operators' to enable it",
      lexer.pos,
    );
  accept(lexer, kind, 2);
}

function readSearchPath(lexer: Lexer, start: number): boolean {
  const pattern = /<[a-zA-Z0-9._+-]+(?:\/[a-zA-Z0-9._+-]+)*>/y;
  pattern.lastIndex = start;
  if (!pattern.test(lexer.text)) return false;
  readValue(lexer, lexer.text.slice(start + 1, pattern.lastIndex - 1), pattern.lastIndex, Token.SEARCH_PATH);
  return true;
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}
