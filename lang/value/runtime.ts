import type { ByteString, SourceOrigin } from "../../core/index.ts";
import type { ContextElement, EvalHost } from "../host.ts";
import type { Expr } from "../syntax/index.ts";
import type { Pos } from "./position.ts";
import type { AttrSet, Slot, Value } from "./value.ts";

export interface EvalSettings {
  /** No access to anything that is not pinned by content. */
  readonly isPure: boolean;
  /** Only files in the search path, and allowed URIs. */
  readonly isRestricted: boolean;
  /** Calls within calls; `undefined` leaves only the stack's own end (millions under the launcher). */
  readonly maxCallDepth: number | undefined;
  /** Whether function calls leave frames in traces too. */
  readonly showTrace: boolean;
  readonly allowImportFromDerivation: boolean;
  /** Whether `builtins.getFlake` looks indirect references up. */
  readonly usesRegistries: boolean;
  /** Experimental features: `flakes`, `fetch-tree`, `pipe-operators`, `ca-derivations`, … */
  readonly features: ReadonlySet<string>;
  readonly allowedUris: readonly string[];
  /** Makes `builtins.abort` and warnings fail, as `abort-on-warn`. */
  readonly abortOnWarn: boolean;
  readonly traceVerbose: boolean;
  /** Whether there are `builtins.exec` and `importNative`. */
  readonly allowsNativeCode: boolean;
  /** Tells the host when each call begins and ends, as `trace-function-calls`. */
  readonly traceFunctionCalls: boolean;
  /** Delays all that Nix delays, cheap as it may be: for printing what is not evaluated as Nix prints it. */
  readonly isFullyLazy: boolean;
  /** `lint-…` settings: what is warned of, and what fails. */
  readonly lints: ReadonlyMap<string, "warn" | "fatal">;
}

export const DEFAULT_SETTINGS: EvalSettings = {
  isPure: false,
  isRestricted: false,
  maxCallDepth: undefined,
  showTrace: false,
  allowImportFromDerivation: true,
  usesRegistries: true,
  features: new Set(["flakes", "fetch-tree", "nix-command"]),
  allowedUris: [],
  abortOnWarn: false,
  traceVerbose: false,
  allowsNativeCode: false,
  traceFunctionCalls: false,
  isFullyLazy: false,
  lints: new Map(),
};

/** An element of the search path: `nixpkgs=/path`, or a directory of such names (prefix ""). */
export interface SearchPathEntry {
  readonly prefix: ByteString;
  readonly value: ByteString;
}

/** The state of one evaluation, as builtins see it. Made by `createEvaluator`. */
export interface Runtime {
  readonly host: EvalHost;
  readonly settings: EvalSettings;
  readonly searchPath: readonly SearchPathEntry[];

  /** @throws EvalError */
  parse(text: ByteString, baseDir: ByteString, origin: SourceOrigin): Expr;
  evalExpr(expr: Expr): Value;
  /** A file's expression, not evaluated. */
  parseFile(path: ByteString): Expr;
  /** Evaluates a file once; directories mean their `default.nix`. */
  importFile(path: ByteString, pos: Pos): Value;
  /** `builtins.scopedImport`: never cached; the scope's names hide the global ones. */
  scopedImportFile(scope: AttrSet, path: ByteString, pos: Pos): Value;
  /** Evaluates a text of our own (`derivation.nix` and the like), shown as `name` in traces. */
  evalInternal(text: string, name: string): Value;
  /** `<name>` against a search path. @throws EvalError of kind `throw` when it is not found */
  findFile(searchPath: readonly SearchPathEntry[], name: ByteString, pos: Pos): ByteString;
  /** Copies a path into the store (once) and gives its store path; adds it to `context`. */
  copyToStore(path: ByteString, context: Set<ContextElement>): ByteString;
  /** Import from derivation: makes a context's paths valid. @returns the text with placeholders replaced */
  realiseContext(text: ByteString, context: ReadonlySet<ContextElement>): ByteString;
  /** The global variables' set, `builtins`. */
  readonly builtins: AttrSet;
  /** A builtin by name, wherever the program hid it. */
  getBuiltin(name: string): Slot;
}
