import { join } from "node:path";
import {
  EventEmitter,
  l10n,
  window,
  workspace,
  type ConfigurationChangeEvent,
  type Disposable,
  type ExtensionContext,
  type LogOutputChannel,
  type Uri,
  type WorkspaceFolder,
} from "vscode";
import type { EnvironmentReport } from "../../../cli/protocol/types.ts";
import { usableVariables, type Environment, type SkippedVariable } from "../apply/applyVariables.ts";
import { FolderLoader, type FolderPolicy, type FolderPorts } from "./folderEnvironment.ts";
import { InputWatchers } from "./inputWatchers.ts";
import { launchSelection, type Launch } from "./launch.ts";
import { loadReport } from "../cli/loadReport.ts";
import type { Cli, EnvironmentChange, Environments, FolderEnvironment } from "../model.ts";
import { createReportCache } from "./reportCache.ts";
import { RunQueue } from "../cli/runQueue.ts";

/** More would only compete for the same cores and connection. */
const MAX_RUNS = 2;
const START_SLICE_MS = 20;
/** Settings change together: as trust is given, as a file of them is saved. */
const SETTLE_MS = 100;
/** Settings whose change makes another environment. */
const SETTINGS = ["path", "arguments", "environment", "enabled", "attribute"] as const;

export interface StartableEnvironments extends Environments, Disposable {
  /** Once all who listen do so: cached environments are in use when this returns. */
  start(): void;
}

export function createEnvironments(
  context: ExtensionContext,
  cli: Cli,
  log: LogOutputChannel,
  baseEnvironment: () => Environment,
  launch: Launch | undefined,
): StartableEnvironments {
  return new FolderEnvironments(context, cli, log, baseEnvironment, launch);
}

class FolderEnvironments implements StartableEnvironments {
  readonly #context: ExtensionContext;
  readonly #cli: Cli;
  readonly #log: LogOutputChannel;
  readonly #baseEnvironment: () => Environment;
  readonly #launch: Launch | undefined;
  readonly #loaders = new Map<string, FolderLoader>();
  readonly #watchers = new InputWatchers();
  readonly #queue = new RunQueue(MAX_RUNS);
  readonly #cache;
  readonly #startable = new Set<FolderLoader>();
  #startTimer: NodeJS.Timeout | undefined;
  readonly #emitter = new EventEmitter<EnvironmentChange>();
  readonly #disposables: Disposable[] = [this.#emitter];
  readonly onDidChange = this.#emitter.event;

  constructor(
    context: ExtensionContext,
    cli: Cli,
    log: LogOutputChannel,
    baseEnvironment: () => Environment,
    launch: Launch | undefined,
  ) {
    this.#context = context;
    this.#cli = cli;
    this.#log = log;
    this.#baseEnvironment = baseEnvironment;
    this.#launch = launch;
    this.#cache = createReportCache(join(context.globalStorageUri.fsPath, "reports"));
  }

  get all(): readonly FolderEnvironment[] {
    return [...this.#loaders.values()].map((loader) => loader.environment);
  }

  start(): void {
    this.#disposables.push(
      workspace.onDidChangeWorkspaceFolders(() => this.#followFolders()),
      workspace.onDidGrantWorkspaceTrust(() => this.#startSoon([...this.#loaders.values()])),
      workspace.onDidChangeConfiguration((event) => this.#followSettings(event)),
    );
    this.#followFolders();
  }

  dispose(): void {
    clearTimeout(this.#startTimer);
    for (const loader of this.#loaders.values()) loader.close();
    for (const disposable of this.#disposables.splice(0)) disposable.dispose();
    this.#watchers.dispose();
  }

  of(resource?: Uri): FolderEnvironment | undefined {
    const folder =
      resource === undefined
        ? (folderOfEditor() ?? workspace.workspaceFolders?.[0])
        : workspace.getWorkspaceFolder(resource);
    return folder === undefined ? undefined : this.#loaders.get(keyOf(folder))?.environment;
  }

  async reload(folder: WorkspaceFolder): Promise<FolderEnvironment> {
    const loader = this.#loaderOf(folder);
    await loader.reload();
    return loader.environment;
  }

  cancel(folder: WorkspaceFolder): void {
    this.#loaders.get(keyOf(folder))?.cancel();
  }

  async disable(folder: WorkspaceFolder): Promise<void> {
    await this.#remember("disabled", folder, true);
    this.#loaderOf(folder).start();
  }

  async enable(folder: WorkspaceFolder): Promise<void> {
    await this.#remember("disabled", folder, this.#isEnabledBySetting(folder) ? undefined : false);
    const loader = this.#loaderOf(folder);
    loader.start();
    await loader.settled();
  }

  async select(folder: WorkspaceFolder, selection: readonly string[]): Promise<FolderEnvironment> {
    await this.#remember("selection", folder, selection);
    // From now on this counts for more than what the window was opened with.
    await this.#remember("launch", folder, this.#launch?.id);
    const loader = this.#loaderOf(folder);
    loader.start();
    await loader.settled();
    return loader.environment;
  }

  #loaderOf(folder: WorkspaceFolder): FolderLoader {
    const loader = this.#loaders.get(keyOf(folder));
    if (loader === undefined) throw new Error(`Cannot find the folder "${folder.name}": it is not open`);
    return loader;
  }

  /** Trust also brings the settings that were restricted, a moment later: one run for all of it. */
  #startSoon(loaders: readonly FolderLoader[]): void {
    for (const loader of loaders) this.#startable.add(loader);
    clearTimeout(this.#startTimer);
    this.#startTimer = setTimeout(() => {
      const all = [...this.#startable];
      this.#startable.clear();
      this.#startInTurn(all);
    }, SETTLE_MS);
  }

  /** Keeps the order of the workspace's folders: the first one counts. */
  #followFolders(): void {
    const folders = workspace.workspaceFolders ?? [];
    const open = new Set(folders.map(keyOf));
    for (const [key, loader] of this.#loaders)
      if (!open.has(key)) {
        this.#loaders.delete(key);
        loader.dispose();
      }
    const former = new Map(this.#loaders);
    this.#loaders.clear();
    const added: FolderLoader[] = [];
    for (const folder of folders) {
      const key = keyOf(folder);
      const loader = former.get(key) ?? new FolderLoader(folder, this.#portsFor(folder));
      if (!former.has(key)) added.push(loader);
      this.#loaders.set(key, loader);
    }
    this.#startInTurn(added);
  }

  /** Each folder costs a millisecond or more: with many others get their turn in between. */
  #startInTurn(loaders: readonly FolderLoader[]): void {
    const endMs = performance.now() + START_SLICE_MS;
    const late = loaders.findIndex((loader) => {
      loader.start();
      return performance.now() > endMs;
    });
    const rest = late < 0 ? [] : loaders.slice(late + 1);
    if (rest.length > 0) setImmediate(() => this.#startInTurn(rest));
  }

  #followSettings(event: ConfigurationChangeEvent): void {
    for (const loader of this.#loaders.values()) {
      const { folder } = loader.environment;
      const changed = SETTINGS.filter((name) => event.affectsConfiguration(`devshell.${name}`, folder));
      // A setting that the user changes now counts for more than what was chosen earlier, or when the window was opened.
      if (changed.includes("enabled")) void this.#remember("disabled", folder, undefined);
      if (changed.includes("attribute")) {
        void this.#remember("selection", folder, undefined);
        void this.#remember("launch", folder, this.#launch?.id);
      }
      if (changed.length > 0) this.#startSoon([loader]);
    }
  }

  #portsFor(folder: WorkspaceFolder): FolderPorts {
    const key = keyOf(folder);
    return {
      policy: () => this.#policyOf(folder),
      load: (request, { signal }) =>
        this.#queue.run(() => loadReport(this.#cli, { folder, ...request }, { signal }), { signal }),
      cached: (selection) => this.#cache.read(key, selection),
      keep: (selection, report) => {
        const kept =
          report === undefined
            ? this.#cache.remove(key, selection)
            : this.#cache.write(key, selection, report);
        kept.catch((error: unknown) => this.#log.warn(`Cannot keep the report: ${String(error)}`));
      },
      watch: (paths, onChange, sinceMs) => this.#watchers.watch(paths, onChange, sinceMs),
      notices: (report) => this.#noticesOf(folder, report),
      changed: (environment, previousReport) => this.#emitter.fire({ environment, previousReport }),
      log: (level, message) => this.#log[level](`${folder.name}: ${message}`),
    };
  }

  #policyOf(folder: WorkspaceFolder): FolderPolicy {
    const configuration = workspace.getConfiguration("devshell", folder);
    const attribute = configuration.get<string>("attribute", "").trim();
    const timeoutSeconds = configuration.get<number>("timeoutSeconds", 3600);
    const launched =
      this.#launch === undefined || this.#remembered<string>("launch", folder) === this.#launch.id
        ? undefined
        : launchSelection(this.#launch, folder.uri.fsPath);
    const selection =
      launched ??
      this.#remembered<readonly string[]>("selection", folder) ??
      (attribute === "" ? [] : ["-A", attribute]);
    const isDisabled = this.#remembered<boolean>("disabled", folder) ?? !this.#isEnabledBySetting(folder);
    return {
      kind:
        folder.uri.scheme !== "file"
          ? "unsupported"
          : !workspace.isTrusted
            ? "untrusted"
            : isDisabled
              ? "disabled"
              : "allowed",
      selection,
      timeoutMs: timeoutSeconds * 1000,
    };
  }

  #isEnabledBySetting(folder: WorkspaceFolder): boolean {
    return workspace.getConfiguration("devshell", folder).get<boolean>("enabled", true);
  }

  #remembered<T>(what: "disabled" | "selection" | "launch", folder: WorkspaceFolder): T | undefined {
    return this.#context.workspaceState.get<T>(`${what} ${keyOf(folder)}`);
  }

  async #remember(
    what: "disabled" | "selection" | "launch",
    folder: WorkspaceFolder,
    value: boolean | string | readonly string[] | undefined,
  ): Promise<void> {
    await this.#context.workspaceState.update(`${what} ${keyOf(folder)}`, value);
  }

  /** Called once for each new report: what is skipped is said in the log, too. Names only, no values. */
  #noticesOf(folder: WorkspaceFolder, report: EnvironmentReport): readonly string[] {
    const { skipped } = usableVariables(report, this.#baseEnvironment());
    const said = skipped.flatMap((variable) => noticeOf(variable) ?? []);
    for (const notice of said) this.#log.warn(`${folder.name}: ${notice}`);
    const hook = report.hook.state === "failed" ? [report.hook.message] : [];
    return [...report.warnings, ...hook, ...said];
  }
}

/** What the editor keeps to itself anyway needs no word. */
function noticeOf({ name, reason, sizeBytes }: SkippedVariable): string | undefined {
  const kib = Math.ceil(sizeBytes / 1024);
  switch (reason) {
    case "protected":
    case "noDirectory":
      return undefined;
    case "tooLarge":
      return l10n.t("{0} is left out: {1} KiB is more than the 128 KiB that the system allows", name, kib);
    case "totalTooLarge":
      return l10n.t(
        "{0} is left out: with its {1} KiB the environment is larger than the system allows",
        name,
        kib,
      );
    case "notText":
      return l10n.t("{0} is left out: the editor cannot pass on bytes that are not UTF-8", name);
    case "invalid":
      return l10n.t("{0} is left out: no process can be given such a variable", name);
  }
}

function folderOfEditor(): WorkspaceFolder | undefined {
  const resource = window.activeTextEditor?.document.uri;
  return resource === undefined ? undefined : workspace.getWorkspaceFolder(resource);
}

function keyOf(folder: WorkspaceFolder): string {
  return folder.uri.toString();
}
