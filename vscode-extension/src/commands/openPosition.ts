import { Position, Range, Uri, window, workspace, type TextEditor } from "vscode";
import type { PositionReport } from "../../../cli/protocol/types.ts";
import { charactersOfBytes } from "../spec/byteColumns.ts";

/** Opens a file with the cursor at a position of the CLI's, whose columns count bytes. */
export async function openPosition(position: PositionReport): Promise<TextEditor> {
  const document = await workspace.openTextDocument(Uri.file(position.path));
  const line = Math.min(Math.max(position.line - 1, 0), document.lineCount - 1);
  const { text } = document.lineAt(line);
  const start = new Position(line, charactersOfBytes(text, position.column - 1));
  const end =
    position.endColumn === undefined
      ? start
      : new Position(line, charactersOfBytes(text, position.endColumn - 1));
  return await window.showTextDocument(document, { selection: new Range(start, end) });
}
