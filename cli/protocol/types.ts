/**
 * The versioned protocol between devshell and editors: what `devshell env --json` and `devshell watch --json` print.
 * `protocol.schema.json` beside this file is the published schema. Within a version fields are only added; a reader
 * ignores what it does not know and refuses another `protocol`.
 */
export const PROTOCOL = 1;

/** `devshell env --json`: one report. Its exit status is 0 for `ready`, else 1. */
export type Report = EnvironmentReport | FailureReport | NoSpecReport;

/** An environment that is realised and can be used. */
export interface EnvironmentReport {
  readonly protocol: typeof PROTOCOL;
  readonly state: "ready";
  /** Changes exactly when something below changes, `watch` and `durationMs` apart: SHA-256, base 16. */
  readonly id: string;
  /** For people, e.g. `devshell`, `pan-0.165`. */
  readonly name: string;
  /** Absolute; where it was asked for. */
  readonly directory: string;
  /** The words that selected it, e.g. `["-A", "pan"]`; empty: the project's spec. */
  readonly selection: readonly string[];
  readonly spec: SpecReport;
  readonly drvPath: string;
  readonly storeDir: string;
  /** `devshell run` then keeps nothing of the caller's environment but `keep`. */
  readonly isPure: boolean;
  readonly keep: readonly string[];
  /** By name, one each, in the order of names' UTF-16 code units. */
  readonly variables: readonly VariableReport[];
  /** Absolute directories, of the environment alone, in order. */
  readonly searchPaths: SearchPathsReport;
  readonly scripts: readonly ScriptReport[];
  /** What it was made of, as named (`jq`, `gcc 12`), or by store path names. */
  readonly packages: readonly string[];
  /** Store paths that the environment needs. */
  readonly roots: readonly string[];
  /** What the shell hook did: its changes are in `variables`, with the origin `shellHook`. */
  readonly hook: HookReport;
  /** Absolute files and directories outside the store whose change can change the environment. */
  readonly watch: readonly string[];
  /** What a user should know though all went well, one line each. */
  readonly warnings: readonly string[];
  readonly durationMs: number;
}

export interface SpecReport {
  readonly kind: "file" | "searchPath" | "derivation" | "expression" | "packages" | "data" | "flake";
  /** Absolute, where it is a file. */
  readonly path?: string | undefined;
  /** Absolute: the project's directory. */
  readonly root: string;
}

/** What becomes of one variable of the caller's. */
export type VariableReport = SetVariable | PrependVariable | UnsetVariable;

interface VariableFacts {
  readonly name: string;
  /** By its name or its looks: to be masked where it is shown. */
  readonly isSecret: boolean;
  /** Who set it. */
  readonly origin: OriginReport;
}

export interface SetVariable extends VariableFacts {
  readonly action: "set";
  readonly value: string;
  /** The bytes, where they are not UTF-8; `value` then has U+FFFD in their places. */
  readonly base64?: string | undefined;
}

/** `value` comes first, then `separator` and the caller's own value, where that is set and not empty. */
export interface PrependVariable extends VariableFacts {
  readonly action: "prepend";
  readonly value: string;
  readonly base64?: string | undefined;
  readonly separator: string;
}

export interface UnsetVariable extends VariableFacts {
  readonly action: "unset";
}

export interface OriginReport {
  readonly by: "derivation" | "setup" | "spec" | "devshell" | "searchPath" | "shellHook";
  /** e.g. the package whose directory it is, the name of a set-up hook. */
  readonly detail?: string | undefined;
  readonly position?: PositionReport | undefined;
}

export interface SearchPathsReport {
  /** Programs: PATH's elements. */
  readonly programs: readonly string[];
  /** C and C++ headers. */
  readonly headers: readonly string[];
  readonly libraries: readonly string[];
  readonly pkgConfig: readonly string[];
  /** The first C compiler on PATH, for IntelliSense. */
  readonly compiler?: string | undefined;
}

/** A script of the spec: `devshell run NAME`. */
export interface ScriptReport {
  readonly name: string;
  readonly text: string;
  readonly position?: PositionReport | undefined;
}

export type HookReport =
  | { readonly state: "none" }
  | { readonly state: "done"; readonly durationMs: number }
  /** Its variables are left out. */
  | { readonly state: "failed"; readonly message: string };

/** Nothing can be entered: the spec is wrong, or a download or build failed. */
export interface FailureReport {
  readonly protocol: typeof PROTOCOL;
  readonly state: "failed";
  readonly directory: string;
  readonly selection: readonly string[];
  readonly spec?: SpecReport | undefined;
  readonly error: ErrorReport;
  /** What was read up to the failure, so that its mending is seen. */
  readonly watch: readonly string[];
}

/** No spec is found from `directory` upward. */
export interface NoSpecReport {
  readonly protocol: typeof PROTOCOL;
  readonly state: "none";
  readonly directory: string;
  readonly selection: readonly string[];
  /** The places where a spec would be found. */
  readonly watch: readonly string[];
}

export interface ErrorReport {
  /** Stable, e.g. `SPEC_UNKNOWN_FIELD`, `LANG_UNDEFINED_VARIABLE`. */
  readonly code: string;
  /** One line or more, without excerpt or trace. */
  readonly message: string;
  readonly hint?: string | undefined;
  readonly position?: PositionReport | undefined;
  /** Close names, best first: "did you mean". */
  readonly suggestions: readonly string[];
  /** Outermost first, of files only. */
  readonly trace: readonly { readonly message: string; readonly position?: PositionReport | undefined }[];
  /** As `devshell` prints it, with excerpt; no colours. */
  readonly text: string;
}

/** Line and column count from 1; a column counts bytes. `endColumn` is exclusive, where the extent is known. */
export interface PositionReport {
  /** Absolute. */
  readonly path: string;
  readonly line: number;
  readonly column: number;
  readonly endColumn?: number | undefined;
}

/**
 * `devshell watch --json`: one event a line. After `hello` each round is `begin`, any number of `progress`, then the
 * round's `report`, or `same` where everything is as the last `ready` report said. `--once` ends after the first round,
 * with the status of `devshell env --json`; without it an input's change begins the next round, until standard input
 * or standard output is closed or SIGTERM comes.
 */
export type WatchEvent =
  | { readonly event: "hello"; readonly protocol: typeof PROTOCOL; readonly version: string }
  | { readonly event: "begin"; readonly reason: "start" | "change" }
  | ({ readonly event: "progress" } & ProgressReport)
  | { readonly event: "report"; readonly report: Report }
  | { readonly event: "same"; readonly id: string };

export interface ProgressReport {
  readonly stage: "discover" | "evaluate" | "realise" | "setup" | "hook";
  /** One short line for people, e.g. `gcc-12 (3 of 14, 45.1 MiB of 120 MiB)`. */
  readonly text?: string | undefined;
  /** 0 to 1, where it can be told. */
  readonly fraction?: number | undefined;
}

/** `devshell attributes --json`: what `-A` can name in a spec. */
export interface AttributesReport {
  readonly protocol: typeof PROTOCOL;
  readonly directory: string;
  readonly spec?: SpecReport | undefined;
  /** Sorted by name. */
  readonly attributes: readonly AttributeReport[];
  /** There are more than are listed. */
  readonly isTruncated: boolean;
}

export interface AttributeReport {
  /** As `-A` takes it. */
  readonly name: string;
  /** Where evaluating it was cheap: `derivation`, `set` (has attributes of its own), `other`. */
  readonly kind: "derivation" | "set" | "other" | "unknown";
  readonly description?: string | undefined;
}

/** `devshell closure --json`: all store paths that an environment needs, for pictures of its size. */
export interface ClosureReport {
  readonly protocol: typeof PROTOCOL;
  readonly storeDir: string;
  readonly roots: readonly string[];
  /** By path. */
  readonly paths: readonly ClosurePath[];
}

export interface ClosurePath {
  readonly path: string;
  /** Without the hash, e.g. `gcc-12-12.2.0`. */
  readonly name: string;
  readonly narSizeBytes: number;
  /** What it alone takes: files of `linkedFrom` are not counted; absent: all of `narSizeBytes`. Their sum is the closure's. */
  readonly ownSizeBytes?: number | undefined;
  readonly references: readonly string[];
  /** Paths, in this closure too, whose files this one also holds: as hard links, which take no room. */
  readonly linkedFrom?: readonly string[] | undefined;
}

/** `devshell packages --json PREFIX`: names of a spec's collection, for completion. */
export interface PackagesReport {
  readonly protocol: typeof PROTOCOL;
  readonly collection: string;
  readonly packages: readonly {
    readonly name: string;
    readonly versions: readonly string[];
    readonly summary?: string | undefined;
  }[];
  readonly isTruncated: boolean;
}
