import { PUNCTUATION } from "./token.ts";

/** What a byte may be part of, as bits of `CLASSES`. */
export const ID_START = 1;
export const ID_PART = 2;
export const PATH_CHAR = 4;
export const URI_CHAR = 8;
/** Begins what may be skipped, but for the space and the newline, which the lexer looks for first. */
export const BLANK = 16;
/** Behind an identifier: may make it a longer token (`a/b`, `a:b`, `a.b/c`). */
export const JOINER = 32;
/** Within a string: ends the plain text. A zero byte does everywhere, since zeros mark the end. */
export const STRING_STOP = 64;
/** The same within an indented string. */
export const INDENTED_STOP = 128;

export const CLASSES: Uint8Array = (() => {
  const classes = new Uint8Array(256);
  const mark = (pattern: RegExp, bit: number): void => {
    for (let code = 0; code < 256; code++) if (pattern.test(String.fromCharCode(code))) classes[code]! |= bit;
  };
  mark(/[a-zA-Z_]/, ID_START);
  mark(/[a-zA-Z0-9_'-]/, ID_PART);
  mark(/[a-zA-Z0-9._+-]/, PATH_CHAR);
  mark(/[a-zA-Z0-9%/?:@&=+$,_.!~*'-]/, URI_CHAR);
  mark(/[\t\r#/]/, BLANK);
  mark(/[/.+:]/, JOINER);
  // eslint-disable-next-line no-control-regex
  mark(/[\0"\\\r$]/, STRING_STOP);
  // eslint-disable-next-line no-control-regex
  mark(/[\0'$]/, INDENTED_STOP);
  return classes;
})();

/** The kind of token that a byte is by itself, whatever follows; 0 where there is more to see. */
export const SINGLE: Uint8Array = (() => {
  const single = new Uint8Array(256);
  for (const char of `"(),*:;?@[]{}`) single[char.charCodeAt(0)] = PUNCTUATION.get(char)!;
  return single;
})();
