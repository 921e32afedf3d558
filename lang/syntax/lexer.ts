import { bytesOfText } from "../../core/index.ts";
import { evalError } from "../value/error.ts";
import type { Pos, Source } from "../value/position.ts";

/** Keywords and punctuation are their own kinds. */
export type TokenKind =
  | "identifier"
  | "integer"
  | "float"
  | "path"
  | "homePath"
  | "searchPath"
  | "uri"
  | "indentedString"
  | "end"
  | "invalid"
  | Keyword
  | Punctuation;

type Keyword = "if" | "then" | "else" | "assert" | "with" | "let" | "in" | "rec" | "inherit" | "or";

type Punctuation =
  | "${"
  | "..."
  | "=="
  | "!="
  | "<="
  | ">="
  | "//"
  | "++"
  | "&&"
  | "||"
  | "->"
  | "<|"
  | "|>"
  | "<"
  | ">"
  | "+"
  | "-"
  | "*"
  | "/"
  | "?"
  | ":"
  | "@"
  | ";"
  | "!"
  | "."
  | '"'
  | "("
  | ")"
  | "{"
  | "}"
  | "["
  | "]"
  | "="
  | ",";

/** Each as the very string that the parser compares with: V8 then compares addresses. */
const KEYWORDS: ReadonlyMap<string, Keyword> = new Map(
  (["if", "then", "else", "assert", "with", "let", "in", "rec", "inherit", "or"] as const).map((word) => [
    word,
    word,
  ]),
);
const LONGEST_KEYWORD = 7;

/** How a token is called in "unexpected …". */
export function describeToken(kind: TokenKind): string {
  return DESCRIPTIONS[kind] ?? `'${kind}'`;
}

const DESCRIPTIONS: Partial<Record<TokenKind, string>> = {
  identifier: "identifier",
  integer: "integer",
  float: "floating-point literal",
  path: "path",
  homePath: bytesOfText("'~/…' path"),
  searchPath: bytesOfText("'<…>' path"),
  uri: "URI",
  indentedString: "start of an indented string",
  end: "end of file",
  invalid: "invalid token",
};

const ID_START = 1;
const ID_PART = 2;
const PATH_CHAR = 4;
const URI_CHAR = 8;
const SCHEME_CHAR = 16;
const SPACE = 32;

/** What each byte may be part of. */
const CLASSES = (() => {
  const classes = new Uint8Array(256);
  const mark = (pattern: RegExp, bit: number): void => {
    for (let code = 0; code < 256; code++) if (pattern.test(String.fromCharCode(code))) classes[code]! |= bit;
  };
  mark(/[a-zA-Z_]/, ID_START);
  mark(/[a-zA-Z0-9_'-]/, ID_PART);
  mark(/[a-zA-Z0-9._+-]/, PATH_CHAR);
  mark(/[a-zA-Z0-9%/?:@&=+$,_.!~*'-]/, URI_CHAR);
  mark(/[a-zA-Z0-9+.-]/, SCHEME_CHAR);
  mark(/[ \t\r\n]/, SPACE);
  return classes;
})();

/** A character's classes; none past the end (`charCodeAt` gives NaN there). */
function classOf(code: number): number {
  return CLASSES[code] ?? 0;
}

interface Run {
  start: number;
  end: number;
}

/**
 * Cuts a text into tokens, one ahead of the parser. Longest match wins, as in Nix's lexer: `a/b` is a path, `a:b` a
 * URI. Strings and paths with interpolation are read by the parser, which calls back for their pieces.
 */
export class Lexer {
  readonly source: Source;
  readonly text: string;
  /** Where the next token is looked for. */
  at: number;
  kind: TokenKind = "end";
  /** Where the current token starts. */
  start = 0;
  /** The current token's text (identifiers, literals, paths). */
  value = "";
  readonly #allowsPipes: boolean;
  /** The runs of characters of paths and of URIs' schemes met last: in `a.b.c…` they are the same for every name. */
  readonly #pathRun: Run = { start: 0, end: 0 };
  readonly #schemeRun: Run = { start: 0, end: 0 };

  /** Gets the doc comments (`/** … *\/`), by the place of what follows them. */
  readonly #docComments: Map<Pos, string> | undefined;

  constructor(source: Source, allowsPipes: boolean, docComments?: Map<Pos, string>) {
    this.source = source;
    this.text = source.text;
    this.at = 0;
    this.#allowsPipes = allowsPipes;
    this.#docComments = docComments;
  }

  /** Moves to the next token. */
  next(): void {
    const text = this.text;
    let at = this.at;
    let code = text.charCodeAt(at);
    let doc: string | undefined;
    for (;;) {
      if (code === 32 || code === 10 || code === 13 || code === 9) {
        code = text.charCodeAt(++at);
      } else if (code === 35) {
        do code = text.charCodeAt(++at);
        while (code !== 10 && code !== 13 && at < text.length);
      } else if (code === 47 && text.charCodeAt(at + 1) === 42) {
        const end = text.indexOf("*/", at + 2);
        if (end < 0) break;
        if (this.#docComments !== undefined && /^\/\*\*[^/*]/.test(text.slice(at, at + 4)))
          doc = text.slice(at, end + 2);
        at = end + 2;
        code = text.charCodeAt(at);
      } else break;
    }
    this.start = at;
    if (doc !== undefined) this.#docComments?.set(this.source.base + at, doc);
    if (at >= text.length) {
      this.at = at;
      this.kind = "end";
      return;
    }
    const classes = classOf(code);
    if ((classes & ID_START) !== 0) this.#word(at);
    else if (code >= 48 && code <= 57) this.#number(at);
    else this.#symbol(at, code);
  }

  #word(start: number): void {
    const text = this.text;
    let end = start + 1;
    let code = text.charCodeAt(end);
    while ((classOf(code) & ID_PART) !== 0) code = text.charCodeAt(++end);
    // Only these characters can make the token longer than an identifier.
    if (code === 47 || code === 46 || code === 43 || code === 58) {
      if (this.#uri(start) || this.#path(start)) return;
    }
    const word = text.slice(start, end);
    this.at = end;
    this.value = word;
    this.kind = (end - start <= LONGEST_KEYWORD ? KEYWORDS.get(word) : undefined) ?? "identifier";
  }

  /** `scheme:rest`; longer than any identifier or path that starts at the same place. */
  #uri(start: number): boolean {
    const text = this.text;
    if (text.charCodeAt(start) === 95) return false;
    let end = this.#endOfRun(this.#schemeRun, SCHEME_CHAR, start);
    if (text.charCodeAt(end) !== 58 || (classOf(text.charCodeAt(end + 1)) & URI_CHAR) === 0) return false;
    end += 2;
    while ((classOf(text.charCodeAt(end)) & URI_CHAR) !== 0) end++;
    this.value = text.slice(start, end);
    this.at = end;
    this.kind = "uri";
    return true;
  }

  #endOfRun(run: Run, kind: number, start: number): number {
    if (start >= run.start && start < run.end) return run.end;
    const text = this.text;
    let end = start;
    while ((classOf(text.charCodeAt(end)) & kind) !== 0) end++;
    run.start = start;
    run.end = end;
    return end;
  }

  /** A path, or the first part of one with interpolation; leaves `at` behind the literal text. */
  #path(start: number): boolean {
    const end = this.#endOfRun(this.#pathRun, PATH_CHAR, start);
    if (this.text.charCodeAt(end) !== 47) return false;
    return this.#pathFromSlash(start, end, "path");
  }

  /** @param slash the index of the first slash */
  #pathFromSlash(start: number, slash: number, kind: "path" | "homePath"): boolean {
    const text = this.text;
    let end = slash;
    while (text.charCodeAt(end) === 47 && (classOf(text.charCodeAt(end + 1)) & PATH_CHAR) !== 0) {
      end += 2;
      while ((classOf(text.charCodeAt(end)) & PATH_CHAR) !== 0) end++;
    }
    if (end === slash) {
      if (!text.startsWith("/${", slash)) return false;
      end = slash + 1;
    } else if (text.charCodeAt(end) === 47) end++;
    this.value = text.slice(start, end);
    this.at = end;
    this.kind = kind;
    return true;
  }

  #number(start: number): void {
    const text = this.text;
    let end = start + 1;
    while (isDigit(text.charCodeAt(end))) end++;
    const code = text.charCodeAt(end);
    if ((classOf(code) & PATH_CHAR) !== 0 || code === 47) {
      const floatEnd = this.#floatEnd(start);
      if (this.#path(start) && this.at > floatEnd) return;
      if (floatEnd > end) {
        this.kind = "float";
        this.value = text.slice(start, floatEnd);
        this.at = floatEnd;
        return;
      }
    }
    this.kind = "integer";
    this.value = text.slice(start, end);
    this.at = end;
  }

  /** Where a floating-point literal ends; `start` if there is none. */
  #floatEnd(start: number): number {
    const pattern = /(?:[1-9][0-9]*\.[0-9]*|0?\.[0-9]+)(?:[Ee][+-]?[0-9]+)?/y;
    pattern.lastIndex = start;
    return pattern.test(this.text) ? pattern.lastIndex : start;
  }

  #symbol(start: number, code: number): void {
    const text = this.text;
    const following = text.charCodeAt(start + 1);
    switch (code) {
      case 34: // "
      case 40: // (
      case 41: // )
      case 44: // ,
      case 42: // *
      case 58: // :
      case 59: // ;
      case 63: // ?
      case 64: // @
      case 91: // [
      case 93: // ]
      case 123: // {
      case 125: // }
        return this.#punctuation(text[start] as Punctuation);
      case 61: // =
        return this.#punctuation(following === 61 ? "==" : "=");
      case 46: // .
        if (isDigit(following)) {
          const end = this.#floatEnd(start);
          if (this.#path(start) && this.at > end) return;
          this.kind = "float";
          this.value = text.slice(start, end);
          this.at = end;
          return;
        }
        if (this.#path(start)) return;
        return this.#punctuation(text.startsWith("...", start) ? "..." : ".");
      case 45: // -
        if (this.#path(start)) return;
        return this.#punctuation(following === 62 ? "->" : "-");
      case 43: // +
        if (this.#path(start)) return;
        return this.#punctuation(following === 43 ? "++" : "+");
      case 47: // /
        if (this.#pathFromSlash(start, start, "path")) return;
        return this.#punctuation(following === 47 ? "//" : "/");
      case 33: // !
        return this.#punctuation(following === 61 ? "!=" : "!");
      case 60: // <
        if (this.#searchPath(start)) return;
        if (following === 124) return this.#pipe("<|");
        return this.#punctuation(following === 61 ? "<=" : "<");
      case 62: // >
        return this.#punctuation(following === 61 ? ">=" : ">");
      case 38: // &
        if (following === 38) return this.#punctuation("&&");
        break;
      case 124: // |
        if (following === 124) return this.#punctuation("||");
        if (following === 62) return this.#pipe("|>");
        break;
      case 36: // $
        if (following === 123) return this.#punctuation("${");
        break;
      case 39: // '
        if (following === 39) {
          this.kind = "indentedString";
          this.at = start + 2;
          return;
        }
        break;
      case 126: // ~
        if (following === 47 && this.#pathFromSlash(start, start + 1, "homePath")) return;
        break;
      default:
        break;
    }
    this.kind = "invalid";
    this.at = start + 1;
  }

  #punctuation(kind: Punctuation): void {
    this.kind = kind;
    this.at = this.start + kind.length;
  }

  #pipe(kind: "<|" | "|>"): void {
    if (!this.#allowsPipes)
      throw evalError(
        "parse",
        "experimental Nix feature 'pipe-operators' is disabled; add '--extra-experimental-features pipe-operators' to enable it",
        this.source.base + this.start,
      );
    this.#punctuation(kind);
  }

  #searchPath(start: number): boolean {
    const pattern = /<[a-zA-Z0-9._+-]+(?:\/[a-zA-Z0-9._+-]+)*>/y;
    pattern.lastIndex = start;
    if (!pattern.test(this.text)) return false;
    this.value = this.text.slice(start + 1, pattern.lastIndex - 1);
    this.at = pattern.lastIndex;
    this.kind = "searchPath";
    return true;
  }

  /** Reads literal text within a path with interpolation, from `at`; "" where there is none. */
  pathPart(): string {
    const text = this.text;
    const start = this.at;
    let end = start;
    while ((classOf(text.charCodeAt(end)) & PATH_CHAR) !== 0) end++;
    while (text.charCodeAt(end) === 47 && (classOf(text.charCodeAt(end + 1)) & PATH_CHAR) !== 0) {
      end += 2;
      while ((classOf(text.charCodeAt(end)) & PATH_CHAR) !== 0) end++;
    }
    if (text.charCodeAt(end) === 47) end++;
    this.at = end;
    return text.slice(start, end);
  }
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}
