import { FlowReader, type OpenEnd } from "./flowReader.ts";
import { MAX_SPEC_LENGTH, type SpecFile } from "./specFile.ts";
import type { SpecPath } from "./specTree.ts";
import { readToml } from "./tomlReader.ts";
import { yamlOpenEnd } from "./yamlCursor.ts";

/** What is being typed in a data spec. */
export interface SpecCursor {
  /** `child`: a key or an item, as the schema at the path has it (a YAML line under `packages:`). */
  readonly role: "key" | "value" | "header" | "child";
  /** From the spec's root. Of a key: the map that it is in. Of a value: its own, with the key or index. */
  readonly path: SpecPath;
  /** What a completion replaces, quotes included. */
  readonly start: number;
  readonly end: number;
  /** The word so far, up to the cursor, without its quote. */
  readonly typed: string;
  readonly quote: "" | '"' | "'";
  /** The key's colon (or `=`) is there already. */
  readonly hasSeparator: boolean;
  /** In braces or brackets. */
  readonly isFlow: boolean;
  readonly needsDash: boolean;
}

const WORD = /[\p{L}\p{N}_.+@~/$-]/u;

/** What is being typed at an offset; undefined where nothing of the spec is. Never throws: documents are broken. */
export function specCursorAt(text: string, offset: number, file: SpecFile): SpecCursor | undefined {
  if (text.length > MAX_SPEC_LENGTH || offset < 0 || offset > text.length) return undefined;
  const before = text.slice(0, offset);
  const { openEnd, needsDash } = openEndOf(before, file);
  if (openEnd.role === "none") return undefined;
  const { within } = file;
  if (!within.every((key, n) => openEnd.path[n] === key)) return undefined;
  const path = openEnd.path.slice(within.length);
  const { start, quote } = openEnd;
  const role = openEnd.role === "key" && needsDash ? "child" : openEnd.role;
  let end = offset;
  while (end < text.length && WORD.test(text[end] ?? "")) end++;
  if (quote !== "" && text[end] === quote) end++;
  const hasSeparator = /^[ \t]*[:=]/.test(text.slice(end, end + 40));
  const typed = text.slice(start + quote.length, offset);
  const isFlow = file.syntax === "json" || (role !== "header" && isInFlow(before, start, file));
  return { role, path, start, end, typed, quote, hasSeparator, isFlow, needsDash };
}

function openEndOf(before: string, { syntax }: SpecFile): { openEnd: OpenEnd; needsDash: boolean } {
  if (syntax === "toml") return { openEnd: readToml(before).openEnd, needsDash: false };
  if (syntax === "json" || /^(?:\s|#[^\n]*\n)*\{/.test(before)) {
    const reader = new FlowReader(before, 0, syntax);
    reader.readValue([]);
    reader.skipBlank(true);
    const openEnd: OpenEnd = reader.openEnd ?? { role: "none", path: [], start: before.length, quote: "" };
    return { openEnd, needsDash: false };
  }
  const openEnd = yamlOpenEnd(before);
  return { openEnd, needsDash: openEnd.needsDash };
}

/** By the nearest character that says so: nothing but words, quotes and commas stands between. */
function isInFlow(before: string, start: number, { syntax }: SpecFile): boolean {
  if (/^(?:\s|#[^\n]*\n)*\{/.test(before)) return true;
  const line = before.slice(before.lastIndexOf("\n", start - 1) + 1, start);
  if (/[[{,]\s*$/.test(before.slice(0, start))) return syntax !== "toml" || !/^\s*\[/.test(line);
  return /[[{][^\]}]*$/.test(line) && !(syntax === "toml" && /^\s*\[/.test(line));
}
