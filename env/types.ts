import type { Outline } from "../lang/index.ts";
import type { ByteString, SourcePos } from "../core/index.ts";
import type { StorePath } from "../store/index.ts";

/** What the user asked for: where, and the words that select an environment. Text, not byte strings. */
export interface EnvironmentRequest {
  /** Absolute; where devshell was started. */
  readonly directory: string;
  /** Positional words and `-f`: files, directories, `<search path>`; empty: discover a spec. */
  readonly files?: readonly string[] | undefined;
  /** `-E`. */
  readonly expression?: string | undefined;
  /** `-p`: names of the collection, or expressions in parentheses. */
  readonly packages?: readonly string[] | undefined;
  /** `-A`, in order. */
  readonly attributes?: readonly string[] | undefined;
  /** `--arg` and `--argstr`. */
  readonly arguments?: readonly SpecArgument[] | undefined;
  /** `-I`, in order. */
  readonly includes?: readonly string[] | undefined;
  /** `--pure` or `--impure`; unset: as the spec says. */
  readonly pure?: boolean | undefined;
  /** `--keep`: more variables that survive `--pure`. */
  readonly keep?: readonly string[] | undefined;
  /** `--exclude`: regular expressions over input derivations that are not realised. */
  readonly exclude?: readonly string[] | undefined;
  /** For `-p`: the search path entry to take packages from, e.g. `debian`. */
  readonly collection?: string | undefined;
  /** The words of the selection key (env/cache/FORMAT.md). */
  readonly selection?: readonly string[] | undefined;
}

export interface SpecArgument {
  readonly name: string;
  /** `expression` for `--arg`, `string` for `--argstr`. */
  readonly kind: "expression" | "string";
  readonly value: string;
}

/** Where an environment comes from. */
export type DevSpec =
  | { readonly kind: "file"; readonly path: string; readonly root: string; readonly isFound: boolean }
  | { readonly kind: "searchPath"; readonly entry: string; readonly root: string }
  | { readonly kind: "derivation"; readonly drvPath: string; readonly root: string }
  | { readonly kind: "expression"; readonly text: string; readonly root: string }
  | {
      readonly kind: "packages";
      readonly names: readonly string[];
      readonly collection: string;
      readonly root: string;
    }
  | { readonly kind: "data"; readonly path: string; readonly root: string; readonly data: DataSpec }
  | {
      readonly kind: "flake";
      /** Its `flake.nix`, where that was found in a directory. */
      readonly path: string | undefined;
      readonly root: string;
      /** The reference with what it names in the flake, relative to the root: `.`, `nixpkgs#hello`. */
      readonly installable: string;
    };

/** A data spec (`devshell.yaml` and its siblings), validated. */
export interface DataSpec {
  /** A search path entry (`debian`, `nixpkgs`) or a path to a Nix file. */
  readonly collection: string;
  readonly suite?: string | undefined;
  readonly packages: readonly PackageChoice[];
  readonly inputsFrom: readonly PackageChoice[];
  /** `null` unsets. */
  readonly env: ReadonlyMap<string, string>;
  readonly unset: readonly string[];
  readonly shellHook: string;
  readonly exitHook: string;
  readonly scripts: ReadonlyMap<string, string>;
  readonly services: ReadonlyMap<string, ServiceSpec>;
  readonly pure: boolean;
  readonly keep: readonly string[];
  readonly args: ReadonlyMap<string, string | number | boolean>;
  /** Where each field, package and variable stands: `packages/0`, `env/CC`. */
  readonly positions: ReadonlyMap<string, SourcePos>;
}

export interface PackageChoice {
  readonly name: string;
  readonly version?: string | undefined;
}

export interface ServiceSpec {
  readonly command: string;
}

/** One thing that evaluation or discovery read, with what is needed to see whether it would read the same again. */
export type TrackedInput =
  | {
      readonly kind: "file" | "symlink" | "directory";
      readonly path: ByteString;
      /** SHA-256, base 16: of the bytes, the target, or the entries with their types. */
      readonly content: string;
      readonly stat: InputStat;
      /** Of a file: another with the same outline would have been as good. */
      readonly outline?: Outline | undefined;
    }
  /** Only its existence and type matter. */
  | { readonly kind: "type"; readonly path: ByteString; readonly type: string }
  | { readonly kind: "absent"; readonly path: ByteString }
  /** It is no link, or was not there: so a path through it was its own canonical form. */
  | { readonly kind: "direct"; readonly path: ByteString }
  | { readonly kind: "access"; readonly path: ByteString; readonly isWritable: boolean }
  /** Something in the store: built again, its content may be another, and its inode or ctime is. */
  | { readonly kind: "object"; readonly path: ByteString; readonly stat: InputStat }
  /** Only its stat is compared. */
  | { readonly kind: "program"; readonly path: ByteString; readonly stat: InputStat }
  | { readonly kind: "variable"; readonly name: string; readonly value: ByteString | undefined };

/** Decimal texts of nanoseconds and numbers, as `lstat` gave them before the read. */
export interface InputStat {
  readonly inode: string;
  readonly sizeBytes: string;
  readonly mtimeNs: string;
  readonly ctimeNs: string;
}

/** An instantiated spec: what is to be realised, and everything that was read to get there. */
export interface InstantiatedSpec {
  readonly spec: DevSpec;
  readonly request: EnvironmentRequest;
  readonly drvPath: StorePath;
  /** The output that was asked for, e.g. `out`. */
  readonly outputName: string;
  /** nixpkgs' interactive Bash, where a search path has nixpkgs. */
  readonly shell?: { readonly drvPath: StorePath; readonly output: string } | undefined;
}

export type CapturedVariable =
  | { readonly kind: "exported" | "var"; readonly value: ByteString }
  | { readonly kind: "array"; readonly value: readonly ByteString[]; readonly indices?: readonly number[] }
  | { readonly kind: "associative"; readonly value: ReadonlyMap<ByteString, ByteString> };

/** Who set a variable: for `devshell explain`. */
export interface VariableOrigin {
  readonly by: "derivation" | "setup" | "spec" | "devshell" | "searchPath";
  readonly detail?: string | undefined;
  readonly pos?: SourcePos | undefined;
}

/** The computed environment: readonly data, the same for a session, a command, an editor. */
export interface BuildEnvironment {
  /** The version of this shape, for `env.json`. */
  readonly version: 1;
  /** e.g. `devshell`, `pan-0.165`: for the prompt. */
  readonly name: string;
  readonly drvPath: StorePath;
  readonly storeDir: string;
  readonly spec: {
    readonly kind: DevSpec["kind"];
    readonly path?: string | undefined;
    readonly root: string;
  };
  readonly isPure: boolean;
  /** Names that survive when pure. */
  readonly keep: readonly string[];
  /** As captured and completed; PATH-like ones of `appended` hold the environment's part only. */
  readonly variables: ReadonlyMap<string, CapturedVariable>;
  /** Name → definition as `declare -f` prints it. */
  readonly functions: ReadonlyMap<string, string>;
  /** Variables whose value in the caller's environment follows the environment's own (unless pure). */
  readonly appended: readonly string[];
  readonly unset: readonly string[];
  readonly shellHook: ByteString;
  readonly exitHook: ByteString;
  /** Name → text of a script on PATH. */
  readonly scripts: ReadonlyMap<string, string>;
  /** Where the spec has a script, where that is known. */
  readonly scriptPositions?: ReadonlyMap<string, SourcePos> | undefined;
  /** The Bash to start, absolute. */
  readonly shell: string;
  readonly origins: ReadonlyMap<string, VariableOrigin>;
  /** What it was made of, as named (`jq`, `gcc 12`), or by store path names: for a reload's one line. */
  readonly packages?: readonly string[] | undefined;
  /** Store paths the environment needs: roots. */
  readonly roots: readonly StorePath[];
}

/** What an instantiated or realised environment cost or said, beside the store's own events. */
export type EnvironmentEvent =
  | { readonly kind: "stage"; readonly stage: "discover" | "evaluate" | "realise" | "setup" | "done" }
  /** A package index or another input of evaluation on its way. */
  | {
      readonly kind: "fetch";
      readonly what: string;
      readonly doneBytes: number;
      readonly totalBytes: number | undefined;
    }
  | { readonly kind: "message"; readonly level: MessageLevel; readonly text: string };

/** What evaluation says: `builtins.trace`, a warning, or what a setting asked to be told (`trace-function-calls`). */
export type MessageLevel = "trace" | "note" | "warning";
