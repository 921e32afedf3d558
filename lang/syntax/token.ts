import { bytesOfText } from "../../core/index.ts";

/**
 * What a token is: a small integer, by which V8 jumps and looks up where it would have to compare strings. What an
 * operand can start with comes first, so that one comparison tells (`LAST_START`). The bundler puts the numbers in
 * place of the names.
 */
export type TokenKind = number;

export const IDENTIFIER = 1;
export const INTEGER = 2;
export const FLOAT = 3;
/** The opening quote. */
export const STRING = 4;
/** The opening two quotes. */
export const INDENTED_STRING = 5;
export const PATH = 6;
export const HOME_PATH = 7;
export const SEARCH_PATH = 8;
export const URI = 9;
export const PAREN_OPEN = 10;
export const BRACKET_OPEN = 11;
export const BRACE_OPEN = 12;
export const REC = 13;
export const LET = 14;
export const LAST_START = LET;

export const IMPLIES = 15;
export const LOGICAL_OR = 16;
export const LOGICAL_AND = 17;
export const EQUAL = 18;
export const UNEQUAL = 19;
export const LESS = 20;
export const GREATER = 21;
export const LESS_EQUAL = 22;
export const GREATER_EQUAL = 23;
export const UPDATE = 24;
export const PLUS = 25;
export const MINUS = 26;
export const TIMES = 27;
export const DIVIDE = 28;
export const CONCAT = 29;
export const QUESTION = 30;

export const NOT = 31;
export const PIPE_INTO = 32;
export const PIPE_FROM = 33;
export const DOT = 34;
export const OR = 35;
export const IF = 36;
export const THEN = 37;
export const ELSE = 38;
export const ASSERT = 39;
export const WITH = 40;
export const IN = 41;
export const INHERIT = 42;
export const COLON = 43;
export const SEMICOLON = 44;
export const COMMA = 45;
export const AT = 46;
export const ASSIGN = 47;
export const ELLIPSIS = 48;
export const DOLLAR_BRACE = 49;
export const PAREN_CLOSE = 50;
export const BRACKET_CLOSE = 51;
export const BRACE_CLOSE = 52;
export const END = 53;
export const INVALID = 54;

export const KEYWORDS: ReadonlyMap<string, TokenKind> = new Map([
  ["if", IF],
  ["then", THEN],
  ["else", ELSE],
  ["assert", ASSERT],
  ["with", WITH],
  ["let", LET],
  ["in", IN],
  ["rec", REC],
  ["inherit", INHERIT],
  ["or", OR],
]);
export const LONGEST_KEYWORD = 7;

export const PUNCTUATION: ReadonlyMap<string, TokenKind> = new Map([
  ['"', STRING],
  ["(", PAREN_OPEN],
  ["[", BRACKET_OPEN],
  ["{", BRACE_OPEN],
  ["->", IMPLIES],
  ["||", LOGICAL_OR],
  ["&&", LOGICAL_AND],
  ["==", EQUAL],
  ["!=", UNEQUAL],
  ["<", LESS],
  [">", GREATER],
  ["<=", LESS_EQUAL],
  [">=", GREATER_EQUAL],
  ["//", UPDATE],
  ["+", PLUS],
  ["-", MINUS],
  ["*", TIMES],
  ["/", DIVIDE],
  ["++", CONCAT],
  ["?", QUESTION],
  ["!", NOT],
  ["|>", PIPE_INTO],
  ["<|", PIPE_FROM],
  [".", DOT],
  [":", COLON],
  [";", SEMICOLON],
  [",", COMMA],
  ["@", AT],
  ["=", ASSIGN],
  ["...", ELLIPSIS],
  ["${", DOLLAR_BRACE],
  [")", PAREN_CLOSE],
  ["]", BRACKET_CLOSE],
  ["}", BRACE_CLOSE],
]);

/** What tokens that are neither keywords nor punctuation are called. */
const DESCRIPTIONS: ReadonlyMap<TokenKind, string> = new Map([
  [IDENTIFIER, "identifier"],
  [INTEGER, "integer"],
  [FLOAT, "floating-point literal"],
  [PATH, "path"],
  [HOME_PATH, bytesOfText("'~/…' path")],
  [SEARCH_PATH, bytesOfText("'<…>' path")],
  [URI, "URI"],
  [INDENTED_STRING, "start of an indented string"],
  [END, "end of file"],
  [INVALID, "invalid token"],
]);

/** How a token is called in "unexpected …". */
export function describeToken(kind: TokenKind): string {
  const description = DESCRIPTIONS.get(kind);
  if (description !== undefined) return description;
  for (const [text, known] of [...KEYWORDS, ...PUNCTUATION]) if (known === kind) return `'${text}'`;
  throw new Error(`no token: ${kind}`);
}
