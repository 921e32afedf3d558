import type { ErrorReport, PositionReport } from "../../../cli/protocol/types.ts";
import { charactersOfBytes } from "./byteColumns.ts";
import type { Span } from "./specTree.ts";
import { suggestNames } from "./suggestNames.ts";

/** How far after a place the name is looked for that an error is about: `pkgs.` may stand before it. */
const MAX_DISTANCE = 400;
const WORD = /[\p{L}\p{N}_][\p{L}\p{N}_'.+@-]*/uy;

/** What of a text an error's position marks. @param names what the error is about, to be found near the position */
export function spanOfPosition(text: string, position: PositionReport, names: readonly string[] = []): Span {
  const lineStart = offsetOfLine(text, position.line);
  const line = /^[^\r\n]*/.exec(text.slice(lineStart))?.[0] ?? "";
  const start = lineStart + charactersOfBytes(line, position.column - 1);
  const lineEnd = lineStart + line.length;
  if (position.endColumn !== undefined) {
    const end = lineStart + charactersOfBytes(line, position.endColumn - 1);
    if (end > start) return { start, end };
  }
  const named = nearestName(text, start, names);
  if (named !== undefined) return named;
  WORD.lastIndex = start;
  const word = WORD.exec(text)?.[0] ?? "";
  if (word !== "") return { start, end: Math.min(lineEnd, start + word.length) };
  if (start < lineEnd) return { start, end: start + ((text.codePointAt(start) ?? 0) > 0xffff ? 2 : 1) };
  // the line's end is wrong: what stands before it is marked, since nothing is nothing to see
  return { start: Math.max(lineStart, start - 1), end: start };
}

/** The names that an error's first line quotes, when it says of them that they are not there. */
export function missingNames({ code, message }: Pick<ErrorReport, "code" | "message">): readonly string[] {
  if (!MISSING_CODES.has(code)) return [];
  const [line = ""] = message.split("\n");
  return [...line.matchAll(/'(\S+?)'(?=[\s,.:;)]|$)|"([^"]+)"/g)].map((match) => match[1] ?? match[2] ?? "");
}

const MISSING_CODES = new Set([
  "LANG_UNDEFINED_VARIABLE",
  "LANG_ATTRIBUTE_MISSING",
  "LANG_TYPE",
  "LANG_ARGUMENT_MISSING",
  "SPEC_PACKAGE",
]);

/** Names close to what is not there, best first: the CLI's, those that slips explain before others as near. */
export function suggestionsOf(
  error: Pick<ErrorReport, "code" | "message" | "suggestions" | "hint">,
): readonly string[] {
  const near = /^did you mean '([^']+)'\?$/.exec(error.hint ?? "")?.[1];
  if (error.suggestions.length === 0) return near === undefined ? [] : [near];
  const [name] = missingNames(error);
  if (name === undefined) return error.suggestions;
  const ranked = suggestNames(name, error.suggestions);
  const isLikely = (one: string): boolean => one[0] === name[0];
  return [...new Set([...ranked.filter(isLikely), ...ranked, ...error.suggestions])];
}

/** The message without the file's name, which stands above it where it is shown. */
export function shortMessage(message: string): string {
  const text = message.replace(/^Cannot (?:use|read) spec "[^"\n]*": /, "");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Where the manual explains what an error is about. */
export function manualOf(code: string): string | undefined {
  const page = MANUAL[code];
  return page === undefined ? undefined : `https://nix.dev/manual/nix/2.34/language/${page}`;
}

const MANUAL: Readonly<Record<string, string>> = {
  LANG_PARSE: "syntax.html",
  LANG_UNDEFINED_VARIABLE: "scope.html",
  LANG_ATTRIBUTE_MISSING: "operators.html#attribute-selection",
  LANG_TYPE: "types.html",
  LANG_ASSERTION: "syntax.html#assertions",
  LANG_INFINITE_RECURSION: "evaluation.html",
};

function nearestName(text: string, from: number, names: readonly string[]): Span | undefined {
  const near = text.slice(from, from + MAX_DISTANCE);
  let found: Span | undefined;
  for (const name of names) {
    if (name === "") continue;
    const escaped = name.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
    const at = new RegExp(`(?<![\\p{L}\\p{N}_'-])${escaped}(?![\\p{L}\\p{N}_'-])`, "u").exec(near);
    if (at === null || (found !== undefined && from + at.index >= found.start)) continue;
    found = { start: from + at.index, end: from + at.index + name.length };
  }
  return found;
}

function offsetOfLine(text: string, line: number): number {
  let start = 0;
  for (let n = 1; n < line; n++) {
    const feed = text.indexOf("\n", start);
    if (feed < 0) return start;
    start = feed + 1;
  }
  return start;
}

/**
 * What comes in a word's place when a name in it is another; undefined where the word is not the name's.
 * @param word as it stands there: quoted or not, with `@version` or not
 */
export function replaceName(
  word: string,
  name: string,
  error: Pick<ErrorReport, "code" | "message">,
): string | undefined {
  const quote = /^["']/.exec(word)?.[0] ?? "";
  const inner = quote === "" ? word : word.slice(1, word.endsWith(quote) ? -1 : undefined);
  const version = error.code === "SPEC_PACKAGE" ? (/.(@.*)$/.exec(inner)?.[1] ?? "") : "";
  const current = inner.slice(0, inner.length - version.length);
  const names = missingNames(error);
  if (current === "" || (names.length > 0 && !names.includes(current))) return undefined;
  return `${quote}${name}${version}${quote}`;
}
