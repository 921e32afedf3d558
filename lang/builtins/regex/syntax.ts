/**
 * The syntax of Nix's regular expressions: POSIX extended as libstdc++ reads them (`std::regex::extended`, C locale),
 * over bytes. Where POSIX leaves a case open, libstdc++'s answer is taken, since derivations depend on it.
 */
export type RegexNode =
  | { readonly kind: "empty" }
  | { readonly kind: "set"; readonly set: ByteSet }
  | { readonly kind: "bol" }
  | { readonly kind: "eol" }
  | { readonly kind: "group"; readonly index: number; readonly body: RegexNode }
  | { readonly kind: "sequence"; readonly items: readonly RegexNode[] }
  | { readonly kind: "alternatives"; readonly left: RegexNode; readonly right: RegexNode }
  | {
      readonly kind: "repeat";
      readonly body: RegexNode;
      readonly min: number;
      /** `Infinity` where unbounded. */
      readonly max: number;
    };

/** One flag for each byte. */
export type ByteSet = Uint8Array;

export interface ParsedRegex {
  readonly root: RegexNode;
  readonly groupCount: number;
}

/** Thrown for a pattern that is no regular expression (`syntax`) or too large (`space`). */
export class RegexError extends Error {
  readonly reason: "syntax" | "space";
  constructor(reason: "syntax" | "space") {
    super(reason === "syntax" ? "invalid regular expression" : "regular expression too large");
    this.reason = reason;
  }
}

/** libstdc++'s `_GLIBCXX_REGEX_STATE_LIMIT`. */
const STATE_LIMIT = 100_000;
/** Nesting of groups; real patterns stay far below. */
const DEPTH_LIMIT = 2_000;
const SPECIAL = ".[\\()*+?{|^$";

/** @throws {RegexError} */
export function parseRegex(pattern: string): ParsedRegex {
  return new Parser(pattern).parse();
}

/** A node with the number of automaton states that libstdc++ would give it. */
interface Sized {
  readonly node: RegexNode;
  readonly states: number;
}

class Parser {
  readonly #text: string;
  #at = 0;
  #groups = 0;
  #states = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): ParsedRegex {
    this.#count(3);
    const { node } = this.#disjunction();
    if (this.#at < this.#text.length) throw new RegexError("syntax");
    return { root: node, groupCount: this.#groups };
  }

  #count(states: number): void {
    this.#states += states;
    if (this.#states > STATE_LIMIT) throw new RegexError("space");
  }

  #disjunction(): Sized {
    if (++this.#depth > DEPTH_LIMIT) throw new RegexError("space");
    let { node, states } = this.#sequence();
    while (this.#text[this.#at] === "|") {
      this.#at++;
      const right = this.#sequence();
      this.#count(2);
      node = { kind: "alternatives", left: node, right: right.node };
      states += right.states + 2;
    }
    this.#depth--;
    return { node, states };
  }

  #sequence(): Sized {
    const items: RegexNode[] = [];
    let states = 1;
    for (;;) {
      const term = this.#term();
      if (term === undefined) break;
      items.push(term.node);
      states += term.states;
    }
    this.#count(1);
    const only = items.length === 1 ? items[0] : undefined;
    if (items.length === 0) return { node: { kind: "empty" }, states };
    return { node: only ?? { kind: "sequence", items }, states };
  }

  #term(): Sized | undefined {
    const char = this.#text[this.#at];
    if (char === "^" || char === "$") {
      this.#at++;
      this.#count(1);
      return { node: { kind: char === "^" ? "bol" : "eol" }, states: 1 };
    }
    let atom = this.#atom();
    if (atom === undefined) return undefined;
    for (;;) {
      const next = this.#quantified(atom);
      if (next === undefined) return atom;
      atom = next;
    }
  }

  #atom(): Sized | undefined {
    const char = this.#text[this.#at];
    if (char === undefined || "|)*+?{".includes(char)) return undefined;
    this.#at++;
    switch (char) {
      case ".":
        return this.#set(anyByte());
      case "[":
        return this.#set(this.#bracket());
      case "(":
        return this.#group();
      case "\\": {
        const escaped = this.#text[this.#at++];
        if (escaped === undefined || !SPECIAL.includes(escaped)) throw new RegexError("syntax");
        return this.#set(oneByte(escaped.charCodeAt(0)));
      }
      default:
        return this.#set(oneByte(char.charCodeAt(0)));
    }
  }

  #set(set: ByteSet): Sized {
    this.#count(1);
    return { node: { kind: "set", set }, states: 1 };
  }

  #group(): Sized {
    const index = ++this.#groups;
    this.#count(2);
    const { node, states } = this.#disjunction();
    if (this.#text[this.#at] !== ")") throw new RegexError("syntax");
    this.#at++;
    return { node: { kind: "group", index, body: node }, states: states + 2 };
  }

  #quantified({ node, states }: Sized): Sized | undefined {
    const repeat = (min: number, max: number, more: number): Sized => {
      this.#at++;
      this.#count(more);
      return { node: { kind: "repeat", body: node, min, max }, states: states + more };
    };
    switch (this.#text[this.#at]) {
      case "*":
        return repeat(0, Infinity, 1);
      case "+":
        return repeat(1, Infinity, 1);
      case "?":
        return repeat(0, 1, 2);
      case "{": {
        this.#at++;
        return this.#interval(node, states);
      }
      default:
        return undefined;
    }
  }

  #interval(body: RegexNode, states: number): Sized {
    const min = this.#number();
    if (min === undefined) throw new RegexError("syntax");
    let max = min;
    if (this.#text[this.#at] === ",") {
      this.#at++;
      max = this.#number() ?? Infinity;
    }
    if (this.#text[this.#at] !== "}" || max < min) throw new RegexError("syntax");
    this.#at++;
    const copies = max === Infinity ? min + 1 : max;
    const size = copies * states + (max === Infinity ? 2 : 2 + (max - min));
    this.#count(size);
    return { node: { kind: "repeat", body, min, max }, states: size };
  }

  #number(): number | undefined {
    const start = this.#at;
    while (isDigit(this.#text.charCodeAt(this.#at))) this.#at++;
    if (this.#at === start) return undefined;
    const value = Number(this.#text.slice(start, this.#at));
    if (value > 0x7fffffff) throw new RegexError("syntax");
    return value;
  }

  /** After the `[`. The last single byte waits, since a `-` may make it the start of a range. */
  #bracket(): ByteSet {
    const set = new Uint8Array(256);
    const isNegated = this.#text[this.#at] === "^";
    if (isNegated) this.#at++;
    let last: number | "class" | undefined;
    let isStart = true;
    const flush = (): void => {
      if (typeof last === "number") set[last] = 1;
    };
    for (;;) {
      const item = this.#bracketItem(isStart);
      if (item.kind === "end") break;
      if (item.kind === "byte") {
        flush();
        last = item.byte;
      } else if (item.kind === "class") {
        flush();
        last = "class";
        for (const byte of item.bytes) set[byte] = 1;
      } else if (isStart) {
        last = 45;
      } else {
        const next = this.#bracketItem(false);
        if (next.kind === "end") {
          flush();
          last = 45;
          break;
        }
        if (typeof last !== "number" || next.kind === "class" || (next.kind === "byte" && next.isNamed))
          throw new RegexError("syntax");
        addRange(set, last, next.kind === "dash" ? 45 : next.byte);
        last = undefined;
      }
      isStart = false;
    }
    flush();
    return isNegated ? set.map((flag) => 1 - flag) : set;
  }

  #bracketItem(isStart: boolean): BracketItem {
    const char = this.#text[this.#at++];
    if (char === undefined) throw new RegexError("syntax");
    if (char === "-") return { kind: "dash" };
    if (char === "]" && !isStart) return { kind: "end" };
    if (char !== "[") return { kind: "byte", byte: char.charCodeAt(0), isNamed: false };
    const mark = this.#text[this.#at];
    if (mark === undefined) throw new RegexError("syntax");
    if (mark !== ":" && mark !== "." && mark !== "=") return { kind: "byte", byte: 91, isNamed: false };
    const end = this.#text.indexOf(mark, this.#at + 1);
    if (end < 0 || this.#text[end + 1] !== "]") throw new RegexError("syntax");
    const name = this.#text.slice(this.#at + 1, end);
    this.#at = end + 2;
    if (mark === ":") return { kind: "class", bytes: classBytes(name) };
    const byte = COLLATING_NAMES.indexOf(name);
    if (byte < 0) throw new RegexError("syntax");
    if (mark === ".") return { kind: "byte", byte, isNamed: true };
    const letter = String.fromCharCode(byte);
    return {
      kind: "class",
      bytes: [letter.toLowerCase().charCodeAt(0), letter.toUpperCase().charCodeAt(0)],
    };
  }
}

type BracketItem =
  | { readonly kind: "end" }
  | { readonly kind: "dash" }
  | { readonly kind: "byte"; readonly byte: number; readonly isNamed: boolean }
  | { readonly kind: "class"; readonly bytes: Iterable<number> };

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

function oneByte(byte: number): ByteSet {
  const set = new Uint8Array(256);
  set[byte] = 1;
  return set;
}

/** POSIX's `.`: every byte but NUL, newline included. */
function anyByte(): ByteSet {
  const set = new Uint8Array(256).fill(1);
  set[0] = 0;
  return set;
}

/** Ranges compare as C's signed `char`, so bytes beyond 127 come before the others. */
function addRange(set: ByteSet, first: number, last: number): void {
  const low = (first << 24) >> 24;
  const high = (last << 24) >> 24;
  if (low > high) throw new RegexError("syntax");
  for (let byte = low; byte <= high; byte++) set[byte & 255] = 1;
}

const CLASSES: Readonly<Record<string, RegExp>> = {
  alnum: /[0-9A-Za-z]/,
  alpha: /[A-Za-z]/,
  blank: /[\t ]/,
  // eslint-disable-next-line no-control-regex
  cntrl: /[\x00-\x1f\x7f]/,
  d: /[0-9]/,
  digit: /[0-9]/,
  graph: /[!-~]/,
  lower: /[a-z]/,
  print: /[ -~]/,
  punct: /[!-/:-@[-`{-~]/,
  s: /[\t-\r ]/,
  space: /[\t-\r ]/,
  upper: /[A-Z]/,
  w: /[0-9A-Za-z_]/,
  xdigit: /[0-9A-Fa-f]/,
};

function classBytes(name: string): number[] {
  const lower = name.toLowerCase();
  const pattern = Object.hasOwn(CLASSES, lower) ? CLASSES[lower] : undefined;
  if (pattern === undefined) throw new RegexError("syntax");
  const bytes: number[] = [];
  for (let byte = 0; byte < 128; byte++) if (pattern.test(String.fromCharCode(byte))) bytes.push(byte);
  return bytes;
}

/** POSIX's names of the ASCII characters, by code. */
const COLLATING_NAMES: readonly string[] = [
  ..."NUL SOH STX ETX EOT ENQ ACK alert backspace tab newline vertical-tab form-feed carriage-return SO SI".split(
    " ",
  ),
  ..."DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC IS4 IS3 IS2 IS1 space exclamation-mark quotation-mark".split(
    " ",
  ),
  ..."number-sign dollar-sign percent-sign ampersand apostrophe left-parenthesis right-parenthesis asterisk".split(
    " ",
  ),
  ..."plus-sign comma hyphen period slash zero one two three four five six seven eight nine colon semicolon".split(
    " ",
  ),
  ..."less-than-sign equals-sign greater-than-sign question-mark commercial-at".split(" "),
  ..."ABCDEFGHIJKLMNOPQRSTUVWXYZ".split(""),
  ..."left-square-bracket backslash right-square-bracket circumflex underscore grave-accent".split(" "),
  ..."abcdefghijklmnopqrstuvwxyz".split(""),
  ..."left-curly-bracket vertical-line right-curly-bracket tilde DEL".split(" "),
];
