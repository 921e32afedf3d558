import type { ByteString, SourceOrigin } from "../core/index.ts";
import { makeGlobals } from "./builtins/index.ts";
import {
  EvalState,
  INTERNAL_FILES,
  autoCall,
  selectAttrPath,
  type DebuggerOptions,
  type OutlineRecorder,
} from "./eval/index.ts";
import type { EvalHost } from "./host.ts";
import type { Expr } from "./syntax/index.ts";
import {
  type AttrSet,
  callFunction,
  DEFAULT_SETTINGS,
  NO_POS,
  force,
  forceDeep,
  type EvalSettings,
  type Pos,
  type Runtime,
  type SearchPathEntry,
  type Slot,
  type Value,
} from "./value/index.ts";

export interface EvaluatorOptions extends Partial<EvalSettings> {
  readonly searchPath?: readonly SearchPathEntry[];
  /** Looked into after any search path, and not part of `builtins.nixPath`. */
  readonly builtInSearchPath?: readonly SearchPathEntry[];
  /** Lets the user look where evaluation fails; it is slower then, and delays all that Nix delays. */
  readonly debugger?: DebuggerOptions | undefined;
  /** Gets what evaluation sees of imported files. */
  readonly outlines?: OutlineRecorder | undefined;
}

/** One evaluation: values made by it share its caches. Every function throws `DevshellError`s only, bugs apart. */
export interface Evaluator {
  /** For what takes a runtime: printing, JSON, coercion. */
  readonly runtime: Runtime;
  /** Parses, and resolves variables; relative paths in the text are relative to `baseDir`. */
  parse(text: ByteString, baseDir: ByteString, origin: SourceOrigin): Expr;
  evalText(text: ByteString, baseDir: ByteString, origin: SourceOrigin): Value;
  /** As `evalText`, with variables around the text, which hide the global ones (`nix repl`). */
  evalTextIn(
    names: ReadonlyMap<string, Slot>,
    text: ByteString,
    baseDir: ByteString,
    origin: SourceOrigin,
  ): Value;
  /** The definitions of a text such as `a = 1; inherit b;`, among these variables, as a set. */
  evalBindingsIn(
    names: ReadonlyMap<string, Slot>,
    text: ByteString,
    baseDir: ByteString,
    origin: SourceOrigin,
  ): Value;
  /** As `import`: a directory means its `default.nix`; evaluated once. */
  evalFile(path: ByteString): Value;
  /** The same, where failures name the file. */
  importFile(path: ByteString): Value;
  /** Calls a function that takes a set with what is given (`--arg`, `--argstr`); other values stay. */
  autoCall(value: Slot, args: AttrSet): Value;
  /** Follows `a.b.0`, calling functions on the way. */
  selectAttrPath(value: Slot, path: string, args: AttrSet): { readonly slot: Slot; readonly pos: Pos };
  call(fn: Slot, ...args: readonly Slot[]): Value;
  force(slot: Slot): Value;
  /** Forces everything inside, too. */
  forceDeep(slot: Slot): Value;
  /** Runs what evaluates by the runtime: failures are `DevshellError`s, as everywhere here. */
  run<T>(compute: () => T): T;
  /** Looks `<name>` up in the search path. */
  findFile(name: ByteString): ByteString;
}

/** @param host all of the world that evaluation can reach */
export function createEvaluator(host: EvalHost, options: EvaluatorOptions = {}): Evaluator {
  const {
    searchPath = [],
    builtInSearchPath = [],
    debugger: debuggerOptions,
    outlines,
    ...settings
  } = options;
  const state = new EvalState(
    host,
    { ...DEFAULT_SETTINGS, ...settings },
    { searchPath, builtInSearchPath },
    makeGlobals,
    INTERNAL_FILES,
    debuggerOptions,
    outlines,
  );
  return {
    runtime: state,
    parse: (text, baseDir, origin) =>
      state.guard(() => state.checkVariables(state.parse(text, baseDir, origin))),
    evalText: (text, baseDir, origin) => state.guard(() => state.evalText(text, baseDir, origin)),
    evalTextIn: (names, text, baseDir, origin) =>
      state.guard(() => state.evalTextIn(names, text, baseDir, origin)),
    evalBindingsIn: (names, text, baseDir, origin) =>
      state.guard(() => state.evalBindingsIn(names, text, baseDir, origin)),
    evalFile: (path) => state.guard(() => state.evalMainFile(path)),
    importFile: (path) => state.guard(() => state.importFile(path, NO_POS)),
    autoCall: (value, args) => state.guard(() => autoCall(value, args)),
    selectAttrPath: (value, path, args) => state.guard(() => selectAttrPath(value, path, args)),
    call: (fn, ...args) => state.guard(() => callFunction(fn, 0, ...args)),
    force: (slot) => state.guard(() => force(slot)),
    forceDeep: (slot) => state.guard(() => forceDeep(slot)),
    run: (compute) => state.guard(compute),
    findFile: (name) => state.guard(() => state.findFile(searchPath, name, 0)),
  };
}
