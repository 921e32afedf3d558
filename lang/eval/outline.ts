import { hashBytes, type ByteString } from "../../core/index.ts";
import { parse, type Expr, type SourceLayout } from "../syntax/index.ts";
import { Source, type Pos } from "../value/position.ts";
import { resolve } from "./resolve.ts";

/**
 * What an evaluation saw of a file that was imported and read in no other way: its text without comments, and without
 * the values of definitions that were never asked for. Another text with the same outline gives the same values.
 */
export interface Outline {
  /** SHA-256 of what is left, base 16. */
  readonly sum: string;
  /** Which definitions' values were left out, or which were not: by where they begin in what is left. */
  readonly are: "dropped" | "kept";
  readonly values: readonly number[];
}

/** Records which definitions were asked for, in files that are imported. */
export class OutlineRecorder {
  readonly #files = new Map<ByteString, FileLayout>();
  /** A bit for each position: whether the definition whose name stands there was asked for. */
  #asked = new Uint8Array(1 << 16);
  #globals: readonly string[] = [];

  /** The variables visible in every file. */
  get globals(): readonly string[] {
    return this.#globals;
  }

  set globals(names: readonly string[]) {
    this.#globals = names;
  }

  /** @returns what is to be told of a file's text while it is parsed; undefined where it was parsed before */
  begin(source: Source): FileLayout | undefined {
    if (source.origin.kind !== "file") return undefined;
    const { path } = source.origin;
    const known = this.#files.get(path);
    if (known !== undefined) {
      known.isUnfit = true;
      return undefined;
    }
    const layout = new FileLayout(source);
    this.#files.set(path, layout);
    return layout;
  }

  /** @param pos of a definition's name */
  ask(pos: Pos): void {
    const at = pos >> 3;
    if (at >= this.#asked.length) {
      const longer = new Uint8Array(Math.max(2 * this.#asked.length, at + 1));
      longer.set(this.#asked);
      this.#asked = longer;
    }
    this.#asked[at]! |= 1 << (pos & 7);
  }

  /** What was seen of a file so far; undefined where its whole text counts. */
  outlineOf(path: ByteString): Outline | undefined {
    const layout = this.#files.get(path);
    // A place that was told moves with every line before it.
    if (layout === undefined || layout.isUnfit || layout.source.isTold) return undefined;
    const { base, text } = layout.source;
    const asked = this.#asked.slice(base >> 3, ((base + text.length) >> 3) + 1);
    if (layout.known === undefined || Buffer.compare(layout.known.asked, asked) !== 0)
      layout.known = { asked, outline: this.#outline(layout) };
    return layout.known.outline;
  }

  #outline(layout: FileLayout): Outline {
    const kept: number[] = [];
    const dropped: number[] = [];
    const isDropped = (pos: Pos, at: number): boolean => {
      const isAsked = ((this.#asked[pos >> 3] ?? 0) & (1 << (pos & 7))) !== 0;
      (isAsked ? kept : dropped).push(at);
      return !isAsked;
    };
    const sum = sumWithout(layout, isDropped);
    return kept.length < dropped.length
      ? { sum, are: "kept", values: kept }
      : { sum, are: "dropped", values: dropped };
  }
}

/** Whether a file's text would have shown an evaluation the same. @param globals the variables visible in every file */
export function hasOutline(
  path: ByteString,
  text: ByteString,
  outline: Outline,
  globals: readonly string[],
): boolean {
  const layout = new FileLayout(new Source({ kind: "file", path }, text, 1));
  try {
    const expr = parse(layout.source, {
      baseDir: path.slice(0, Math.max(1, path.lastIndexOf("/"))),
      homeDir: undefined,
      warn: () => {
        layout.isUnfit = true;
      },
      layout,
    });
    resolve(expr, { indexOf: new Map(globals.map((name, at) => [name, at])) });
  } catch {
    // It fails whatever is asked for.
    return false;
  }
  const listed = new Set(outline.values);
  const sum = sumWithout(layout, (_, at) => listed.has(at) === (outline.are === "dropped"));
  return !layout.isUnfit && sum === outline.sum;
}

/** Whether a definition of this value shows nothing of it until it is asked for: not even in a set that is printed. */
function isAlwaysDelayed(expr: Expr): boolean {
  switch (expr.kind) {
    case "if":
    case "let":
    case "with":
    case "assert":
      return true;
    case "call":
      // `n - 1` of what is known is made at once.
      return !(expr.fn.kind === "var" && expr.fn.name.startsWith("__"));
    case "concat":
      return expr.isString;
    case "select":
      // What is known of `x.a` is read at once.
      return expr.object.kind !== "var" || expr.path.length > 1 || expr.fallback !== undefined;
    default:
      return false;
  }
}

/** Where a file's definitions and comments stand. */
export class FileLayout implements SourceLayout {
  readonly source: Source;
  isUnfit = false;
  /** The last one, and what had been asked for in the file. */
  known: { readonly asked: Uint8Array; readonly outline: Outline } | undefined = undefined;
  /** Of each definition in the order of their values: where its name begins, its value, and where that ends; 0: none. */
  readonly definitions: number[] = [];
  /** Where comments and blanks begin and end. */
  readonly blanks: number[] = [];

  constructor(source: Source) {
    this.source = source;
  }

  begin(from: Pos): number {
    return this.definitions.push(0, from, 0);
  }

  end(at: number, pos: Pos, to: Pos, value: Expr): void {
    // What was deferred is no set and no function: where it ends with a set it needs a thunk.
    const isDelayed =
      value.kind === "deferred"
        ? this.source.text[to - 1 - this.source.base] === "}"
        : isAlwaysDelayed(value);
    if (!isDelayed) return;
    this.definitions[at - 3] = pos;
    this.definitions[at - 1] = to;
  }

  blank(from: Pos, to: Pos): void {
    // What is looked at twice stands there once.
    if (from >= (this.blanks.at(-1) ?? 0)) this.blanks.push(from, to);
  }
}

/**
 * The hash of a text with one space for each comment, and nothing for values that are left out.
 * @param isDropped asked for each definition that is not within one that is left out, by its name's position and where
 *   its value begins in what is left
 */
function sumWithout(layout: FileLayout, isDropped: (pos: Pos, at: number) => boolean): string {
  const { definitions, blanks, source } = layout;
  const { text, base } = source;
  let left = "";
  let at = 0;
  let blank = 0;
  const copyTo = (end: number): void => {
    for (; blank < blanks.length && blanks[blank]! - base < end; blank += 2) {
      const from = blanks[blank]! - base;
      if (from < at) continue;
      left += text.slice(at, from);
      left += " ";
      at = blanks[blank + 1]! - base;
    }
    if (end > at) left += text.slice(at, end);
    at = end;
  };
  for (let i = 0; i < definitions.length; i += 3) {
    const from = definitions[i + 1]! - base;
    if (definitions[i] === 0 || from < at) continue;
    copyTo(from);
    if (isDropped(definitions[i]!, left.length)) at = definitions[i + 2]! - base;
  }
  copyTo(text.length);
  return hashBytes("sha256", Buffer.from(left, "latin1")).digest.toString("hex");
}
