/** Where a text came from: a file, or a text given by the user (`-E`, standard input, the search path). */
export type SourceOrigin =
  | {
      readonly kind: "file";
      readonly path: string;
      /** What messages name instead: where a file of the store came from. */
      readonly shown?: string | undefined;
    }
  | { readonly kind: "string"; readonly text: string }
  | { readonly kind: "stdin"; readonly text: string };

/** A place in a source: line and column count from 1; a column counts bytes, as Nix's do. */
export interface SourcePos {
  readonly origin: SourceOrigin;
  readonly line: number;
  readonly column: number;
  /** Where it ends on the same line, exclusive, where that is known. */
  readonly endColumn?: number | undefined;
  /** The whole source, where it is at hand, to show the lines around the place. */
  readonly text?: string | undefined;
}

/** One line of an evaluation trace: "while evaluating …" at its position. */
export interface TraceFrame {
  readonly message: string;
  readonly pos?: SourcePos | undefined;
  /** Shown even where the trace is truncated. */
  readonly isAlways?: boolean;
}

export interface DevshellErrorOptions {
  /** What the user can do about it, without a full stop. */
  readonly hint?: string | undefined;
  readonly pos?: SourcePos | undefined;
  readonly trace?: readonly TraceFrame[] | undefined;
  /** Names close to the one that was not found, best first. */
  readonly suggestions?: readonly string[] | undefined;
  readonly cause?: unknown;
  /** Exit status of the command that ends with this error; 1 unless said. */
  readonly exitStatus?: number | undefined;
}

/**
 * A failure that the user can act on: a stable code (`AREA_WHAT`), a message without a full stop that quotes the
 * values it names, a hint, a position. Bugs throw plain `Error`.
 */
export class DevshellError extends Error {
  readonly code: string;
  readonly hint: string | undefined;
  readonly pos: SourcePos | undefined;
  /** Innermost first: frames are pushed while the error travels outward. */
  readonly trace: TraceFrame[];
  readonly suggestions: readonly string[];
  readonly exitStatus: number;

  constructor(code: string, message: string, options: DevshellErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "DevshellError";
    this.code = code;
    this.hint = options.hint;
    this.pos = options.pos;
    this.trace = [...(options.trace ?? [])];
    this.suggestions = options.suggestions ?? [];
    this.exitStatus = options.exitStatus ?? 1;
  }
}
