import type { SpecDocument } from "./specDocument.ts";
import { entryAt, nodeAt, type Span } from "./specTree.ts";
import type { SpecProblem } from "./validateSpec.ts";

/** A change of a document that mends a problem. */
export interface SpecMend {
  readonly kind: "change" | "remove" | "makeList" | "makeText" | "makeBoolean";
  /** What comes in place of the span. */
  readonly text: string;
  readonly span: Span;
  /** What it is called: the suggestion, the field, the value. */
  readonly name: string;
}

/** What can be done about a problem, best first. */
export function mendsOf(document: SpecDocument, problem: SpecProblem): SpecMend[] {
  const mends: SpecMend[] = [];
  const { path } = problem;
  if (path === undefined) return mends;
  if (problem.isKey)
    for (const name of problem.suggestions) {
      const span = { start: problem.start, end: problem.end };
      mends.push({
        kind: "change",
        name,
        span,
        text: likeWord(document.text.slice(span.start, span.end), name),
      });
    }
  switch (problem.mend?.kind) {
    case "remove": {
      const span = removalOf(document, path);
      if (span !== undefined) mends.push({ kind: "remove", name: String(path.at(-1)), span, text: "" });
      break;
    }
    case "makeList":
    case "makeText": {
      const node = nodeAt(document.root, path);
      if (node?.kind !== "scalar" || document.text.slice(node.start, node.end).includes("\n")) break;
      const word = document.text.slice(node.start, node.end);
      const span = { start: node.start, end: node.end };
      mends.push(
        problem.mend.kind === "makeList"
          ? { kind: "makeList", name: word, span, text: `[${word}]` }
          : { kind: "makeText", name: word, span, text: JSON.stringify(word) },
      );
      break;
    }
    case "makeBoolean": {
      const node = nodeAt(document.root, path);
      const word = String(problem.mend.value);
      if (node?.kind === "scalar") mends.push({ kind: "makeBoolean", name: word, span: node, text: word });
      break;
    }
    case undefined:
      break;
  }
  return mends;
}

/** A name in the quotes that the word before it had. */
export function likeWord(word: string, name: string): string {
  const quote = /^["']/.exec(word)?.[0];
  return quote === undefined ? name : `${quote}${name}${quote}`;
}

/** All that goes with a field: whole lines where it has them for itself, else its comma. */
function removalOf({ text, root, file }: SpecDocument, path: readonly (string | number)[]): Span | undefined {
  const entry = entryAt(root, path);
  if (entry === undefined || entry.isScattered) return undefined;
  let { start, end } = entry;
  const after = /^[ \t]*,?[ \t]*/.exec(text.slice(end))?.[0] ?? "";
  const isBeforeComma = after.includes(",");
  const lineStart = text.lastIndexOf("\n", start - 1) + 1;
  const isFirstOnLine = text.slice(lineStart, start).trim() === "";
  const rest = /^[^\n]*/.exec(text.slice(end + after.length))?.[0] ?? "";
  const isLastOnLine = /^\s*(?:#.*|\/\/.*)?$/.test(rest);
  const isBlock = file.syntax === "toml" || (!isBeforeComma && isFirstOnLine && file.syntax === "yaml");
  if (isFirstOnLine && isLastOnLine && (isBeforeComma || isBlock)) {
    const lineEnd = text.indexOf("\n", end);
    return { start: lineStart, end: lineEnd < 0 ? text.length : Math.max(end, lineEnd + 1) };
  }
  if (isBeforeComma) return { start, end: end + after.length };
  // the last of several: the comma before it goes, too
  const before = /,\s*$/.exec(text.slice(0, start));
  if (before !== null) start = before.index;
  return { start, end };
}
