import { readFileSync, statSync } from "node:fs";
import { DevshellError, formatError, shownText, type SourcePos } from "../../core/index.ts";
import { inUsersFiles } from "../userTrace.ts";
import { describePosition } from "./describePosition.ts";
import type { ErrorReport, PositionReport } from "./types.ts";

const MAX_TRACE = 100;
/** Nobody writes a larger spec by hand. */
const MAX_SOURCE_BYTES = 1 << 20;

/** A failure as editors show it: as it concerns the user's own files. */
export function describeError(thrown: unknown): ErrorReport {
  if (!(thrown instanceof DevshellError)) {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return {
      code: "INTERNAL_ERROR",
      message,
      hint: "this is a bug in devshell; `--show-trace` prints where",
      suggestions: [],
      trace: [],
      text: `devshell: internal error: ${message}`,
    };
  }
  const error = inUsersFiles(thrown);
  const message = shownText(error.message);
  const position = withExtent(error.pos, message);
  const trace = error.trace
    .filter((frame) => frame.message !== "" && describePosition(frame.pos) !== undefined)
    .slice(-MAX_TRACE)
    .reverse()
    .map((frame) => ({ message: shownText(frame.message), position: describePosition(frame.pos) }));
  return {
    code: error.code,
    message,
    ...(error.hint !== undefined && { hint: shownText(error.hint) }),
    ...(position !== undefined && { position }),
    suggestions: error.suggestions.map(shownText),
    trace,
    text: formatError(error, { showTrace: false, colour: false }).trimEnd(),
  };
}

/** Names of the language, and what is written like one. */
const NAME = /^[A-Za-z_][A-Za-z0-9_'-]*/;

/** A place with its end: where the error has none, that of the name which stands there and which the message quotes. */
function withExtent(pos: SourcePos | undefined, message: string): PositionReport | undefined {
  const position = describePosition(pos);
  if (pos === undefined || position === undefined || position.endColumn !== undefined) return position;
  const line = (pos.text ?? readSource(position.path))?.split(/\r\n|\n|\r/)[position.line - 1];
  if (line === undefined) return position;
  // Names are ASCII, columns are bytes.
  const name = NAME.exec(
    Buffer.from(line)
      .subarray(position.column - 1)
      .toString("latin1"),
  )?.[0];
  const isQuoted = name !== undefined && (message.includes(`'${name}'`) || message.includes(`"${name}"`));
  return isQuoted ? { ...position, endColumn: position.column + name.length } : position;
}

function readSource(path: string): string | undefined {
  try {
    const stat = statSync(path);
    return stat.isFile() && stat.size <= MAX_SOURCE_BYTES ? readFileSync(path, "utf8") : undefined;
  } catch {
    return undefined;
  }
}
