/**
 * Words a JSON syntax error as nlohmann's library does, by reading the text once more the way its lexer does. Only
 * for texts that are wrong, so it may be slow.
 * @param text a byte string
 */
export function explainJsonError(text: string): string {
  const lexer = new Lexer(text);
  if (text === "") {
    lexer.read();
    return lexer.report(
      "attempting to parse an empty input; check that your input string or stream contains the expected JSON",
    );
  }
  const containers: ("array" | "object")[] = [];
  const unexpected = (token: Token, what: string, expected: string | undefined): string => {
    let message = `syntax error while parsing ${what} - `;
    if (token.kind === "error") {
      message += `${token.message}; last read: '${lexer.lastRead()}'`;
      if (expected !== undefined && expected !== ANY_VALUE) message += `; expected ${expected}`;
    } else {
      message += `unexpected ${token.kind}`;
      if (expected !== undefined) message += `; expected ${expected}`;
    }
    return lexer.report(message);
  };
  let token = lexer.scan();
  for (;;) {
    let isEmpty = false;
    if (token.kind === "'{'" || token.kind === "'['") {
      const isObject = token.kind === "'{'";
      token = lexer.scan();
      if (token.kind === (isObject ? "'}'" : "']'")) isEmpty = true;
      else {
        containers.push(isObject ? "object" : "array");
        if (!isObject) continue;
        const problem = readName(token);
        if (problem !== undefined) return problem;
        token = lexer.scan();
        continue;
      }
    }
    if (!isEmpty && !SCALARS.has(token.kind)) return unexpected(token, "value", ANY_VALUE);
    for (;;) {
      const container = containers.at(-1);
      token = lexer.scan();
      if (container === undefined) return unexpected(token, "value", "end of input");
      if (token.kind === "','") {
        token = lexer.scan();
        if (container === "object") {
          const problem = readName(token);
          if (problem !== undefined) return problem;
          token = lexer.scan();
        }
        break;
      }
      const close = container === "array" ? "']'" : "'}'";
      if (token.kind !== close) return unexpected(token, container, close);
      containers.pop();
    }
  }

  function readName(name: Token): string | undefined {
    if (name.kind !== "string literal") return unexpected(name, "object key", "string literal");
    const separator = lexer.scan();
    return separator.kind === "':'" ? undefined : unexpected(separator, "object separator", "':'");
  }
}

const ANY_VALUE = "'[', '{', or a literal";
const SCALARS = new Set([
  "true literal",
  "false literal",
  "null literal",
  "string literal",
  "number literal",
]);

interface Token {
  /** As nlohmann names it, or `error`. */
  readonly kind: string;
  readonly message?: string;
}

class Lexer {
  readonly #text: string;
  #at = 0;
  /** Where the text of "last read" starts. */
  #start = 0;
  #line = 1;
  #column = 0;

  constructor(text: string) {
    this.#text = text;
    if (text.startsWith("\xef\xbb\xbf")) {
      this.#at = 3;
      this.#column = 3;
    }
  }

  report(message: string): string {
    return `[json.exception.parse_error.101] parse error at line ${this.#line}, column ${this.#column}: ${message}`;
  }

  lastRead(): string {
    // eslint-disable-next-line no-control-regex
    return this.#text.slice(this.#start, this.#at).replace(/[\x00-\x1f]/g, (char) => `<U+${hex4(char)}>`);
  }

  read(): string {
    const char = this.#text[this.#at] ?? "";
    this.#at++;
    this.#column++;
    if (char === "\n") {
      this.#line++;
      this.#column = 0;
    }
    return char;
  }

  #unread(): void {
    this.#at--;
    this.#column = Math.max(0, this.#column - 1);
  }

  scan(): Token {
    let char: string;
    do char = this.read();
    while (char !== "" && " \t\n\r".includes(char));
    switch (char) {
      case "":
        return { kind: "end of input" };
      case "[":
      case "]":
      case "{":
      case "}":
      case ":":
      case ",":
        return { kind: `'${char}'` };
      case "t":
        return this.#literal("true");
      case "f":
        return this.#literal("false");
      case "n":
        return this.#literal("null");
      case '"':
        return this.#string();
      default:
        if (/[-0-9]/.test(char)) return this.#number(char);
        return { kind: "error", message: "invalid literal" };
    }
  }

  #literal(word: string): Token {
    for (const expected of word.slice(1))
      if (this.read() !== expected) return { kind: "error", message: "invalid literal" };
    return { kind: `${word} literal` };
  }

  #number(first: string): Token {
    this.#start = this.#at - 1;
    let char = first;
    const digits = (): void => {
      do char = this.read();
      while (isDigit(char));
    };
    const fail = (what: string): Token => ({ kind: "error", message: `invalid number; expected ${what}` });
    if (char === "-") {
      char = this.read();
      if (!isDigit(char)) return fail("digit after '-'");
    }
    if (char === "0") char = this.read();
    else digits();
    if (char === ".") {
      char = this.read();
      if (!isDigit(char)) return fail("digit after '.'");
      digits();
    }
    if (char === "e" || char === "E") {
      char = this.read();
      if (char === "+" || char === "-") {
        char = this.read();
        if (!isDigit(char)) return fail("digit after exponent sign");
      } else if (!isDigit(char)) return fail("'+', '-', or digit after exponent");
      digits();
    }
    this.#unread();
    return { kind: "number literal" };
  }

  #string(): Token {
    this.#start = this.#at - 1;
    const fail = (what: string): Token => ({ kind: "error", message: `invalid string: ${what}` });
    for (;;) {
      const char = this.read();
      const code = char.charCodeAt(0);
      if (char === "") return fail("missing closing quote");
      if (char === '"') return { kind: "string literal" };
      if (char === "\\") {
        const escape = this.read();
        if (escape === "u") {
          const point = this.#hex4();
          if (point === undefined) return fail("'\\u' must be followed by 4 hex digits");
          if (point >= 0xdc00 && point <= 0xdfff)
            return fail("surrogate U+DC00..U+DFFF must follow U+D800..U+DBFF");
          if (point >= 0xd800 && point <= 0xdbff) {
            const lonely = "surrogate U+D800..U+DBFF must be followed by U+DC00..U+DFFF";
            if (this.read() !== "\\" || this.read() !== "u") return fail(lonely);
            const low = this.#hex4();
            if (low === undefined) return fail("'\\u' must be followed by 4 hex digits");
            if (low < 0xdc00 || low > 0xdfff) return fail(lonely);
          }
        } else if (escape === "" || !'"\\/bfnrt'.includes(escape))
          return fail("forbidden character after backslash");
      } else if (code < 32) {
        const short = SHORT_ESCAPES[char] === undefined ? "" : ` or ${SHORT_ESCAPES[char]}`;
        const name = `U+${hex4(char)} (${CONTROL_NAMES[code]})`;
        return fail(`control character ${name} must be escaped to \\u${hex4(char)}${short}`);
      } else if (code >= 0x80 && !this.#restOfPoint(code)) return fail("ill-formed UTF-8 byte");
    }
  }

  #hex4(): number | undefined {
    let digits = "";
    for (let i = 0; i < 4; i++) {
      const char = this.read();
      if (!/^[0-9a-fA-F]$/.test(char)) return undefined;
      digits += char;
    }
    return parseInt(digits, 16);
  }

  /** The bytes after the first of a UTF-8 sequence, by the table of well-formed ones. */
  #restOfPoint(first: number): boolean {
    const range = UTF8_TAILS.find(([low, high]) => first >= low && first <= high);
    if (range === undefined) return false;
    const [, , low, high, more] = range;
    let code = this.read().charCodeAt(0);
    if (!(code >= low && code <= high)) return false;
    for (let i = 0; i < more; i++) {
      code = this.read().charCodeAt(0);
      if (!(code >= 0x80 && code <= 0xbf)) return false;
    }
    return true;
  }
}

/** First byte from, to; second byte from, to; how many bytes follow that. */
const UTF8_TAILS: readonly (readonly [number, number, number, number, number])[] = [
  [0xc2, 0xdf, 0x80, 0xbf, 0],
  [0xe0, 0xe0, 0xa0, 0xbf, 1],
  [0xe1, 0xec, 0x80, 0xbf, 1],
  [0xed, 0xed, 0x80, 0x9f, 1],
  [0xee, 0xef, 0x80, 0xbf, 1],
  [0xf0, 0xf0, 0x90, 0xbf, 2],
  [0xf1, 0xf3, 0x80, 0xbf, 2],
  [0xf4, 0xf4, 0x80, 0x8f, 2],
];

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  "\b": "\\b",
  "\t": "\\t",
  "\n": "\\n",
  "\f": "\\f",
  "\r": "\\r",
};

const CONTROL_NAMES =
  "NUL SOH STX ETX EOT ENQ ACK BEL BS HT LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US".split(
    " ",
  );

function isDigit(char: string): boolean {
  return char >= "0" && char <= "9";
}

function hex4(char: string): string {
  return char.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0");
}
