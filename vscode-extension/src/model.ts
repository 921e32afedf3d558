import type { Event, ExtensionContext, LogOutputChannel, Uri, WorkspaceFolder } from "vscode";
import type {
  EnvironmentReport,
  ErrorReport,
  ProgressReport,
  SpecReport,
  VariableReport,
} from "../../cli/protocol/types.ts";

/**
 * What a folder's environment is. `stale`: the last good one is in use while its inputs differ (a new one is being
 * made, or is awaited). `failed`: the last attempt failed; the last good one, if any, stays in use.
 */
export type FolderState =
  | { readonly kind: "none" }
  | { readonly kind: "untrusted" }
  | { readonly kind: "disabled" }
  | { readonly kind: "loading"; readonly progress?: ProgressReport | undefined; readonly startedMs: number }
  | { readonly kind: "ready" }
  | { readonly kind: "stale"; readonly progress?: ProgressReport | undefined; readonly startedMs: number }
  | {
      readonly kind: "failed";
      readonly error: ErrorReport;
      readonly isCancelled: boolean;
      /** Where it is known. */
      readonly spec?: SpecReport | undefined;
    };

export interface FolderEnvironment {
  readonly folder: WorkspaceFolder;
  readonly state: FolderState;
  /** In use now, whatever the state says of newer ones; undefined: nothing is applied. */
  readonly report?: EnvironmentReport | undefined;
  /** Whether `report` came from the cache of the last window and was not yet confirmed. */
  readonly isFromCache: boolean;
  /** The words that select it (`-A pan`); empty: the spec. */
  readonly selection: readonly string[];
  /** What a user should know of `report`: its warnings, and the variables that cannot be passed on. One line each. */
  readonly notices: readonly string[];
}

export interface EnvironmentChange {
  readonly environment: FolderEnvironment;
  /** What was in use before; the same object where only the state changed. */
  readonly previousReport: EnvironmentReport | undefined;
}

/** The environments of the open folders: the one place where they are loaded, kept and switched. */
export interface Environments {
  readonly all: readonly FolderEnvironment[];
  /** Fires for changes of state and of report; `change.previousReport !== change.environment.report`: a new environment. */
  readonly onDidChange: Event<EnvironmentChange>;
  /** The folder that holds the resource; without one, the active editor's folder, else the first. */
  of(resource?: Uri): FolderEnvironment | undefined;
  /** Evaluates anew; ends when the folder has its new state. Never throws for what goes wrong there. */
  reload(folder: WorkspaceFolder): Promise<FolderEnvironment>;
  /** Stops what runs for the folder; the last good environment stays. */
  cancel(folder: WorkspaceFolder): void;
  /** Takes the environment away, until {@link enable}; remembered for the workspace. */
  disable(folder: WorkspaceFolder): Promise<void>;
  enable(folder: WorkspaceFolder): Promise<void>;
  /** `[]`: the spec's own environment again; remembered for the workspace. */
  select(folder: WorkspaceFolder, selection: readonly string[]): Promise<FolderEnvironment>;
}

/** One run of the CLI. */
export interface CliRun {
  readonly folder: WorkspaceFolder;
  readonly args: readonly string[];
  /** Aborted: SIGTERM, then SIGKILL after 2 s, to the whole process group. */
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
  /** Called with each complete line of standard output, which the result then leaves out. */
  readonly onLine?: ((line: string) => void) | undefined;
}

export interface CliResult {
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** The only way to the CLI: it refuses where the workspace is not trusted, and bounds time and output. */
export interface Cli {
  /** The program and its first arguments, as the first folder's settings say. */
  readonly command: readonly [string, ...string[]];
  /** The same for one folder; for tasks and terminals, whose environment adds {@link settingsEnvironment}. */
  commandFor(folder?: WorkspaceFolder): readonly [string, ...string[]];
  /** The setting `devshell.environment`. */
  settingsEnvironment(folder?: WorkspaceFolder): Readonly<Record<string, string>>;
  /** @throws {CliError} when it cannot be started, is untrusted, timed out or was cancelled */
  run(run: CliRun): Promise<CliResult>;
}

/** What every part of the extension is given: `registerX(services)` adds its disposables to `context.subscriptions`. */
export interface Services {
  readonly context: ExtensionContext;
  readonly environments: Environments;
  readonly cli: Cli;
  readonly log: LogOutputChannel;
  /** The extension host's variables as they are without any environment of ours in them. */
  readonly baseEnvironment: () => Readonly<Record<string, string>>;
}

/** Exported to other extensions by `activate`. */
export interface DevshellApi {
  readonly version: 1;
  /** The environment of a resource's folder as a child process would get it; undefined: none (yet). */
  getEnvironment(uri?: Uri): Promise<Readonly<Record<string, string | undefined>> | undefined>;
  /** The folder's whole report. */
  getReport(uri?: Uri): EnvironmentReport | undefined;
  readonly onDidChangeEnvironment: Event<{ readonly uri: Uri }>;
}

export type { EnvironmentReport, ErrorReport, ProgressReport, VariableReport };
