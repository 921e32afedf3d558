import { isSameReport } from "./compareReports.ts";

export type Difference =
  /** `--parse` prints something else, or only one side parses. */
  | "parse"
  /** A value on one side, an error on the other. */
  | "outcome"
  | "value"
  /** The first line of what the error says. */
  | "message"
  /** The same message, but a place or a trace that differs. */
  | "report";

interface Both<T> {
  readonly here: T;
  readonly peer: T;
}

/**
 * How two answers to the same program differ; `undefined` where they are equal.
 *
 * Not counted: our hints; what the newer suite words otherwise than this Nix (see `isSameReport`); blanks, which Nix
 * rearranges as it prints to a terminal; and two that depend on what the same process read before: which of several
 * undefined variables or missing arguments is named.
 */
export function compareAnswers(
  parsed: Both<string | undefined>,
  printed: Both<string>,
): Difference | undefined {
  if (parsed.here !== parsed.peer) return "parse";
  const [here, peer] = [normal(printed.here), normal(printed.peer)];
  if (here === peer) return undefined;
  const [ourMessage, itsMessage] = [messageOf(here), messageOf(peer)];
  if (ourMessage === undefined && itsMessage === undefined)
    return isSameText(here, peer) ? undefined : "value";
  if (ourMessage === undefined || itsMessage === undefined) return "outcome";
  if (!isSameText(ourMessage, itsMessage)) return "message";
  return isSameReport(here, peer, isSameText) ? undefined : "report";
}

function normal(printed: string): string {
  return printed
    .replace(/\n *hint: did you mean .*/g, "")
    .replace(/\n[[{]$/, "")
    .replace(/[\t\r]| +/g, " ")
    .replace(/ *\n */g, "\n")
    .trim();
}

const THUNK = Buffer.from("«thunk»").toString("latin1");

/**
 * Values shown in messages are not evaluated for it: here, more of them happens to be known. Worded otherwise there:
 * TOML's errors (by its library), those of file access (here by the test's host), names that the store refuses.
 */
function isSameText(here: string, peer: string): boolean {
  const [ours, its] = [comparable(here), comparable(peer)];
  const parts = its.split(THUNK);
  const last = parts.pop() ?? "";
  let at = 0;
  for (const [index, part] of parts.entries()) {
    const found = ours.indexOf(part, at);
    if (found < 0 || (index === 0 && found > 0)) return false;
    at = found + part.length;
  }
  return parts.length === 0 ? ours === last : ours.endsWith(last) && ours.length - last.length >= at;
}

function comparable(text: string): string {
  return text
    .replace(/undefined variable '\S*'/g, "undefined variable")
    .replace(/(called with(?:out required| unexpected) argument) '\S*'/g, "$1")
    .replace(/while parsing TOML: [^]*?(?=\u00c2\u00bb|$)/g, "while parsing TOML")
    .replace(/read of \d+ bytes: Is a directory|path '[^']*' does not exist/g, "cannot read")
    .replace(/Cannot use name ".*": .*|path '[^']*' is not a valid store path: .*/g, "wrong name")
    .replace(/\s+/g, "");
}

/** The first line of what an error report says at last; `undefined` for a value. */
export function messageOf(printed: string): string | undefined {
  const start = /^error:(?: (.*))?$/m.exec(printed);
  if (start === null) return undefined;
  return start[1] ?? /^ *error: ?(.*)$/m.exec(printed.slice(start.index + "error:".length))?.[1] ?? "";
}
