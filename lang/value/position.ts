import { bytesOfText, type SourceOrigin, type SourcePos } from "../../core/index.ts";

/**
 * A place in a source text, as one number: the base of its source plus a byte offset; 0 means unknown. Numbers keep
 * syntax trees and compiled code small; line and column are worked out only when an error is shown.
 */
export type Pos = number;

export const NO_POS: Pos = 0;
/** For what is forced: a call that was put off takes place where its function was written. */
export const FUNCTION_POS: Pos = -1;

/** A text that was parsed, and where in the number range of positions it lies. */
export class Source {
  readonly origin: SourceOrigin;
  readonly text: string;
  readonly base: Pos;
  /** Whether a place in it was told, as line and column or with its text. */
  isTold = false;
  #lineStarts: number[] | undefined;

  constructor(origin: SourceOrigin, text: string, base: Pos) {
    this.origin = origin;
    this.text = text;
    this.base = base;
  }

  /** Lines end at LF, CR LF or a lone CR, as in Nix's own reports. */
  lineStarts(): readonly number[] {
    if (this.#lineStarts !== undefined) return this.#lineStarts;
    const starts = [0];
    const hasCarriageReturn = this.text.includes("\r");
    for (let i = 0; i < this.text.length;) {
      const lineFeed = this.text.indexOf("\n", i);
      if (hasCarriageReturn) {
        const end = lineFeed < 0 ? this.text.length : lineFeed;
        for (let at = this.text.indexOf("\r", i); at >= 0 && at < end; at = this.text.indexOf("\r", at + 1))
          if (at + 1 !== lineFeed) starts.push(at + 1);
      }
      if (lineFeed < 0) break;
      starts.push(lineFeed + 1);
      i = lineFeed + 1;
    }
    this.#lineStarts = starts;
    return starts;
  }
}

/** In order of `base`; process-wide, because values (attribute positions, functions) outlive the parser. */
const sources: Source[] = [];
const sourceByFile = new Map<string, Source>();
let nextBase = 1;

/** Makes room for a text's positions. A file whose text is unchanged keeps its source. */
export function registerSource(origin: SourceOrigin, text: string): Source {
  if (origin.kind === "file") {
    const known = sourceByFile.get(origin.path);
    if (known !== undefined && known.text === text) return known;
  }
  const source = new Source(origin, text, nextBase);
  nextBase += text.length + 2;
  sources.push(source);
  if (origin.kind === "file") sourceByFile.set(origin.path, source);
  return source;
}

/** The source a position lies in. */
export function sourceOf(pos: Pos): Source | undefined {
  if (pos === NO_POS) return undefined;
  let low = 0;
  let high = sources.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (sources[middle]!.base <= pos) low = middle;
    else high = middle - 1;
  }
  const source = sources[low];
  return source !== undefined && pos >= source.base && pos <= source.base + source.text.length + 1
    ? source
    : undefined;
}

/** The position as shown to people; its line and column are computed when read. */
export function sourcePos(pos: Pos): SourcePos | undefined {
  const source = sourceOf(pos);
  return source === undefined ? undefined : new LazySourcePos(source, pos - source.base);
}

class LazySourcePos implements SourcePos {
  readonly #source: Source;
  readonly #offset: number;

  constructor(source: Source, offset: number) {
    this.#source = source;
    this.#offset = offset;
  }

  get origin(): SourceOrigin {
    return this.#source.origin;
  }

  get text(): string {
    this.#source.isTold = true;
    return this.#source.text;
  }

  get line(): number {
    return this.#lineIndex() + 1;
  }

  get column(): number {
    return this.#offset - (this.#source.lineStarts()[this.#lineIndex()] ?? 0) + 1;
  }

  #lineIndex(): number {
    this.#source.isTold = true;
    const starts = this.#source.lineStarts();
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle]! <= this.#offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

const NONE = bytesOfText("«none»:0");
const STDIN = bytesOfText("«stdin»");
const STRING = bytesOfText("«string»");

/** `/file.nix:1:2`; a text given by the user is `«string»:1:2`; what stands nowhere is on line 0, as in Nix. */
export function showPos(pos: Pos): string {
  const place = sourcePos(pos);
  if (place === undefined) return NONE;
  const { origin, line, column } = place;
  const where =
    origin.kind === "file" ? (origin.shown ?? origin.path) : origin.kind === "stdin" ? STDIN : STRING;
  return `${where}:${line}:${column}`;
}
