import { RegexMachine, type Captures } from "./machine.ts";
import { compileRegex, type RegexProgram } from "./program.ts";
import { parseRegex, type ParsedRegex } from "./syntax.ts";
import { translateRegex, type TranslatedRegex } from "./translate.ts";

export { RegexError } from "./syntax.ts";

/** A group that took no part is `undefined`. */
export type Groups = readonly (string | undefined)[];

export interface RegexMatch {
  readonly start: number;
  readonly end: number;
  readonly groups: Groups;
}

/** JavaScript's engine is given a text only while its steps stay below this. */
const MAX_STEPS = 3e7;

/** A compiled expression: a JavaScript one where that is provably the same and bounded, else a machine of our own. */
export class Regex {
  readonly #parsed: ParsedRegex;
  #program: RegexProgram | undefined;
  #whole: Translated | undefined | null = null;
  #part: Translated | undefined | null = null;

  /** @throws {RegexError} */
  constructor(pattern: string) {
    this.#parsed = parseRegex(pattern);
  }

  /** Matches the whole text. */
  matchWhole(text: string): Groups | undefined {
    if (this.#whole === null) this.#whole = prepare(translateRegex(this.#parsed, false), "whole");
    if (this.#whole !== undefined && isAffordable(this.#whole, text.length, 0)) {
      const match = this.#whole.expression.exec(text);
      return match === null ? undefined : match.slice(1);
    }
    const captures = this.#machine(text).search({
      from: 0,
      isExact: true,
      isContinuation: false,
      hasPrevious: false,
    });
    return captures === undefined ? undefined : groupsOf(text, captures);
  }

  /** Calls `visit` for each match, left to right, as C++'s `regex_iterator` finds them. */
  forEachMatch(text: string, visit: (start: number, end: number, groups: Groups) => void): void {
    if (this.#part === null) this.#part = prepare(translateRegex(this.#parsed, true), "part");
    if (this.#part !== undefined && isAffordable(this.#part, text.length, 1))
      forEachTranslated(this.#part.expression, text, visit);
    else this.#forEachSearched(text, visit);
  }

  #forEachSearched(text: string, visit: (start: number, end: number, groups: Groups) => void): void {
    const machine = this.#machine(text);
    let from = 0;
    let hasPrevious = false;
    let isAfterEmpty = false;
    for (;;) {
      let captures: Captures | undefined;
      if (isAfterEmpty) {
        captures = machine.search({ from, isExact: false, isContinuation: true, hasPrevious });
        if (captures === undefined) {
          if (from >= text.length) return;
          from++;
        }
      }
      if (captures === undefined) {
        hasPrevious ||= isAfterEmpty || from > 0;
        captures = machine.search({ from, isExact: false, isContinuation: false, hasPrevious });
      }
      if (captures === undefined) return;
      const start = captures[0]!;
      const end = captures[1]!;
      visit(start, end, groupsOf(text, captures));
      isAfterEmpty = start === end;
      if (isAfterEmpty && end >= text.length) return;
      from = end;
    }
  }

  #machine(text: string): RegexMachine {
    this.#program ??= compileRegex(this.#parsed);
    return new RegexMachine(this.#program, text);
  }
}

interface Translated extends TranslatedRegex {
  readonly expression: RegExp;
}

function prepare(translated: TranslatedRegex | undefined, extent: "whole" | "part"): Translated | undefined {
  if (translated === undefined) return undefined;
  const expression =
    extent === "whole" ? new RegExp(`^(?:${translated.source})$`) : new RegExp(translated.source, "g");
  return { ...translated, expression };
}

function isAffordable({ choices, loops }: TranslatedRegex, length: number, starts: number): boolean {
  return loops === 0 || choices * (length + 1) ** (loops + (loops > 0 ? starts : 0)) <= MAX_STEPS;
}

/** An empty match is the last resort of such an expression, so after one nothing longer starts at the same place. */
function forEachTranslated(
  expression: RegExp,
  text: string,
  visit: (start: number, end: number, groups: Groups) => void,
): void {
  expression.lastIndex = 0;
  for (;;) {
    const match = expression.exec(text);
    if (match === null) return;
    const start = match.index;
    const end = start + match[0].length;
    visit(start, end, match.length === 1 ? NO_GROUPS : match.slice(1));
    if (start !== end) continue;
    if (end >= text.length) return;
    expression.lastIndex = end + 1;
  }
}

const NO_GROUPS: Groups = [];

function groupsOf(text: string, captures: Captures): Groups {
  const groups: (string | undefined)[] = [];
  for (let i = 2; i < captures.length; i += 2)
    groups.push(captures[i + 1]! < 0 ? undefined : text.slice(captures[i], captures[i + 1]));
  return groups;
}

const cache = new Map<string, Regex>();
const MAX_CACHED = 5_000;

/** The compiled form of a pattern, kept for the next call. @throws {RegexError} */
export function cachedRegex(pattern: string): Regex {
  let regex = cache.get(pattern);
  if (regex === undefined) {
    regex = new Regex(pattern);
    if (cache.size >= MAX_CACHED) cache.clear();
    cache.set(pattern, regex);
  }
  return regex;
}
