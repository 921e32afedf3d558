import { formatError, type ByteString, type SourceOrigin } from "../../core/index.ts";
import type { ContextElement, EvalHost } from "../host.ts";
import { parse, parseBindings, posOfExpr, type Expr, type ParseOptions } from "../syntax/index.ts";
import { NO_LIMIT, calls, limitCalls } from "../value/callDepth.ts";
import { callTrace } from "../value/callTrace.ts";
import { debugging } from "../value/debugging.ts";
import { addFrame, asDevshellError, evalError } from "../value/error.ts";
import { force } from "../value/force.ts";
import { canonicalPath } from "../value/path.ts";
import { pathUse } from "../value/pathUse.ts";
import { NO_POS, registerSource, showPos, type Pos } from "../value/position.ts";
import type { EvalSettings, Runtime, SearchPathEntry } from "../value/runtime.ts";
import { type AttrSet, Thunk, primOp1, type Env, type Slot, type Value } from "../value/value.ts";
import { coerceToString } from "../value/coerce.ts";
import { ClosureCompiler, type CompileContext } from "./compile.ts";
import { DebugCompiler } from "./debugCompiler.ts";
import { Debugger, type DebuggerOptions } from "./debugger.ts";
import { INTERNAL_PREFIX } from "./internalFiles.ts";
import type { FileLayout, OutlineRecorder } from "./outline.ts";
import { resolve } from "./resolve.ts";

/** The global scope. */
export interface Globals {
  readonly builtins: AttrSet;
  /** Variables visible in every file: `map`, `__add`, `builtins`, `true`, … */
  readonly variables: ReadonlyMap<string, Slot>;
}

/** The state of one evaluation: what was imported, resolved and copied so far. */
export class EvalState implements Runtime, CompileContext {
  readonly host: EvalHost;
  readonly settings: EvalSettings;
  readonly searchPath: readonly SearchPathEntry[];
  readonly #builtInSearchPath: readonly SearchPathEntry[];
  readonly #compiler: ClosureCompiler;
  readonly #debugger: Debugger | undefined;
  readonly #globals: Globals;
  readonly #globalIndex = new Map<string, number>();
  readonly outlines: OutlineRecorder | undefined;
  readonly globalNames: string[] = [];
  readonly globalValues: Slot[] = [];
  readonly #internalFiles: ReadonlyMap<string, string>;
  /** Path as asked for → file that is read. */
  readonly #resolvedPaths = new Map<ByteString, ByteString>();
  /** File → its value. */
  readonly #imports = new Map<ByteString, Slot>();
  readonly #storeCopies = new Map<ByteString, ByteString>();
  readonly #searchPathEntries = new Map<ByteString, ByteString | undefined>();

  constructor(
    host: EvalHost,
    settings: EvalSettings,
    paths: {
      readonly searchPath: readonly SearchPathEntry[];
      readonly builtInSearchPath: readonly SearchPathEntry[];
    },
    makeGlobals: (runtime: Runtime) => Globals,
    internalFiles: ReadonlyMap<string, string> = new Map(),
    debuggerOptions?: DebuggerOptions,
    outlines?: OutlineRecorder,
  ) {
    this.outlines = outlines;
    this.host = host;
    this.settings = settings;
    this.searchPath = paths.searchPath;
    this.#builtInSearchPath = paths.builtInSearchPath;
    this.#internalFiles = internalFiles;
    this.#debugger =
      debuggerOptions === undefined ? undefined : new Debugger(debuggerOptions, this.globalNames);
    // Failures know no evaluator: the newest one's debugger hears of them.
    debugging.control = this.#debugger;
    this.#compiler =
      this.#debugger === undefined ? new ClosureCompiler(this) : new DebugCompiler(this, this.#debugger);
    this.#globals = makeGlobals(this);
    for (const [name, value] of this.#globals.variables) {
      this.#globalIndex.set(name, this.globalNames.length);
      this.globalNames.push(name);
      this.globalValues.push(value);
    }
    if (outlines !== undefined) outlines.globals = this.globalNames;
  }

  get runtime(): Runtime {
    return this;
  }

  get builtins(): AttrSet {
    return this.#globals.builtins;
  }

  getBuiltin(name: string): Slot {
    const slot = this.builtins.get(name);
    if (slot === undefined) throw new Error(`no builtin: ${name}`);
    return slot;
  }

  /** Parses a text; relative paths in it are relative to `baseDir`. */
  parse(text: ByteString, baseDir: ByteString, origin: SourceOrigin): Expr {
    return parse(registerSource(origin, text), this.#parseOptions(baseDir));
  }

  #parseImported(text: ByteString, baseDir: ByteString, origin: SourceOrigin): Expr {
    const source = registerSource(origin, text);
    // What a `lint-…` setting minds may stand anywhere in it.
    const layout = this.settings.lints.size === 0 ? this.outlines?.begin(source) : undefined;
    return parse(source, this.#parseOptions(baseDir, layout));
  }

  #parseOptions(baseDir: ByteString, layout?: FileLayout): ParseOptions {
    const { host } = this;
    const { isPure, features, lints } = this.settings;
    return {
      baseDir,
      // Few texts ask for it, and whoever does depends on the variable.
      get homeDir() {
        return isPure ? undefined : (host.environmentVariable("HOME") ?? "/homeless-shelter");
      },
      allowsPipes: features.has("pipe-operators"),
      layout,
      warn: (message) => {
        if (layout !== undefined) layout.isUnfit = true;
        host.warn(message);
      },
      lint: lints.size === 0 ? undefined : (rule, message, pos) => this.#lint(rule, message, pos),
    };
  }

  /** @param message for URLs the literal itself: the level words the rest */
  #lint(rule: string, message: string, pos: Pos): void {
    const level = this.settings.lints.get(rule);
    if (level === undefined) return;
    const text =
      rule === "lint-url-literals"
        ? `URL literals are ${level === "fatal" ? "disallowed" : "discouraged"}. Consider using a string literal "${message}" instead`
        : message;
    const error = evalError("parse", `${text} (${rule})`, pos);
    if (level === "fatal") throw error;
    const [first = "", ...rest] = formatError(error).split("\n");
    this.host.warn([first.replace(/^error: /, ""), ...rest.map((line) => `  ${line}`)].join("\n"));
  }

  /** Fails where a variable is undefined. */
  checkVariables(expr: Expr): Expr {
    resolve(expr, { indexOf: this.#globalIndex }, [], this.#debugger?.places);
    return expr;
  }

  evalText(text: ByteString, baseDir: ByteString, origin: SourceOrigin): Value {
    return this.evalExpr(this.parse(text, baseDir, origin));
  }

  /** @param names variables around the text, which hide the global ones */
  evalTextIn(
    names: ReadonlyMap<string, Slot>,
    text: ByteString,
    baseDir: ByteString,
    origin: SourceOrigin,
  ): Value {
    return this.#prepare(this.parse(text, baseDir, origin), names)();
  }

  /** The definitions of a text such as `a = 1; inherit b;`, which do not see one another. */
  evalBindingsIn(
    names: ReadonlyMap<string, Slot>,
    text: ByteString,
    baseDir: ByteString,
    origin: SourceOrigin,
  ): Value {
    const bindings = parseBindings(registerSource(origin, text), this.#parseOptions(baseDir));
    return this.#prepare(bindings, names)();
  }

  evalExpr(expr: Expr): Value {
    return this.#prepare(expr, undefined)();
  }

  /** Resolves an expression's variables. @param outer names (and their slots) around it @param what told of it */
  #prepare(expr: Expr, outer: ReadonlyMap<string, Slot> | undefined, what?: string): () => Value {
    const names = outer === undefined ? [] : [...outer.keys()];
    const size = resolve(expr, { indexOf: this.#globalIndex }, names, this.#debugger?.places);
    const env: Env = [null, ...(outer?.values() ?? [])];
    while (env.length < size) env.push(undefined);
    const run = (): Value => this.#compiler.compile(expr)(env);
    if (this.#debugger === undefined || what === undefined) return run;
    const exprPos = posOfExpr(expr);
    return this.#debugger.around({ message: () => what, pos: exprPos, expr, exprPos }, env, run);
  }

  evalInternal(text: string, name: string): Value {
    const path = INTERNAL_PREFIX + name;
    const known = this.#imports.get(path);
    if (known !== undefined) return force(known);
    const value = this.evalText(text, "/", { kind: "file", path });
    this.#imports.set(path, value);
    return value;
  }

  parseFile(path: ByteString): Expr {
    const file = this.resolveImport(path);
    const directory = file.slice(0, Math.max(1, file.lastIndexOf("/")));
    return this.parse(this.host.readFile(file), directory, this.#originOf(file));
  }

  importFile(path: ByteString, pos: Pos): Value {
    return this.#importResolved(path, pos, false);
  }

  /** Evaluates the file a command was given: its own failures need no frame that names it. */
  evalMainFile(path: ByteString): Value {
    return this.#importResolved(path, NO_POS, true);
  }

  #importResolved(path: ByteString, pos: Pos, isMain: boolean): Value {
    const file = this.resolveImport(path);
    let slot = this.#imports.get(file);
    if (slot === undefined) {
      slot = new Thunk(() => this.#evalFile(file, undefined, isMain), null);
      this.#imports.set(file, slot);
    }
    if (!(slot instanceof Thunk)) return slot;
    const value = force(slot, pos);
    this.#imports.set(file, value);
    return value;
  }

  scopedImportFile(scope: AttrSet, path: ByteString, _pos: Pos): Value {
    const names = new Map<string, Slot>();
    scope.forEachSorted((name, slot) => names.set(name, slot));
    return this.#evalFile(this.resolveImport(path), names, false);
  }

  #originOf(file: ByteString): SourceOrigin {
    return { kind: "file", path: file, shown: this.host.displayPath?.(file) };
  }

  #evalFile(file: ByteString, outer: Map<string, Slot> | undefined, isMain: boolean): Value {
    const internal = this.#internalFiles.get(file);
    const extra = this.host.extraGlobals?.(file);
    const isPlain = internal === undefined && outer === undefined && extra === undefined;
    const text = internal ?? this.host.readFile(file, isPlain);
    const directory = file.slice(0, Math.max(1, file.lastIndexOf("/")));
    const expr = isPlain
      ? this.#parseImported(text, directory, this.#originOf(file))
      : this.parse(text, directory, this.#originOf(file));
    let names = outer;
    if (extra !== undefined) {
      names ??= new Map();
      for (const [name, run] of extra)
        names.set(
          name,
          primOp1(name, (pos, argument) =>
            run(coerceToString(this, argument, new Set(), pos, `while calling ${name}`)),
          ),
        );
    }
    const what = isMain ? undefined : `while evaluating the file '${file}':`;
    const run = this.#prepare(expr, names, what);
    try {
      return run();
    } catch (error) {
      throw what === undefined ? error : addFrame(error, what);
    }
  }

  /** The file to read for a path: symlinks of its last part followed, `default.nix` for a directory. */
  resolveImport(path: ByteString): ByteString {
    const known = this.#resolvedPaths.get(path);
    if (known !== undefined) return known;
    if (this.#internalFiles.has(path)) return path;
    let file = path;
    let type = this.host.fileType(file);
    if (type === "symlink") {
      file = this.host.resolveSymlinks(file);
      type = this.host.fileType(file);
    }
    if (type === undefined)
      throw evalError("eval", this.host.explainMissing?.(path) ?? `path '${path}' does not exist`);
    if (type === "directory") file = file === "/" ? "/default.nix" : `${file}/default.nix`;
    this.#resolvedPaths.set(path, file);
    return file;
  }

  findFile(searchPath: readonly SearchPathEntry[], name: ByteString, pos: Pos): ByteString {
    for (const { prefix, value } of [...searchPath, ...this.#builtInSearchPath]) {
      let suffix: string;
      if (prefix === "") suffix = `/${name}`;
      else if (name === prefix) suffix = "";
      else if (name.startsWith(`${prefix}/`)) suffix = name.slice(prefix.length);
      else continue;
      const root = this.#resolveEntry(value);
      if (root === undefined) continue;
      const found = canonicalPath(root + suffix);
      if (this.#exists(found)) return found;
    }
    if (name.startsWith("nix/")) {
      const internal = `${INTERNAL_PREFIX}${name}`;
      if (this.#internalFiles.has(internal)) return internal;
    }
    throw evalError(
      "throw",
      this.settings.isPure
        ? `cannot look up '<${name}>' in pure evaluation mode (use '--impure' to override)`
        : `file '${name}' was not found in the Nix search path (add it using $NIX_PATH or -I)`,
      pos,
    );
  }

  #resolveEntry(value: ByteString): ByteString | undefined {
    if (this.#searchPathEntries.has(value)) return this.#searchPathEntries.get(value);
    const root = this.host.resolveSearchPathEntry(value);
    this.#searchPathEntries.set(value, root);
    return root;
  }

  #exists(path: ByteString): boolean {
    try {
      return this.host.fileType(path) !== undefined;
    } catch {
      // Refused or unreadable: not found here, as in Nix.
      return false;
    }
  }

  copyToStore(path: ByteString, context: Set<ContextElement>): ByteString {
    if (path.endsWith(".drv")) throw evalError("eval", "file names are not allowed to end in '.drv'");
    let copy = this.#storeCopies.get(path);
    if (copy === undefined) {
      copy = this.host.addPath({
        path,
        name: path.slice(path.lastIndexOf("/") + 1) || "source",
        method: "nar",
      });
      this.#storeCopies.set(path, copy);
    }
    context.add(copy);
    return copy;
  }

  realiseContext(text: ByteString, context: ReadonlySet<ContextElement>): ByteString {
    if (context.size === 0) return text;
    const elements = [...context];
    const built = elements.find((element) => element.startsWith("!"));
    if (built !== undefined && !this.settings.allowImportFromDerivation)
      throw evalError(
        "eval",
        `cannot build '${built.slice(built.indexOf("!", 1) + 1)}^${built.slice(1, built.indexOf("!", 1))}' during evaluation because the option 'allow-import-from-derivation' is disabled`,
      );
    let result = text;
    for (const [placeholder, path] of this.host.realise(elements))
      result = result.replaceAll(placeholder, path);
    return result;
  }

  readonly #tellCall = (event: "entered" | "exited", pos: Pos): void => {
    const nanoseconds = BigInt(Date.now()) * 1_000_000n + (process.hrtime.bigint() % 1_000_000n);
    const place = pos === NO_POS ? `${showPos(pos)}:0` : showPos(pos);
    this.host.note?.(`function-trace ${event} ${place} at ${nanoseconds}`);
  };

  /** Runs something for a caller outside of the language: a stack overflow becomes an error of ours. */
  guard<T>(run: () => T): T {
    const { depth } = calls;
    limitCalls(this.settings.maxCallDepth ?? NO_LIMIT);
    pathUse.tell = this.host.usePath === undefined ? undefined : (path) => this.host.usePath!(path);
    callTrace.tell = this.settings.traceFunctionCalls ? this.#tellCall : undefined;
    try {
      return run();
    } catch (error) {
      throw asDevshellError(error, NO_POS) ?? error;
    } finally {
      calls.depth = depth;
    }
  }
}
