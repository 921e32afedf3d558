import { isAbsolute } from "node:path";
import { shownText, type SourcePos } from "../../core/index.ts";
import type { PositionReport } from "./types.ts";

/** A place as editors know it; undefined for places in texts, and in what is no file of the machine's. */
export function describePosition(pos: SourcePos | undefined): PositionReport | undefined {
  if (pos?.origin.kind !== "file" || pos.line < 1) return undefined;
  const path = shownText(pos.origin.path);
  if (!isAbsolute(path)) return undefined;
  const { line, endColumn } = pos;
  const column = Math.max(1, pos.column);
  return { path, line, column, ...(endColumn !== undefined && endColumn > column && { endColumn }) };
}
