import { DevshellError, type SourcePos, type TraceFrame } from "./error.ts";

export interface FormatErrorOptions {
  /** All frames of the trace, instead of the first few. */
  readonly showTrace?: boolean;
  readonly colour?: boolean;
  readonly level?: "error" | "warning";
  /** `false`: not what we add to what Nix says. */
  readonly hasHint?: boolean;
  /** Source lines byte for byte, for a reader that is no terminal: to be written with `bytesOfShown`. */
  readonly isRaw?: boolean;
}

/** A trace is cut once it takes this many lines' worth: a frame with an excerpt counts twice. */
const SHORT_TRACE = 3;
/** A run of frames that were all shown before is left out when longer than this. */
const MAX_REPEATED_FRAMES = 5;

/**
 * Prints an error as Nix does: the trace from the outside in, then the message, its place with the source lines
 * around it, what may have been meant, and our hint.
 * @returns lines without a final line feed
 */
export function formatError(error: unknown, options: FormatErrorOptions = {}): string {
  const paint = options.colour === true ? colours : plain;
  const isRaw = options.isRaw === true;
  const showLine = isRaw ? rawText : (line: string) => withoutControls(shownText(line));
  if (!(error instanceof DevshellError)) {
    const message = error instanceof Error ? error.message : String(error);
    return `${paint.red("error:")} ${message}`;
  }
  // What evaluation quotes is bytes, whether they are text or not.
  const isBytes = error.code.startsWith("LANG_");
  const showMessage = isBytes
    ? isRaw
      ? rawText
      : (text: string) => rawText(text).toWellFormed()
    : shownText;
  const show: Show = { line: showLine, message: showMessage };
  const level = options.level ?? "error";
  const prefix = `${level === "error" ? paint.red("error:") : paint.yellow("warning:")} `;
  let body = "";
  if (error.trace.length > 0)
    body += `${formatTrace(error.trace, options.showTrace ?? false, paint, show)}\n${prefix}`;
  body += `${showMessage(error.message)}\n`;
  body += formatPos(error.pos, "", paint, showLine);
  const suggestions = formatSuggestions(error.suggestions, paint);
  if (suggestions !== "") body += `${suggestions}\n`;
  if (error.hint !== undefined && options.hasHint !== false)
    body += `${paint.cyan("hint:")} ${shownText(error.hint)}\n`;
  const margin = " ".repeat(`${level}: `.length);
  // A quoted text's last line feed stands, as in Nix: an empty line ends it.
  const last = error.message.endsWith("\n") ? `\n${margin}` : "";
  return `${indent(prefix, margin, chomp(body))}${last}`;
}

/** Without blanks at the end, as Nix means them: other white space is part of a message. */
function chomp(text: string): string {
  let end = text.length;
  while (end > 0 && " \t\n\r".includes(text.charAt(end - 1))) end--;
  return text.slice(0, end);
}

/** An empty text stays one, as in Nix: it has no first line. */
function indent(first: string, rest: string, text: string): string {
  if (text === "") return "";
  return text
    .split("\n")
    .map((line, i) => chomp(`${i === 0 ? first : rest}${line}`))
    .join("\n");
}

function formatTrace(trace: readonly TraceFrame[], showTrace: boolean, paint: Paint, show: Show): string {
  let text = "";
  let weight = 0;
  let isTruncated = false;
  const seen = new Set<string>();
  let repeated: TraceFrame[] = [];
  const print = (frame: TraceFrame): void => {
    text += `\n… ${show.message(frame.message)}\n`;
    const place = formatPos(frame.pos, "  ", paint, show.line);
    if (place !== "") weight++;
    text += place;
  };
  const flushRepeated = (): void => {
    if (repeated.length <= MAX_REPEATED_FRAMES) for (const frame of repeated) print(frame);
    else text += `\n${paint.yellow(`(${repeated.length} duplicate frames omitted)`)}\n`;
    repeated = [];
  };
  for (let i = trace.length - 1; i >= 0; i--) {
    const frame = trace[i]!;
    if (frame.message === "") continue;
    if (!showTrace && weight > SHORT_TRACE) isTruncated = true;
    if (isTruncated && frame.isAlways !== true) continue;
    const key = `${frame.message}\0${showPlace(frame.pos)}`;
    if (seen.has(key)) {
      repeated.push(frame);
      continue;
    }
    seen.add(key);
    flushRepeated();
    weight++;
    print(frame);
  }
  flushRepeated();
  if (isTruncated)
    text += `\n${paint.yellow("(stack trace truncated; use '--show-trace' to show the full, detailed trace)")}\n`;
  return text;
}

function showPlace(pos: SourcePos | undefined): string {
  return pos === undefined ? "" : `${nameOfOrigin(pos)}:${pos.line}:${pos.column}`;
}

function nameOfOrigin(pos: SourcePos): string {
  switch (pos.origin.kind) {
    case "file":
      return shownText(pos.origin.shown ?? pos.origin.path);
    case "string":
      return "«string»";
    case "stdin":
      return "«stdin»";
  }
}

/** Longest excerpt of a line. */
const MAX_LINE = 10_000;

/** Source text may hold anything: what a terminal would obey is shown as a symbol. */
function withoutControls(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\x00-\x08\x0B-\x1F\x7F-\x9F]/g, (char) => {
    const code = char.charCodeAt(0);
    return code < 0x20 ? String.fromCharCode(0x2400 + code) : "\uFFFD";
  });
}

/** `at /file:1:2:` and the source lines around it; "" without a position. */
function formatPos(pos: SourcePos | undefined, margin: string, paint: Paint, showLine: ShowLine): string {
  if (pos === undefined) return "";
  return `${margin}${paint.blue("at ")}${paint.yellow(showPlace(pos))}:${excerptOf(pos, paint, showLine)}\n`;
}

/** `/file:1:2`, and below it the source lines around it. */
export function formatPlace(pos: SourcePos): string {
  const excerpt = excerptOf(pos, plain, (line) => withoutControls(shownText(line)));
  return excerpt === "" ? showPlace(pos) : `${showPlace(pos)}\n${excerpt}`;
}

/** The source lines around a position, each after a line feed; "" where the text is unknown. */
function excerptOf(pos: SourcePos, paint: Paint, showLine: ShowLine): string {
  const text = sourceText(pos);
  if (text === undefined || text === "") return "";
  const lines = text.split(/\r\n|\n|\r/);
  let excerpt = "";
  const shownLine = lines[pos.line - 1];
  // A line may be the whole of a huge file: what is shown of it begins here.
  const from =
    shownLine !== undefined && shownLine.length > MAX_LINE ? Math.max(0, pos.column - MAX_LINE / 2) : 0;
  const print = (line: number): void => {
    const content = lines[line - 1]?.slice(from, from + MAX_LINE);
    if (content !== undefined) excerpt += `\n${String(line).padStart(6)}| ${showLine(content)}`;
  };
  if (pos.line > 1) print(pos.line - 1);
  print(pos.line);
  if (pos.column > 0) excerpt += `\n      |${" ".repeat(pos.column - from)}${paint.red("^")}`;
  print(pos.line + 1);
  return excerpt;
}

function sourceText(pos: SourcePos): string | undefined {
  return "text" in pos.origin ? pos.origin.text : pos.text;
}

/** "Did you mean a?", "Did you mean one of a, b or c?" */
function formatSuggestions(names: readonly string[], paint: Paint): string {
  const shown = names.map((name) => paint.yellow(shownText(name)));
  const last = shown.pop();
  if (last === undefined) return "";
  return shown.length === 0 ? `Did you mean ${last}?` : `Did you mean one of ${shown.join(", ")} or ${last}?`;
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * Messages hold byte strings (what evaluation and the store quote) or text (what the command line and specs quote):
 * what is not UTF-8 as bytes is text already.
 */
export function shownText(text: string): string {
  // eslint-disable-next-line no-control-regex
  if (!/[\x80-\xff]/.test(text) || /[^\x00-\xff]/.test(text)) return text;
  try {
    return utf8.decode(Buffer.from(text, "latin1"));
  } catch {
    return text;
  }
}

type ShowLine = (line: string) => string;

interface Show {
  readonly line: ShowLine;
  readonly message: (text: string) => string;
}

/** Decodes bytes; one that is no part of UTF-8 text becomes a lone surrogate, which no text holds. */
export function rawText(bytes: string): string {
  // eslint-disable-next-line no-control-regex
  if (!/[\x80-\xff]/.test(bytes) || /[^\x00-\xff]/.test(bytes)) return bytes;
  let text = "";
  for (const part of bytes.split(UTF8_CHAR)) {
    const char = part.length > 1 ? shownText(part) : part;
    text +=
      char.length === 1 && char === part && char >= "\x80"
        ? String.fromCharCode(0xdc00 + char.charCodeAt(0))
        : char;
  }
  return text;
}

/** What looks like a character beyond ASCII, and what is between. */
const UTF8_CHAR = /([\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}|[\x80-\xff])/;

/** The bytes of what `rawText` gave, or `formatError` with `isRaw`. */
export function bytesOfShown(text: string): Uint8Array {
  return Buffer.concat(
    text
      .split(/([\udc80-\udcff])/)
      .map((part, i) =>
        i % 2 === 1 && part.length === 1
          ? Buffer.from([part.charCodeAt(0) - 0xdc00])
          : Buffer.from(part, "utf8"),
      ),
  );
}

interface Paint {
  red(text: string): string;
  blue(text: string): string;
  yellow(text: string): string;
  cyan(text: string): string;
}

const same = (text: string): string => text;
const plain: Paint = { red: same, blue: same, yellow: same, cyan: same };

const ansi =
  (codes: string) =>
  (text: string): string =>
    `\u001B[${codes}m${text}\u001B[0m`;
const colours: Paint = {
  red: ansi("31;1"),
  blue: ansi("34;1"),
  yellow: ansi("35;1"),
  cyan: ansi("36;1"),
};
