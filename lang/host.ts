import type { ByteString, Hash, HashAlgorithm } from "../core/index.ts";

/**
 * The language's only way to the world. `lang` does no I/O of its own: files, environment, fetches, the store and
 * derivations are reached through this port, synchronously (evaluation is synchronous). All strings, paths
 * included, are byte strings. Failures throw `DevshellError`; the evaluator adds position and trace.
 */
export interface EvalHost {
  /** e.g. `/nix/store`; without a trailing slash. */
  readonly storeDir: string;
  /** e.g. `x86_64-linux`; `builtins.currentSystem`. */
  readonly currentSystem: string;
  /** Seconds since 1970; `builtins.currentTime`. */
  readonly currentTime: number;

  /** The file's bytes as a byte string. @param isImported as a program, and for nothing else @throws when it is absent, a directory, or not allowed */
  readFile(path: ByteString, isImported?: boolean): ByteString;
  /** The entry itself, links not followed; `undefined` when absent. */
  fileType(path: ByteString): FileType | undefined;
  /** Entry names, sorted by byte, with their types. */
  readDirectory(path: ByteString): ReadonlyMap<ByteString, FileType>;
  /** The path with every symlink of every component resolved, as `realpath`. */
  resolveSymlinks(path: ByteString): ByteString;
  /** The value of an environment variable; `undefined` when unset or not allowed (pure evaluation). */
  environmentVariable(name: ByteString): ByteString | undefined;

  /** Turns an element of the search path (a path, a URL, `channel:…`, `flake:…`) into a path; `undefined` if absent. */
  resolveSearchPathEntry(entry: ByteString): ByteString | undefined;
  /** Extra global variables for one file (the embedded collection's), as functions from string to string. */
  extraGlobals?(file: ByteString): ReadonlyMap<string, (argument: ByteString) => ByteString> | undefined;

  /** Copies a path into the store (or only computes where it would be, when evaluation is read-only). */
  addPath(request: AddPathRequest): ByteString;
  /** Adds a text file (`builtins.toFile`). */
  addText(name: ByteString, contents: ByteString, references: readonly ByteString[]): ByteString;
  /** Makes a store path valid (substituting where needed) for `builtins.storePath`. */
  ensurePath(storePath: ByteString): void;
  /** Computes output paths, writes the `.drv`, and gives both back. */
  instantiate(request: InstantiateRequest): InstantiatedDerivation;
  /** The `.drv` closure with all outputs, for a context element `=<drvPath>`. */
  derivationClosure(drvPath: ByteString): ReadonlyArray<ContextElement>;
  /** Where an output of a derivation lies, if that is known without a build; `undefined` too where there is no such derivation yet. */
  outputPath(drvPath: ByteString, output: ByteString): ByteString | undefined;
  /** The references of a valid store path (`builtins.readFile`'s context). */
  references(storePath: ByteString): readonly ByteString[];
  /**
   * Import from derivation: makes the context's paths valid, building where needed.
   * @returns a rewrite of placeholders to real output paths (only content-addressed ones need it)
   */
  realise(elements: readonly ContextElement[]): ReadonlyMap<ByteString, ByteString>;
  /** `builtins.fetch*`: one request of any kind, answered by a tree or file in the store. */
  fetch(request: FetchRequest): FetchResult;

  /**
   * The direct reference that an indirect one stands for, by the registries.
   * @param scope `limited`: the command line's and the global registry only
   */
  resolveFlake?(
    attributes: ReadonlyMap<string, ByteString | bigint | boolean>,
    scope: "all" | "limited",
  ): ResolvedFlake;

  /** Runs a program for `builtins.exec`. @returns what it prints */
  runProgram?(program: ByteString, args: readonly ByteString[]): ByteString;

  /** `builtins.trace`'s message, without the "trace: " before it. */
  trace(message: ByteString): void;
  /** What messages call a path that was copied into the store; `undefined`: the path itself. */
  displayPath?(path: ByteString): ByteString | undefined;
  /** Why there is no such path, where more is known than that. */
  explainMissing?(path: ByteString): ByteString | undefined;
  /** That a path's own text becomes part of what is computed, or decides it. */
  usePath?(path: ByteString): void;
  /** That when a fetched tree was last changed becomes part of what is computed. */
  useTime?(storePath: ByteString): void;
  /** What only who debugs wants to know. */
  debug?(message: ByteString): void;
  /** What a setting asked to be told, as it is. */
  note?(message: ByteString): void;
  /** @param isFromProgram it comes from `builtins.warn`: an "evaluation warning: ", not a "warning: " of ours */
  warn(message: ByteString, isFromProgram?: boolean): void;
}

export type FileType = "regular" | "directory" | "symlink" | "unknown";

/**
 * An element of a string's context, encoded as Nix does:
 * `<path>` (opaque), `!<output>!<drvPath>` (one output), `=<drvPath>` (the derivation with its whole closure).
 */
export type ContextElement = ByteString;

export interface AddPathRequest {
  readonly path: ByteString;
  readonly name: ByteString;
  /** `nar` for trees (`recursive = true`), `flat` for a single regular file's bytes. */
  readonly method: "nar" | "flat";
  readonly filter?: ((path: ByteString, type: FileType) => boolean) | undefined;
  /** Refused with both hashes named when the result differs. */
  readonly expectedSha256?: Hash | undefined;
  /** What the copy refers to, where it is known: that of the store object that is copied. */
  readonly references?: readonly ByteString[] | undefined;
}

export interface InstantiateRequest {
  readonly name: ByteString;
  readonly system: ByteString;
  readonly builder: ByteString;
  readonly args: readonly ByteString[];
  /** As the derivation's attributes gave them; the host takes it over, and adds the outputs' own variables. */
  readonly env: Map<ByteString, ByteString>;
  /** Output names in the order written. */
  readonly outputs: readonly ByteString[];
  readonly kind:
    | { readonly kind: "inputAddressed" }
    | { readonly kind: "fixed"; readonly hash: Hash; readonly method: IngestionMethod }
    | {
        readonly kind: "contentAddressed";
        readonly algorithm: HashAlgorithm;
        readonly method: IngestionMethod;
      }
    | { readonly kind: "impure"; readonly algorithm: HashAlgorithm; readonly method: IngestionMethod };
  /** The union of the attributes' contexts. */
  readonly context: ReadonlySet<ContextElement>;
  /** The builder says what its outputs are (`builder-rpc-v0`), and has no variables for them. */
  readonly isSubmittingOutputs: boolean;
}

export type IngestionMethod = "flat" | "nar" | "text" | "git";

export interface InstantiatedDerivation {
  readonly drvPath: ByteString;
  /** Output name → store path, or a placeholder where the path is not known before the build. */
  readonly outputs: ReadonlyMap<ByteString, ByteString>;
}

/** Attributes as plain data (strings, numbers, booleans), as `builtins.fetchTree` takes them. */
export interface FetchRequest {
  readonly kind: "url" | "tarball" | "git" | "tree" | "mercurial" | "closure";
  readonly attributes: ReadonlyMap<ByteString, ByteString | bigint | boolean>;
  /** The URL form of a tree's input, which messages name and `allowed-uris` is asked about. */
  readonly reference?: ByteString | undefined;
  /** From a lock file: the attributes are all there is to say, and a tree of this hash in the store is taken. */
  readonly isFinal?: boolean | undefined;
  /** For a lock file: all that can be found out about the tree is wanted, `revCount` too. */
  readonly isLocking?: boolean | undefined;
}

/** What registries say of an indirect reference. */
export interface ResolvedFlake {
  readonly attributes: Map<string, ByteString | bigint | boolean>;
  /** The flake's directory within the tree, where the registry gives one. */
  readonly dir: ByteString | undefined;
}

export interface FetchResult {
  readonly storePath: ByteString;
  /** What the fetch found out: `rev`, `narHash`, `lastModified`, … */
  readonly attributes: ReadonlyMap<ByteString, ByteString | bigint | boolean>;
  /** Counts a Git revision's ancestors: slow in a long history, impossible in a shallow one, and seldom asked for. */
  readonly revCount?: (() => bigint) | undefined;
}
