/** A text that is no TOML 1.0; the message is worded and laid out as Nix's library does. */
export class TomlSyntaxError extends Error {}

/** Bytes of the text, and what is said of them below their line. */
export interface TomlRegion {
  readonly at: number;
  readonly length: number;
  readonly note: string;
}

export function tomlError(
  text: string,
  message: string,
  regions: readonly TomlRegion[],
  hints: readonly string[] = [],
): TomlSyntaxError {
  const lines = regions.map(({ at }) => String(text.slice(0, at).split("\n").length));
  const margin = " ".repeat(Math.max(...lines.map((line) => line.length)));
  const shown = [`[error] ${message}`, " --> fromTOML"];
  for (const [i, region] of regions.entries()) {
    if (i > 0) shown.push(` ${margin} | ...`);
    shown.push(` ${margin} |`, ...excerpt(text, region, (lines[i] ?? "").padStart(margin.length), margin));
  }
  return new TomlSyntaxError(`${[...shown, ...hints].join("\n")}\n`);
}

function excerpt(text: string, { at, length, note }: TomlRegion, number: string, margin: string): string[] {
  const lineStart = text.lastIndexOf("\n", at - 1) + 1;
  const end = text.indexOf("\n", lineStart);
  const line = text.slice(lineStart, end < 0 ? undefined : end);
  const column = at - lineStart;
  const carets = "^".repeat(Math.max(1, Math.min(length, line.length - column)));
  return [` ${number} | ${printable(line)}`, ` ${margin} | ${" ".repeat(column)}${carets}-- ${note}`];
}

function printable(line: string): string {
  // eslint-disable-next-line no-control-regex
  return line.replace(/[\x00-\x08\x0b-\x1f\x7f]/g, (char) =>
    char === "\r" ? "0x0d(CARRIAGE RETURN)" : `0x${char.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}

export const INTEGER_HINTS = [
  "Hint: valid  : -42, 1_000, 1_2_3_4_5, 0xC0FFEE, 0b0010, 0o755",
  "Hint: invalid: _42, 1__000, 0123",
];
const FLOAT_HINTS = [
  "Hint: valid  : +1.0, -2e-2, 3.141_592_653_589, inf, nan",
  "Hint: invalid: .0, 1., _1.0, 1.0_, 1_.0, 1.0__0",
];
const BASED = {
  x: ["hex", "0xC0FFEE, 0xdead_beef", "hex [0-9a-fA-F]"],
  o: ["oct", "0o775, 0o04_44", "from `0` to `7`"],
  b: ["bin", "0b0101, 0b1111_0000", "0 or 1"],
} as const;

/** Why what begins at `at` is no number. */
export function numberError(text: string, token: string, at: number): TomlSyntaxError {
  const fail = (message: string, offset: number, note: string, hints: readonly string[] = []) =>
    tomlError(text, message, [{ at: at + offset, length: 1, note }], hints);
  const based = /^0([xob])/.exec(token)?.[1] as keyof typeof BASED | undefined;
  if (based !== undefined) {
    const [kind, examples, digits] = BASED[based];
    return fail(
      `toml::parse_${kind}_integer: invalid integer: ${kind}_int must be like: ${examples}`,
      2,
      `expected ${digits}`,
    );
  }
  if (token.startsWith("_"))
    return fail(
      "bad number: `_` must be surrounded by digits",
      0,
      "digits required before `_`",
      INTEGER_HINTS,
    );
  if (/^[+-]?\.\d/.test(token))
    return fail(
      "bad float: integer part is required before decimal point",
      token.indexOf("."),
      "missing integer part",
      FLOAT_HINTS,
    );
  const digits = /^[+-]?\d+(?:_\d+)*/.exec(token)?.[0];
  if (digits === undefined) return fail("bad format: unknown value appeared", 0, "here");
  if (token === "00")
    return fail("bad integer: leading zero", 0, "leading zero is not allowed", INTEGER_HINTS);
  const zero = /^[+-]?0(?=\d)/.exec(token)?.[0];
  if (zero !== undefined)
    return fail(
      "bad integer: invalid digit after an integer",
      zero.length,
      "this digit is not allowed",
      INTEGER_HINTS,
    );
  const next = token[digits.length];
  if (next === "_")
    return fail(
      "bad integer: `_` must be surrounded by digits",
      digits.length,
      "invalid underscore",
      INTEGER_HINTS,
    );
  if (next === "." || next === "e" || next === "E")
    return fail("bad float: invalid format", digits.length, "here", FLOAT_HINTS);
  return fail("toml::parse_table: newline (LF / CRLF) or EOF is expected", digits.length, "here");
}
