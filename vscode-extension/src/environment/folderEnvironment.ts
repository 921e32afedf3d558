import type { WorkspaceFolder } from "vscode";
import type {
  EnvironmentReport,
  ErrorReport,
  ProgressReport,
  Report,
  SpecReport,
} from "../../../cli/protocol/types.ts";
import { CliError } from "../cli/cliProcess.ts";
import type { Watching } from "./inputWatchers.ts";
import type { FolderEnvironment, FolderState } from "../model.ts";

/** What may be done for a folder, as settings, trust and the user's commands say now. */
export interface FolderPolicy {
  readonly kind: "untrusted" | "disabled" | "unsupported" | "allowed";
  readonly selection: readonly string[];
  readonly timeoutMs: number;
}

/** All that a folder's environment needs of the world. */
export interface FolderPorts {
  policy(): FolderPolicy;
  /** One run of the CLI; waits for its turn. */
  load(
    request: {
      readonly selection: readonly string[];
      readonly timeoutMs: number;
      readonly onProgress: (progress: ProgressReport) => void;
    },
    options: { readonly signal: AbortSignal },
  ): Promise<Report>;
  cached(selection: readonly string[]): EnvironmentReport | undefined;
  /** `undefined`: there is none any more. */
  keep(selection: readonly string[], report: EnvironmentReport | undefined): void;
  watch(
    paths: readonly string[],
    onChange: (paths: readonly string[]) => void,
    sinceMs: number | undefined,
  ): Watching;
  /** For people: warnings, and variables that cannot be passed on. */
  notices(report: EnvironmentReport): readonly string[];
  changed(environment: FolderEnvironment, previousReport: EnvironmentReport | undefined): void;
  log(level: "debug" | "info" | "warn" | "error", message: string): void;
}

/** Progress is shown to people: no oftener than they can read. */
const PROGRESS_EVERY_MS = 100;
/** Runs in a row, each soon after the one before: more are the run's own doing, and wait. */
const MAX_RERUNS = 5;
const RERUN_WITHIN_MS = 1_000;
const RERUN_WAIT_MS = 10_000;

/**
 * One folder's environment: what is in use, and the runs that renew it. There is one run at a time; whatever happens
 * during a run gives one more after it.
 */
export class FolderLoader {
  readonly #ports: FolderPorts;
  #environment: FolderEnvironment;
  #watching: Watching | undefined;
  #watched: readonly string[] = [];
  #run: AbortController | undefined;
  #isCancelled = false;
  #loop: Promise<void> | undefined;
  #isRunWanted = false;
  #reruns = 0;
  #endedMs = 0;
  #rerun: NodeJS.Timeout | undefined;
  #isDisposed = false;

  constructor(folder: WorkspaceFolder, ports: FolderPorts) {
    this.#ports = ports;
    this.#environment = {
      folder,
      state: { kind: "none" },
      isFromCache: false,
      selection: [],
      notices: [],
    };
  }

  get environment(): FolderEnvironment {
    return this.#environment;
  }

  /**
   * Begins, or begins anew after trust, settings or the selection changed. The cached report is in use when this
   * returns; the run that confirms it is under way.
   */
  start(): void {
    if (this.#isDisposed) return;
    const { kind, selection } = this.#ports.policy();
    this.#stop();
    const isSame = sameWords(selection, this.#environment.selection);
    switch (kind) {
      case "untrusted":
      case "disabled":
        return this.#drop({ kind }, selection);
      case "unsupported":
        return this.#drop({ kind: "none" }, selection);
      case "allowed": {
        const report =
          isSame && this.#environment.report !== undefined
            ? this.#environment.report
            : this.#ports.cached(selection);
        const isNew = report !== this.#environment.report;
        const isFromCache = report !== undefined && (isNew || this.#environment.isFromCache);
        if (report !== undefined && isNew) this.#ports.log("info", `using ${report.name} of the last window`);
        this.#update({
          selection,
          report,
          isFromCache,
          state: report === undefined ? { kind: "loading", startedMs: Date.now() } : { kind: "ready" },
        });
        if (report !== undefined) this.#watch(report.watch, undefined);
        void this.reload();
      }
    }
  }

  /** Ends when no more runs are wanted. */
  async reload(): Promise<void> {
    const { kind, selection } = this.#ports.policy();
    if (this.#isDisposed || kind !== "allowed") return;
    // Chosen a moment ago: what is in use, and what runs, is another's.
    if (!sameWords(selection, this.#environment.selection)) {
      this.start();
      return await this.settled();
    }
    this.#isRunWanted = true;
    this.#loop ??= this.#runWhileWanted().finally(() => {
      this.#loop = undefined;
    });
    await this.#loop;
  }

  /** Ends when what runs has ended, with no run more. */
  async settled(): Promise<void> {
    await this.#loop;
  }

  cancel(): void {
    if (this.#run === undefined) return;
    this.#isRunWanted = false;
    this.#isCancelled = true;
    this.#run.abort();
  }

  /** The folder is gone, and what was in use with it. */
  dispose(): void {
    if (this.#isDisposed) return;
    this.close();
    this.#drop({ kind: "none" }, this.#environment.selection);
  }

  /** The window closes. What is in use stays so: terminals of the next one begin with it. */
  close(): void {
    this.#isDisposed = true;
    this.#stop();
    this.#unwatch();
  }

  /** The run that is under way is of no use any more. */
  #stop(): void {
    this.#isRunWanted = false;
    this.#isCancelled = false;
    this.#reruns = 0;
    clearTimeout(this.#rerun);
    this.#rerun = undefined;
    const run = this.#run;
    this.#run = undefined;
    run?.abort();
  }

  #drop(state: FolderState, selection: readonly string[]): void {
    this.#unwatch();
    this.#update({ state, selection, report: undefined, isFromCache: false });
  }

  async #runWhileWanted(): Promise<void> {
    while (this.#isRunWanted && !this.#isDisposed) {
      this.#isRunWanted = false;
      await this.#runOnce();
    }
  }

  async #runOnce(): Promise<void> {
    const { kind, timeoutMs } = this.#ports.policy();
    if (kind !== "allowed") return;
    const { selection } = this.#environment;
    const run = new AbortController();
    this.#run = run;
    this.#isCancelled = false;
    const startedMs = Date.now();
    // A cached report is shown as ready until there is something to tell: most often it is confirmed at once.
    if (!this.#environment.isFromCache || this.#environment.state.kind !== "ready") this.#working(startedMs);
    let shownMs = 0;
    const onProgress = (progress: ProgressReport): void => {
      if (this.#run !== run || (progress.stage === "discover" && this.#environment.isFromCache)) return;
      if (Date.now() - shownMs < PROGRESS_EVERY_MS) return;
      shownMs = Date.now();
      this.#working(startedMs, progress);
    };
    try {
      const report = await this.#ports.load({ selection, timeoutMs, onProgress }, { signal: run.signal });
      if (this.#run !== run) return;
      this.#take(report, selection, startedMs);
    } catch (error) {
      if (this.#run !== run) return;
      this.#fail(errorReportOf(error), this.#isCancelled);
    } finally {
      if (this.#run === run) this.#run = undefined;
      this.#endedMs = Date.now();
    }
  }

  #working(startedMs: number, progress?: ProgressReport): void {
    const kind = this.#environment.report === undefined ? "loading" : "stale";
    this.#update({ state: { kind, startedMs, progress } });
  }

  #take(report: Report, selection: readonly string[], startedMs: number): void {
    const current = this.#environment.report;
    switch (report.state) {
      case "ready": {
        const isSame = current?.id === report.id;
        this.#ports.log("info", isSame ? `${report.name} is unchanged` : `${report.name} is ready`);
        if (!isSame || !sameWords(report.watch, this.#watched)) this.#ports.keep(selection, report);
        this.#watch(report.watch, startedMs);
        this.#update({
          state: { kind: "ready" },
          report: isSame ? current : report,
          isFromCache: false,
        });
        return;
      }
      case "failed":
        this.#watch([...new Set([...report.watch, ...(current?.watch ?? [])])], startedMs);
        this.#fail(report.error, false, report.spec);
        return;
      case "none":
        this.#ports.log("info", "no spec");
        if (current !== undefined) this.#ports.keep(selection, undefined);
        this.#watch(report.watch, startedMs);
        this.#update({ state: { kind: "none" }, report: undefined, isFromCache: false });
    }
  }

  #fail(error: ErrorReport, isCancelled: boolean, spec?: SpecReport): void {
    // No excerpt: a spec's line may hold a secret.
    const at = error.position === undefined ? "" : ` at ${error.position.path}:${error.position.line}`;
    this.#ports.log(isCancelled ? "info" : "error", `${error.code}${at}: ${error.message}`);
    this.#update({ state: { kind: "failed", error, isCancelled, spec } });
  }

  /** @param sinceMs when the run that named them began: what changed since then is seen, too */
  #watch(paths: readonly string[], sinceMs: number | undefined): void {
    if (this.#watching !== undefined && sameWords(paths, this.#watched)) return;
    this.#unwatch();
    this.#watched = paths;
    this.#watching = this.#ports.watch(paths, (changed) => this.#inputChanged(changed), sinceMs);
  }

  #unwatch(): void {
    this.#watching?.dispose();
    this.#watching = undefined;
    this.#watched = [];
  }

  #inputChanged(paths: readonly string[]): void {
    this.#ports.log("debug", `changed: ${paths.join(", ")}`);
    const isSoon = this.#run !== undefined || Date.now() - this.#endedMs < RERUN_WITHIN_MS;
    this.#reruns = isSoon ? this.#reruns + 1 : 0;
    if (this.#rerun !== undefined) return;
    if (this.#run === undefined) this.#working(Date.now());
    if (this.#reruns <= MAX_RERUNS) {
      void this.reload();
      return;
    }
    this.#ports.log("warn", `inputs change again and again: ${paths.join(", ")}`);
    this.#rerun = setTimeout(() => {
      this.#rerun = undefined;
      void this.reload();
    }, RERUN_WAIT_MS);
  }

  #update(change: Partial<FolderEnvironment>): void {
    const previous = this.#environment;
    const report = "report" in change ? change.report : previous.report;
    const notices =
      report === previous.report ? previous.notices : report === undefined ? [] : this.#ports.notices(report);
    this.#environment = { ...previous, ...change, notices };
    this.#ports.changed(this.#environment, previous.report);
  }
}

export function errorReportOf(error: unknown): ErrorReport {
  const message = error instanceof Error ? error.message : String(error);
  const hint = error instanceof CliError ? error.hint : undefined;
  return {
    code: error instanceof CliError ? error.code : "EXTENSION",
    message,
    hint,
    suggestions: [],
    trace: [],
    text: hint === undefined ? message : `${message}\n${hint}`,
  };
}

function sameWords(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((word, index) => word === b[index]);
}
