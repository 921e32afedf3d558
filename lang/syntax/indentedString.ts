import type { Pos } from "../value/position.ts";
import type { ConcatPart, Expr } from "./ast.ts";

/** A piece of an indented string: an interpolation, text, or an escape (whose text is no indentation). */
export type IndentedPart =
  | { readonly pos: Pos; readonly expr: Expr }
  | { readonly pos: Pos; readonly text: string; readonly hasIndentation: boolean };

/** Takes the common indentation away, as Nix does: blank lines do not count, nor does a last line of spaces. */
export function stripIndentation(parts: readonly IndentedPart[], pos: Pos): Expr {
  const indentation = commonIndentation(parts);
  const stripped: ConcatPart[] = [];
  let isLineStart = true;
  let dropped = 0;
  for (let index = 0; index < parts.length; index++) {
    const part = parts[index]!;
    if ("expr" in part) {
      isLineStart = false;
      dropped = 0;
      stripped.push(part);
      continue;
    }
    let text = "";
    const raw = part.text;
    let copied = 0;
    for (let i = 0; i < raw.length; i++) {
      if (!isLineStart) {
        const lineFeed = raw.indexOf("\n", i);
        if (lineFeed < 0) break;
        i = lineFeed;
        isLineStart = true;
        dropped = 0;
        continue;
      }
      const code = raw.charCodeAt(i);
      if (code === 32) {
        if (dropped++ < indentation) {
          text += raw.slice(copied, i);
          copied = i + 1;
        }
      } else {
        dropped = 0;
        if (code !== 10) isLineStart = false;
      }
    }
    text += raw.slice(copied);
    if (index === parts.length - 1) {
      const lineFeed = text.lastIndexOf("\n");
      if (lineFeed >= 0 && /^ *$/.test(text.slice(lineFeed + 1))) text = text.slice(0, lineFeed + 1);
    }
    if (text !== "") stripped.push({ pos: part.pos, expr: { kind: "string", text } });
  }
  const first = stripped[0];
  if (first === undefined) return { kind: "string", text: "" };
  if (stripped.length === 1 && first.expr.kind === "string") return first.expr;
  return { kind: "concat", parts: stripped, isString: true, pos };
}

function commonIndentation(parts: readonly IndentedPart[]): number {
  let isLineStart = true;
  let least = 1_000_000;
  let current = 0;
  for (const part of parts) {
    if ("expr" in part || !part.hasIndentation) {
      if (isLineStart) {
        isLineStart = false;
        least = Math.min(least, current);
      }
      continue;
    }
    const { text } = part;
    for (let i = 0; i < text.length; i++) {
      if (!isLineStart) {
        const lineFeed = text.indexOf("\n", i);
        if (lineFeed < 0) break;
        i = lineFeed;
        isLineStart = true;
        current = 0;
        continue;
      }
      const code = text.charCodeAt(i);
      if (code === 32) current++;
      else if (code === 10) current = 0;
      else {
        isLineStart = false;
        least = Math.min(least, current);
      }
    }
  }
  return least;
}
