import type { ByteString } from "../../core/index.ts";
import { sourceOf, type Pos, type Source } from "../value/position.ts";
import { parse } from "./parser.ts";

const known = new WeakMap<Source, ReadonlyMap<Pos, string>>();

/** What the doc comment of a function or attribute says, by its place; its source is parsed once more for that. */
export function docCommentAt(pos: Pos): ByteString | undefined {
  const source = sourceOf(pos);
  if (source === undefined) return undefined;
  let comments = known.get(source);
  if (comments === undefined) {
    const found = new Map<Pos, string>();
    parse(source, { baseDir: "/", homeDir: "/", allowsPipes: true, docComments: found });
    known.set(source, (comments = found));
  }
  const comment = comments.get(pos);
  return comment === undefined ? undefined : innerText(comment);
}

/** The text between its marks, without indentation. */
function innerText(comment: string): string {
  const lines = `   ${comment.slice("/**".length, -"*/".length)}`.split("\n");
  const indents = lines.filter((line) => line.trim() !== "").map((line) => /^ */.exec(line)![0].length);
  const indent = Math.min(...indents);
  return lines.map((line) => `${line.slice(indent)}\n`).join("");
}
