import type { ByteString, Hash, HashAlgorithm } from "../core/index.ts";

/** `<storeDir>/<32 nixbase32 characters>-<name>`; made and checked by `store/storePath.ts`. */
export type StorePath = string & { readonly __brand: "StorePath" };
export type OutputName = string;

/** How a path's content is hashed when its address comes from its content. */
export type IngestionMethod = "flat" | "nar" | "text" | "git";

export type DerivationOutput =
  | { readonly kind: "inputAddressed"; readonly path: StorePath }
  | {
      readonly kind: "fixed";
      readonly path: StorePath;
      readonly hash: Hash;
      readonly method: IngestionMethod;
    }
  | { readonly kind: "contentAddressed"; readonly algorithm: HashAlgorithm; readonly method: IngestionMethod }
  | { readonly kind: "impure"; readonly algorithm: HashAlgorithm; readonly method: IngestionMethod }
  | { readonly kind: "deferred" };

/** What is needed of the derivation that an output is: its outputs, and of those that are derivations again theirs. */
export interface DynamicInput {
  readonly outputs: readonly OutputName[];
  readonly children: ReadonlyMap<OutputName, DynamicInput>;
}

/** What a `.drv` file says. Strings are byte strings. */
export interface Derivation {
  readonly name: string;
  readonly outputs: ReadonlyMap<OutputName, DerivationOutput>;
  /** Every derivation whose outputs are needed; no output names where only `dynamicInputs` names it. */
  readonly inputDrvs: ReadonlyMap<StorePath, readonly OutputName[]>;
  /** Outputs of derivations that an input's output is itself the text of; absent where there are none. */
  readonly dynamicInputs?: ReadonlyMap<StorePath, ReadonlyMap<OutputName, DynamicInput>> | undefined;
  readonly inputSrcs: readonly StorePath[];
  readonly system: ByteString;
  readonly builder: ByteString;
  readonly args: readonly ByteString[];
  readonly env: ReadonlyMap<ByteString, ByteString>;
}

/** A row of the database: what is known of a valid path. */
export interface ValidPathInfo {
  readonly path: StorePath;
  readonly deriver?: StorePath | undefined;
  /** SHA-256 of the NAR. */
  readonly narHash: Hash;
  readonly narSizeBytes: number;
  readonly references: readonly StorePath[];
  /** Seconds since 1970. */
  readonly registrationTime: number;
  /** Built here, so trusted without a signature. */
  readonly isUltimate: boolean;
  /** `<key name>:<base64>` each. */
  readonly signatures: readonly string[];
  /** `fixed:…` or `text:…` where the path is content-addressed. */
  readonly contentAddress?: string | undefined;
}

/** Which path an output of a content-addressed derivation turned out to be. */
export interface Realisation {
  /** The derivation that was built: one whose inputs are all named by path. */
  readonly drvPath: StorePath;
  readonly output: OutputName;
  readonly outputPath: StorePath;
  /** `<key name>:<base64>` each. */
  readonly signatures: readonly string[];
}

/** Where everything lies; made by `resolveStoreSettings` from the environment, `nix.conf` and what is writable. */
export interface StoreSettings {
  /** What is written into files and hashed, e.g. `/nix/store`. */
  readonly storeDir: string;
  /** Where the files of `storeDir` lie on this side of a mount namespace; the same as `storeDir` unless given. */
  readonly realStoreDir?: string | undefined;
  /** Holds `db/`, `gcroots/`, `profiles/`, `temproots/`, e.g. `/nix/var/nix`. */
  readonly stateDir: string;
  readonly logDir: string;
  readonly confDir: string;
  /** The daemon that holds the store, where it is not opened itself. */
  readonly daemon?: DaemonPlace | undefined;
  /** `read-only=true` in its address: nothing is written, not even a lock. */
  readonly isReadOnly?: boolean | undefined;
  /** Holds all of a store that goes with its process; see `TransientRoot`. */
  readonly transientRoot?: string | undefined;
  /** Holds what Nix remembers of binary caches, as in `~/.cache/nix`; nothing is remembered where it is not given. */
  readonly cacheDir?: string | undefined;
  /** Which rung of the rootless ladder this is; `devshell doctor` says it. */
  readonly rung: "given" | "system" | "daemon" | "namespace" | "prefix" | "dummy";
  readonly config: StoreConfig;
}

/** How a daemon of Nix's worker protocol is reached: by its socket, or by a program that speaks for it. */
export type DaemonAddress =
  | { readonly kind: "socket"; readonly path: string }
  | {
      readonly kind: "command";
      readonly program: string;
      readonly args: readonly string[];
      /** What is known of the host, for ssh to be told in a file: nobody else is spoken to. */
      readonly knownHosts?: string | undefined;
    };

export interface DaemonPlace {
  /** As the user named it: `daemon`, `unix://…`, `ssh-ng://…`. */
  readonly url: string;
  readonly address: DaemonAddress;
  /** The store's files are files of this machine. */
  readonly isHere: boolean;
  /** Nobody asked for it: it runs here. */
  readonly isFound: boolean;
}

/** The `nix.conf` options in force (defaults, files, `NIX_CONFIG`, `--option`). */
export interface StoreConfig {
  readonly system: string;
  readonly extraPlatforms: readonly string[];
  /** Concurrent builds; 0 means none here. */
  readonly maxJobs: number;
  /** `NIX_BUILD_CORES`; 0 means all. */
  readonly cores: number;
  readonly sandbox: "on" | "off" | "relaxed";
  readonly substituters: readonly string[];
  readonly trustedPublicKeys: readonly string[];
  readonly requireSignatures: boolean;
  readonly substitute: boolean;
  readonly keepDerivations: boolean;
  readonly keepOutputs: boolean;
  readonly keepFailed: boolean;
  readonly keepGoing: boolean;
  readonly fallback: boolean;
  readonly buildTimeoutSeconds: number;
  readonly maxSilentSeconds: number;
  /** Options that the user chose: in files of their own, `NIX_CONFIG`, on the command line. */
  readonly chosen?: ReadonlySet<string> | undefined;
  /** Every option as text, for `nix config show` and what has no field of its own. */
  readonly raw: ReadonlyMap<string, string>;
}

/** What realising tells while it runs; `cli` renders it, nothing else depends on it. */
export type RealiseEvent =
  | {
      readonly kind: "plan";
      readonly builds: readonly StorePath[];
      readonly downloads: readonly StorePath[];
      readonly downloadBytes: number;
      readonly unpackedBytes: number;
    }
  | {
      readonly kind: "start";
      readonly id: number;
      readonly activity: "build" | "download" | "substitute" | "copy";
      readonly name: string;
      readonly path: StorePath;
      readonly totalBytes?: number | undefined;
      /** The program that builds, of builds that run one. */
      readonly builder?: ByteString | undefined;
      /** The address of another machine that builds. */
      readonly machine?: string | undefined;
    }
  | {
      readonly kind: "progress";
      readonly id: number;
      readonly doneBytes: number;
      readonly totalBytes?: number | undefined;
    }
  | { readonly kind: "phase"; readonly id: number; readonly phase: string }
  /** What a piece of work asks a server for. */
  | { readonly kind: "transfer"; readonly id: number; readonly url: string }
  | { readonly kind: "log"; readonly id: number; readonly line: string }
  | {
      readonly kind: "end";
      readonly id: number;
      readonly status: "done" | "failed" | "cancelled";
      readonly message?: string | undefined;
    };

/** What to make valid: a path as it is, or outputs of a derivation. */
export type DerivedPath =
  | { readonly kind: "opaque"; readonly path: StorePath }
  | ({ readonly kind: "built" } & BuiltTarget);

/** Outputs of a derivation (`*` all), which may be an output itself. */
export interface BuiltTarget {
  readonly drvPath: StorePath;
  /** The outputs that lead from `drvPath` to the derivation meant; absent or empty where it is that one. */
  readonly via?: readonly OutputName[] | undefined;
  readonly outputs: readonly OutputName[] | "*";
}

export interface RealiseOptions {
  readonly onEvent?: ((event: RealiseEvent) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** What builders say is shown while they do: failures do not quote its end. */
  readonly isLogShown?: boolean | undefined;
  /** Plan only: `--dry-run`. */
  readonly dryRun?: boolean | undefined;
  /** `normal`, rebuild and compare, or replace what is broken. */
  readonly mode?: "normal" | "check" | "repair" | undefined;
}

/**
 * A builder that runs in this process (`builder = "builtin:<name>"`), for what needs no sandbox because it runs no
 * foreign code: it reads its inputs and writes its outputs, nothing else.
 */
export type BuiltinBuilder = (context: BuiltinBuilderContext) => Promise<void>;

export interface BuiltinBuilderContext {
  readonly drvPath: StorePath;
  readonly derivation: Derivation;
  /** Output name → the path to create (already free; made canonical, scanned and registered afterwards). */
  readonly outputs: ReadonlyMap<OutputName, string>;
  /** A private directory, removed afterwards. */
  readonly tmpDir: string;
  readonly settings: StoreSettings;
  /** Asked for by someone who may not act as us: nothing is read but what lies in the store. */
  readonly isForStranger: boolean;
  readonly log: (line: string) => void;
  readonly progress: (doneBytes: number, totalBytes?: number) => void;
  readonly signal: AbortSignal;
}
