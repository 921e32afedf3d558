import { lstatSync, readlinkSync, realpathSync, statSync, type BigIntStats } from "node:fs";
import { DevshellError, fsPath, type ByteString } from "../../core/index.ts";
import type {
  AddPathRequest,
  ContextElement,
  EvalHost,
  FetchRequest,
  FetchResult,
  FileType,
  InstantiateRequest,
  InstantiatedDerivation,
} from "../../lang/index.ts";
import {
  DerivationHasher,
  isDerivationPath,
  isInStore,
  makeDerivation,
  parseStorePath,
  splitStorePath,
  type Derivation,
  type MadeDerivation,
  type StorePath,
} from "../../store/index.ts";
import { entriesOf, statOf, typeOf, typeOfEntry, variableBytes, type InputTracker } from "../inputTracker.ts";
import { readSharedBytes } from "../readSharedBytes.ts";
import type { MessageLevel } from "../types.ts";
import { runProgram } from "./runProgram.ts";
import type { TreeDisplay } from "./treeDisplay.ts";
import type { AccessRules } from "./accessRules.ts";
import type { EvaluationStore } from "./evaluationStore.ts";
import { isSameRequest } from "./isSameRequest.ts";

export interface StoreHostOptions {
  readonly store: EvaluationStore;
  readonly tracker: InputTracker;
  readonly rules: AccessRules;
  readonly system: string;
  /** Nothing is written: paths are only computed (`nix-instantiate --eval`). */
  readonly isReadOnly: boolean;
  readonly environment: NodeJS.ProcessEnv;
  /** Search path entries that need more than the file system: URLs, channels. */
  readonly resolveEntry: (entry: ByteString) => ByteString | undefined;
  readonly extraGlobals?: EvalHost["extraGlobals"];
  /** Makes outputs valid, synchronously: import from derivation. */
  readonly realise: (elements: readonly ContextElement[]) => ReadonlyMap<ByteString, ByteString>;
  readonly fetch: (request: FetchRequest) => FetchResult;
  readonly resolveFlake?: EvalHost["resolveFlake"];
  readonly onDebug?: EvalHost["debug"];
  /** Told of paths whose own text decides the result. */
  readonly onPathUse?: EvalHost["usePath"];
  readonly onTimeUse?: EvalHost["useTime"];
  /** Where trees of the store came from. */
  readonly trees?: TreeDisplay | undefined;
  readonly onMessage: (level: MessageLevel, text: ByteString) => void;
  readonly now?: number | undefined;
}

const MAX_FILE_BYTES = 2 ** 29 - 64;
/** As many as the kernel follows on the way to one file. */
const MAX_LINKS = 40;

/** The evaluator's host over a local store. All it reads outside the store is recorded. */
export class StoreHost implements EvalHost {
  readonly storeDir: string;
  readonly currentSystem: string;
  readonly #now: number;
  readonly extraGlobals?: NonNullable<EvalHost["extraGlobals"]>;
  readonly resolveFlake?: NonNullable<EvalHost["resolveFlake"]>;
  readonly debug?: NonNullable<EvalHost["debug"]>;
  readonly usePath?: NonNullable<EvalHost["usePath"]>;
  readonly useTime?: NonNullable<EvalHost["useTime"]>;
  readonly #options: StoreHostOptions;
  readonly #hasher: DerivationHasher;
  readonly #realStoreDir: string;
  /** Derivations made since the last flush: written together, in one transaction. */
  #pending = new Map<StorePath, MadeDerivation>();
  /** Name → what was made last: packages of many crates ask for each of them time and again. */
  readonly #instantiated = new Map<
    ByteString,
    { readonly request: InstantiateRequest; readonly derivation: InstantiatedDerivation }
  >();
  /** Path and name → where it was added: one source tree is named by many derivations. */
  readonly #added = new Map<string, StorePath>();
  /** Directories that are known to be their own canonical form. */
  readonly #directories = new Set<ByteString>();
  /** The entry that was looked at last, for reading that file next; older than what is read, as it must be. */
  #looked: { readonly path: ByteString; readonly stat: BigIntStats } | undefined;
  /** What evaluation put into the store, and what refers to it. */
  readonly #created = new Set<StorePath>();
  readonly #referred = new Set<StorePath>();

  constructor(options: StoreHostOptions) {
    this.#options = options;
    this.storeDir = options.store.storeDir;
    this.#realStoreDir = options.store.realStoreDir;
    this.currentSystem = options.system;
    this.#now = options.now ?? Math.floor(Date.now() / 1000);
    if (options.extraGlobals !== undefined) this.extraGlobals = options.extraGlobals;
    if (options.resolveFlake !== undefined) this.resolveFlake = options.resolveFlake;
    if (options.onDebug !== undefined) this.debug = options.onDebug;
    if (options.onPathUse !== undefined) this.usePath = options.onPathUse;
    if (options.onTimeUse !== undefined) this.useTime = options.onTimeUse;
    this.#hasher = new DerivationHasher(this.storeDir, (drvPath) => options.store.readDerivation(drvPath));
  }

  get currentTime(): number {
    this.#options.tracker.impure("the time");
    return this.#now;
  }

  /** What evaluation put into the store and nothing else that it put there refers to: with these all of it is there. */
  createdRoots(): StorePath[] {
    return [...this.#created].filter((path) => !this.#referred.has(path));
  }

  /** A derivation that this evaluation made or the store holds. */
  derivation(drvPath: StorePath): Derivation {
    return this.#hasher.derivation(drvPath);
  }

  readFile(path: ByteString, isImported = false): ByteString {
    this.#check(path);
    const { tracker } = this.#options;
    try {
      const physical = this.#physical(path);
      const known = this.#looked?.path === physical ? this.#looked.stat : undefined;
      this.#looked = undefined;
      const entry = known ?? statOf(physical);
      const stat = entry?.isFile() === true ? entry : statSync(fsPath(physical), { bigint: true });
      if (stat.isDirectory())
        throw new DevshellError("EVAL_FILE", `cannot read '${path}': it is a directory`);
      if (stat.size > MAX_FILE_BYTES)
        throw new DevshellError("EVAL_FILE", `cannot read '${path}': it is too large`);
      if (!tracker.isImmutable(path)) return tracker.readFile(path, entry, isImported).toString("latin1");
      tracker.trees.read(path);
      const bytes = readSharedBytes(fsPath(physical), Number(stat.size));
      return bytes.toString("latin1");
    } catch (error) {
      throw this.#fileError(error, path);
    }
  }

  fileType(path: ByteString): FileType | undefined {
    const { rules, tracker } = this.#options;
    if (!rules.isAllowed(path)) {
      if (rules.isAncestorOfAllowed(path)) return "directory";
      rules.check(path);
    }
    try {
      const physical = this.#physical(path);
      const stat = statOf(physical);
      this.#looked = stat === undefined ? undefined : { path: physical, stat };
      const type = stat === undefined ? undefined : typeOf(stat);
      tracker.type(path, type);
      tracker.trees.look(path, type);
      return type;
    } catch (error) {
      if (isMissing(error)) {
        tracker.type(path, undefined);
        tracker.trees.look(path, undefined);
        return undefined;
      }
      // A search goes on after it.
      tracker.impure(`"${path}", which cannot be looked at`);
      throw this.#fileError(error, path);
    }
  }

  readDirectory(path: ByteString): ReadonlyMap<ByteString, FileType> {
    const { rules } = this.#options;
    const real = rules.mode === "impure" ? path : this.#target(path);
    // Of what leads to an allowed place, only the way there is seen.
    const isParent = real !== undefined && !rules.isAllowed(real) && rules.isAncestorOfGiven(real);
    if (!isParent) this.#check(path);
    try {
      const entries = entriesOf(this.#physical(path));
      this.#options.tracker.trees.use(path);
      this.#options.tracker.directory(path, entries);
      const all = entries.map((entry) => [entry.name.toString("latin1"), typeOfEntry(entry)] as const);
      if (!isParent) return new Map(all);
      const prefix = real === "/" ? "/" : `${real}/`;
      const leadsOn = (name: string): boolean =>
        rules.isAllowed(prefix + name) || rules.isAncestorOfGiven(prefix + name);
      return new Map(all.filter(([name]) => leadsOn(name)));
    } catch (error) {
      const target = this.#target(path);
      if (target !== undefined && hasCode(error, "ENOTDIR"))
        throw new DevshellError("EVAL_FILE", `'${target}' is not a directory`, { cause: error });
      throw this.#fileError(error, path);
    }
  }

  resolveSymlinks(path: ByteString): ByteString {
    this.#check(path);
    try {
      const physical = this.#physical(path);
      if (this.#isDirect(physical)) {
        this.#options.tracker.canonical(path);
        return path;
      }
      const real = realpathSync.native(fsPath(physical), "buffer").toString("latin1");
      if (real === physical) {
        for (let at = directoryOf(physical); at !== "" && !this.#directories.has(at); at = directoryOf(at))
          this.#directories.add(at);
        this.#options.tracker.canonical(path);
        return path;
      }
      this.#options.tracker.trees.use(path);
      this.#trackLinks(path);
      return this.#logical(real);
    } catch (error) {
      throw this.#fileError(error, path);
    }
  }

  /**
   * Whether a path is known to be its own canonical form: it lies in a directory that is, and is no link. The native
   * call looks at every directory on the way, for each of thousands of files.
   */
  #isDirect(physical: ByteString): boolean {
    const directory = directoryOf(physical);
    if (directory === "" || /\/(?:\.{0,2}\/|\.{0,2}$)/.test(physical)) return false;
    if (!this.#directories.has(directory)) {
      if (!this.#isDirect(directory)) return false;
      this.#directories.add(directory);
    }
    const stat = statOf(physical);
    this.#looked = stat === undefined ? undefined : { path: physical, stat };
    return stat?.isSymbolicLink() === false;
  }

  runProgram(program: ByteString, args: readonly ByteString[]): ByteString {
    this.#options.tracker.impure(`what "${program}" prints`);
    return runProgram(this.#physical(program), args);
  }

  environmentVariable(name: ByteString): ByteString | undefined {
    if (this.#options.rules.mode !== "impure") return undefined;
    const value = variableBytes(this.#options.environment, Buffer.from(name, "latin1").toString("utf8"));
    this.#options.tracker.variable(name, value);
    return value;
  }

  resolveSearchPathEntry(entry: ByteString): ByteString | undefined {
    const resolved = this.#options.resolveEntry(entry);
    if (resolved === undefined) return undefined;
    return this.fileType(resolved) === undefined ? undefined : resolved;
  }

  addPath(request: AddPathRequest): ByteString {
    this.#check(request.path);
    const { store, tracker, isReadOnly } = this.#options;
    tracker.trees.use(request.path);
    const references = request.references?.map((path) => parseStorePath(this.storeDir, path));
    const key = [request.method, request.name, request.path, ...(references ?? [])].join(" ");
    // One that is to have a hash is added again: that tells whether it has it.
    const isKnown = request.filter === undefined && request.expectedSha256 === undefined;
    const known = isKnown ? this.#added.get(key) : undefined;
    if (known !== undefined) return known;
    const isTracked = !tracker.isImmutable(request.path);
    if (isTracked) this.#trackRoot(request.path);
    const { filter } = request;
    // being asked about every entry is how the tree's content comes to be recorded
    const trackingFilter = (path: ByteString, type: FileType): boolean => {
      if (filter !== undefined && !filter(this.#logical(path), type)) return false;
      this.#trackEntry(path, type);
      return true;
    };
    try {
      const added = store.addPath(this.#physical(request.path), {
        name: request.name,
        method: request.method,
        filter: isTracked || filter !== undefined ? trackingFilter : undefined,
        expectedHash: request.expectedSha256,
        references,
        isDryRun: isReadOnly,
      });
      if (filter === undefined) this.#added.set(key, added);
      if (!isReadOnly) this.#note(added, references ?? []);
      return added;
    } catch (error) {
      if (this.#target(request.path) === undefined && this.fileType(request.path) === undefined)
        throw new DevshellError("EVAL_FILE", `path '${request.path}' does not exist`, { cause: error });
      if (error instanceof DevshellError && error.code === "STORE_HASH_MISMATCH")
        throw new DevshellError(
          error.code,
          `store path mismatch in (possibly filtered) path added from '${request.path}'`,
          {
            cause: error,
            hint: error.message
              .replace(/^.*\n\s*/, "")
              .replace(/\n\s*/, ", ")
              .replace(/ {2,}/g, " "),
          },
        );
      throw this.#fileError(error, request.path);
    }
  }

  addText(name: ByteString, contents: ByteString, references: readonly ByteString[]): ByteString {
    const paths = references.map((path) => parseStorePath(this.storeDir, path));
    if (paths.some((path) => this.#pending.has(path))) this.flush();
    const { store, isReadOnly } = this.#options;
    const added = store.addText(name, contents, paths, { isDryRun: isReadOnly });
    if (!isReadOnly) this.#note(added, paths);
    return added;
  }

  ensurePath(storePath: ByteString): void {
    if (this.#options.isReadOnly) return;
    this.flush();
    const path = parseStorePath(this.storeDir, storePath);
    if (!this.#options.store.isValidPath(path)) this.#options.realise([path]);
  }

  instantiate(request: InstantiateRequest): InstantiatedDerivation {
    const known = this.#instantiated.get(request.name);
    if (known !== undefined && isSameRequest(known.request, request)) return known.derivation;
    const made = makeDerivation(request, this.#hasher, (drvPath) => this.#closureOf(drvPath));
    if (!this.#options.isReadOnly) {
      this.#pending.set(made.drvPath, made);
      this.#note(made.drvPath, made.references);
    }
    const derivation = { drvPath: made.drvPath, outputs: made.outputs };
    this.#instantiated.set(request.name, { request, derivation });
    return derivation;
  }

  /** Writes the derivations made so far to the store. */
  flush(): void {
    if (this.#pending.size === 0) return;
    const pending = this.#pending;
    this.#pending = new Map();
    this.#options.store.writeDerivations(pending.values());
  }

  derivationClosure(drvPath: ByteString): ReadonlyArray<ContextElement> {
    const elements: ContextElement[] = [];
    for (const path of this.#closureOf(parseStorePath(this.storeDir, drvPath))) {
      elements.push(path);
      if (isDerivationPath(path))
        for (const output of this.#hasher.derivation(path).outputs.keys())
          elements.push(`!${output}!${path}`);
    }
    return elements;
  }

  outputPath(drvPath: ByteString, output: ByteString): ByteString | undefined {
    const path = parseStorePath(this.storeDir, drvPath);
    if (!isDerivationPath(path) || !(this.#pending.has(path) || this.#isPresent(path))) return undefined;
    const known = this.#hasher.derivation(path).outputs.get(output);
    return known !== undefined && "path" in known ? known.path : undefined;
  }

  references(storePath: ByteString): readonly ByteString[] {
    if (!isInStore(this.storeDir, storePath)) return [];
    const { storePath: path } = splitStorePath(this.storeDir, storePath);
    return this.#options.store.referencesOf(path) ?? [];
  }

  realise(elements: readonly ContextElement[]): ReadonlyMap<ByteString, ByteString> {
    this.flush();
    for (const element of elements) this.#requireValid(element);
    const missing = elements.filter((element) => !this.#isPresent(element));
    return missing.length === 0 ? new Map() : this.#options.realise(missing);
  }

  fetch(request: FetchRequest): FetchResult {
    const uri = request.reference ?? request.attributes.get("url");
    if (typeof uri === "string") this.#options.rules.checkUri(uri);
    this.flush();
    return this.#options.fetch(request);
  }

  trace(message: ByteString): void {
    this.#options.onMessage("trace", message);
  }

  note(message: ByteString): void {
    this.#options.onMessage("note", message);
  }

  warn(message: ByteString, isFromProgram = false): void {
    this.#options.onMessage("warning", isFromProgram ? evaluationWarning(message) : message);
  }

  #note(created: StorePath, references: readonly StorePath[]): void {
    this.#created.add(created);
    for (const path of references) if (path !== created) this.#referred.add(path);
  }

  displayPath(path: ByteString): ByteString | undefined {
    return this.#options.trees?.show(path);
  }

  explainMissing(path: ByteString): ByteString | undefined {
    return this.#options.trees?.explainMissing(path);
  }

  #check(path: ByteString): void {
    const { rules } = this.#options;
    rules.check(path);
    if (rules.mode !== "impure") this.#checkTarget(path);
    if (!path.startsWith(`${this.storeDir}/`)) return;
    this.#options.tracker.storePath(path);
    if (this.#pending.size > 0) this.flush();
  }

  /** A link in an allowed place must not lead out of it. */
  #checkTarget(path: ByteString): void {
    const real = this.#target(path);
    if (real !== undefined) this.#options.rules.check(real);
  }

  /** Where a path's links lead; undefined where it is absent, which the read says. */
  #target(path: ByteString): ByteString | undefined {
    try {
      const real = realpathSync.native(fsPath(this.#physical(path)), "buffer").toString("latin1");
      // What may be seen is decided by where links lead.
      if (this.#options.rules.mode !== "impure") this.#trackLinks(path);
      return this.#logical(real);
    } catch {
      return undefined;
    }
  }

  /** Where a path's bytes lie on this side of a mount namespace. */
  #physical(path: ByteString): ByteString {
    if (this.#realStoreDir === this.storeDir) return path;
    if (path === this.storeDir) return this.#realStoreDir;
    if (!path.startsWith(`${this.storeDir}/`)) return path;
    const mapped = this.#realStoreDir + path.slice(this.storeDir.length);
    return this.#isOnlyOutside(path) ? path : mapped;
  }

  /**
   * Whether something lies in the machine's directory of the store's name and not in the store itself, which is
   * elsewhere. Such files are seen, too, unless evaluation is confined.
   */
  #isOnlyOutside(path: ByteString): boolean {
    const { rules, tracker } = this.#options;
    if (rules.mode !== "impure") return false;
    const [name = ""] = path.slice(this.storeDir.length + 1).split("/", 1);
    const isThere = (directory: ByteString): boolean =>
      lstatSync(fsPath(`${directory}/${name}`), { throwIfNoEntry: false }) !== undefined;
    if (name === "" || isThere(this.#realStoreDir) || !isThere(this.storeDir)) return false;
    tracker.impure(`"${this.storeDir}/${name}", which is not of the store that is used`);
    return true;
  }

  #logical(path: ByteString): ByteString {
    if (this.#realStoreDir === this.storeDir) return path;
    return path.startsWith(`${this.#realStoreDir}/`)
      ? this.storeDir + path.slice(this.#realStoreDir.length)
      : path;
  }

  /** A path, or the derivation that an output is of, must be in the store: nobody substitutes it. It is named as Nix does. */
  #requireValid(element: ContextElement): void {
    const path = parseStorePath(this.storeDir, element.slice(element.lastIndexOf("!") + 1).replace(/^=/, ""));
    if (!this.#options.store.isValidPath(path))
      throw new DevshellError(
        "STORE_PATH_NOT_VALID",
        `path '${path.slice(this.storeDir.length + 1)}' is not valid`,
      );
  }

  #isPresent(element: ContextElement): boolean {
    const { store } = this.#options;
    if (element.startsWith("!")) {
      const at = element.lastIndexOf("!");
      const output = element.slice(1, at);
      if (output.includes("!")) return false;
      const drvPath = parseStorePath(this.storeDir, element.slice(at + 1));
      const known = this.#hasher.derivation(drvPath).outputs.get(output);
      return known !== undefined && "path" in known && store.isValidPath(known.path);
    }
    const path = parseStorePath(this.storeDir, element.startsWith("=") ? element.slice(1) : element);
    return store.isValidPath(path);
  }

  /** A derivation's closure: itself, its inputs' and their sources; in read-only mode from memory. */
  #closureOf(drvPath: StorePath): Set<StorePath> {
    const { store } = this.#options;
    const closure = new Set<StorePath>();
    const queue = [drvPath];
    for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
      if (closure.has(path)) continue;
      closure.add(path);
      if (isDerivationPath(path)) {
        const derivation = this.#hasher.derivation(path);
        queue.push(...derivation.inputDrvs.keys(), ...derivation.inputSrcs);
      } else queue.push(...(store.referencesOf(path) ?? []));
    }
    return closure;
  }

  #trackRoot(path: ByteString): void {
    const stat = lstatSync(fsPath(path), { bigint: true, throwIfNoEntry: false });
    if (stat === undefined) return;
    const type = typeOf(stat);
    this.#options.tracker.type(path, type);
    this.#trackEntry(path, type);
  }

  #trackEntry(path: ByteString, type: FileType): void {
    const { tracker } = this.#options;
    if (type === "regular") tracker.file(path);
    else if (type === "directory") tracker.directory(path);
    else if (type === "symlink") tracker.symlink(path);
  }

  /** Records every link on the way to a path, and that what they lead through is none. */
  #trackLinks(path: ByteString): void {
    const { tracker } = this.#options;
    const parts = path.split("/").reverse();
    let at = "";
    for (let links = 0; links <= MAX_LINKS;) {
      const part = parts.pop();
      if (part === undefined) return;
      if (part === "" || part === ".") continue;
      if (part === "..") {
        at = at.slice(0, at.lastIndexOf("/"));
        continue;
      }
      const next = `${at}/${part}`;
      const physical = this.#physical(next);
      const stat = lstatSync(fsPath(physical), { bigint: true, throwIfNoEntry: false });
      if (stat?.isSymbolicLink() !== true) {
        at = next;
        tracker.canonical(at);
        continue;
      }
      links++;
      tracker.symlink(next);
      const target = readlinkSync(fsPath(physical), "buffer").toString("latin1");
      if (target.startsWith("/")) at = "";
      parts.push(...target.split("/").reverse());
    }
  }

  #fileError(error: unknown, path: ByteString): unknown {
    if (!(error instanceof Error) || !("code" in error) || error instanceof DevshellError) return error;
    if (isMissing(error)) this.#options.tracker.type(path, undefined);
    this.#options.tracker.trees.use(path);
    switch (error.code) {
      case "ENOENT":
      case "ENOTDIR":
        return new DevshellError("EVAL_FILE", this.explainMissing(path) ?? `path '${path}' does not exist`, {
          cause: error,
        });
      case "EACCES":
      case "EPERM":
        // Some commands go on without it.
        this.#options.tracker.impure(`"${path}", which cannot be read`);
        return new DevshellError("EVAL_FILE", `cannot read '${path}': permission denied`, { cause: error });
      case "ELOOP":
        return new DevshellError("EVAL_FILE", `too many symbolic links at '${path}'`, { cause: error });
      default:
        return typeof error.code === "string" && /^E[A-Z]+$/.test(error.code)
          ? new DevshellError("EVAL_FILE", `cannot read '${path}': ${error.message}`, { cause: error })
          : error;
    }
  }
}

function isMissing(error: unknown): boolean {
  return hasCode(error, "ENOENT") || hasCode(error, "ENOTDIR");
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

/**
 * Lines stand below the message's beginning, unless it begins with a line of its own. Of an empty message not even that
 * it is one is said, as in Nix.
 */
function evaluationWarning(message: ByteString): ByteString {
  const prefix = "evaluation warning:";
  const text = message.trimEnd();
  if (text === "" || text.startsWith("\n")) return text === "" ? "" : prefix + text;
  const margin = " ".repeat(prefix.length + 1);
  const lines = text.split("\n");
  return lines.map((line, i) => ((i === 0 ? `${prefix} ` : margin) + line).trimEnd()).join("\n");
}

function directoryOf(path: ByteString): ByteString {
  return path.slice(0, path.lastIndexOf("/"));
}
