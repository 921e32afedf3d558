import type { Span } from "./specTree.ts";

/** Lines and characters count from 0, characters in UTF-16 code units. */
export interface LineRange {
  readonly start: { readonly line: number; readonly character: number };
  readonly end: { readonly line: number; readonly character: number };
}

export function rangeOfSpan(text: string, { start, end }: Span): LineRange {
  return { start: placeOf(text, start), end: placeOf(text, end) };
}

/** A span, one for each of its lines. */
export function lineSpans(text: string, { start, end }: Span): Span[] {
  const spans: Span[] = [];
  for (let at = start; ;) {
    const feed = text.indexOf("\n", at);
    if (feed < 0 || feed >= end) {
      spans.push({ start: at, end });
      return spans;
    }
    spans.push({ start: at, end: text[feed - 1] === "\r" && feed > at ? feed - 1 : feed });
    at = feed + 1;
  }
}

function placeOf(text: string, offset: number): LineRange["start"] {
  let line = 0;
  let start = 0;
  for (;;) {
    const feed = text.indexOf("\n", start);
    if (feed < 0 || feed >= offset) return { line, character: Math.max(0, offset - start) };
    line++;
    start = feed + 1;
  }
}
