import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { DevshellError, fsPath } from "../../core/index.ts";
import {
  AttrSet,
  INTERNAL_FILES,
  Lambda,
  PathValue,
  isStringValue,
  sourcePos,
  showPos,
  textOf,
  type Value,
} from "../../lang/index.ts";
import type { ReplSession } from "./replSession.ts";

interface Place {
  readonly file: string;
  /** 0 where none is known. */
  readonly line: number;
  /** What it holds, where that is known: a file of the language's own is none on disk. */
  readonly text: string | undefined;
}

/** `:e`: opens $EDITOR where a value was written. */
export function editDefinition(session: ReplSession, expression: string): void {
  const place = placeOf(session, session.evaluate(expression), expression);
  const isFile = place.text === undefined || existsSync(fsPath(place.file));
  if (isFile) openEditor(fsPath(place.file).toString("utf8"), place.line);
  else {
    const directory = mkdtempSync(join(tmpdir(), "devshell-edit-"));
    try {
      const copy = join(directory, basename(place.file));
      writeFileSync(copy, place.text ?? "", { encoding: "latin1", mode: 0o444 });
      openEditor(copy, place.line);
    } finally {
      rmSync(directory, { recursive: true });
    }
  }
  // What was edited is read anew.
  if (isFile) session.reload();
}

function placeOf(session: ReplSession, value: Value, expression: string): Place {
  if (value instanceof PathValue || isStringValue(value)) {
    const file = value instanceof PathValue ? value.path : textOf(value);
    const text = INTERNAL_FILES.get(file);
    if (text === undefined && !file.startsWith("/"))
      throw new DevshellError("REPL_EDIT", `string '${file}' doesn't represent an absolute path`);
    return { file, line: 0, text };
  }
  if (value instanceof Lambda) {
    const place = sourcePos(value.code.pos);
    if (place?.origin.kind !== "file")
      throw new DevshellError("REPL_EDIT", `'${showPos(value.code.pos)}' cannot be shown in an editor`);
    return { file: place.origin.path, line: place.line, text: place.text };
  }
  return packagePlace(session, value, expression);
}

/** A package says in `meta.position` where it was written. */
function packagePlace(session: ReplSession, value: Value, expression: string): Place {
  const { evaluator } = session;
  const meta = value instanceof AttrSet ? value.get("meta") : undefined;
  const metaSet = meta === undefined ? undefined : evaluator.force(meta);
  const position = metaSet instanceof AttrSet ? metaSet.get("position") : undefined;
  const text = position === undefined ? undefined : evaluator.force(position);
  const match = isStringValue(text as Value) ? /^(.*):(\d+)$/s.exec(textOf(text as string)) : null;
  if (match === null)
    throw new DevshellError("REPL_EDIT", `package '${expression}' has no source location information`, {
      hint: "it would be in `meta.position`",
    });
  return { file: match[1]!, line: Number(match[2]), text: undefined };
}

/** The usual editors can be told a line. */
function openEditor(file: string, line: number): void {
  const editor = process.env["EDITOR"] ?? "nano";
  const [program = "nano", ...words] = editor.trim().split(/\s+/);
  const at = line > 0 && /emacs|nano|vim|kak/.test(editor) ? [`+${line}`] : [];
  const { error } = spawnSync(program, [...words, ...at, file], { stdio: "inherit" });
  if (error !== undefined)
    throw new DevshellError("REPL_EDIT", `Cannot run the editor "${program}": ${error.message}`, {
      hint: "EDITOR names another",
    });
}
