import { randomBytes } from "node:crypto";
import { commands, env, Uri, window, type Disposable, type WebviewPanel, type WorkspaceFolder } from "vscode";
import { loadClosure } from "../cli/loadClosure.ts";
import type { EnvironmentChange, FolderEnvironment, Services, VariableReport } from "../model.ts";
import { openPosition } from "../commands/openPosition.ts";
import type { ChangesModel, ToView, ViewCommand } from "./viewMessages.ts";
import { makeClosure, makeState, makeViewModel } from "./viewModel.ts";
import { makeViewPage } from "./viewPage.ts";
import { parseRequest } from "./viewRequest.ts";
import type { ViewStrings } from "./viewStrings.ts";
import { elementsOf, makeRedact, stateTexts, type Redact } from "./viewValues.ts";

/** Progress comes more often than anybody can read. */
const STATE_DELAY_MS = 100;
const COPIED_MS = 2000;

export interface PanelParts {
  readonly services: Services;
  readonly strings: ViewStrings;
  readonly changes: () => ChangesModel | undefined;
  readonly formerSecrets: () => readonly VariableReport[];
  readonly onDispose: () => void;
}

/**
 * One folder's view. While it is hidden VS Code drops its page, and this keeps nothing for it: the page asks anew
 * (`ready`) when it is seen again.
 */
export class EnvironmentPanel {
  readonly #panel: WebviewPanel;
  readonly #folder: WorkspaceFolder;
  readonly #parts: PanelParts;
  readonly #disposables: Disposable[] = [];
  #isReady = false;
  #stateTimer: ReturnType<typeof setTimeout> | undefined;
  #closureRun: AbortController | undefined;
  /** Whether a load was seen to begin: its end is told. */
  #isLoading = false;

  constructor(panel: WebviewPanel, folder: WorkspaceFolder, parts: PanelParts) {
    this.#panel = panel;
    this.#folder = folder;
    this.#parts = parts;
    const { extensionUri } = parts.services.context;
    const dist = Uri.joinPath(extensionUri, "dist");
    panel.title = `${parts.strings.title}: ${folder.name}`;
    panel.iconPath = {
      light: Uri.joinPath(extensionUri, "media/environment-light.svg"),
      dark: Uri.joinPath(extensionUri, "media/environment-dark.svg"),
    };
    panel.webview.options = { enableScripts: true, localResourceRoots: [dist] };
    this.#disposables.push(
      panel.webview.onDidReceiveMessage((message: unknown) => this.#receive(message)),
      panel.onDidChangeViewState(() => {
        if (!panel.visible) this.#rest();
      }),
      panel.onDidDispose(() => {
        this.#rest();
        for (const disposable of this.#disposables) disposable.dispose();
        parts.onDispose();
      }),
    );
    panel.webview.html = makeViewPage({
      scriptUri: panel.webview.asWebviewUri(Uri.joinPath(dist, "webview.js")).toString(),
      styleUri: panel.webview.asWebviewUri(Uri.joinPath(dist, "webview.css")).toString(),
      cspSource: panel.webview.cspSource,
      nonce: randomBytes(18).toString("base64"),
      locale: env.language,
      title: parts.strings.title,
    });
  }

  reveal(): void {
    this.#panel.reveal();
  }

  dispose(): void {
    this.#panel.dispose();
  }

  changed({ environment, previousReport }: EnvironmentChange): void {
    if (!this.#isReady) return;
    const { kind } = environment.state;
    const isNew = environment.report !== previousReport;
    if (isNew) this.#postModel();
    else this.#postStateSoon();
    if (kind === "loading" || kind === "stale") this.#isLoading = true;
    else if (this.#isLoading || isNew) {
      this.#isLoading = false;
      this.#announceEnd(environment, isNew);
    }
  }

  get #environment(): FolderEnvironment | undefined {
    return this.#parts.services.environments.of(this.#folder.uri);
  }

  #post(message: ToView): void {
    if (this.#isReady) void this.#panel.webview.postMessage(message);
  }

  #postModel(): void {
    clearTimeout(this.#stateTimer);
    this.#stateTimer = undefined;
    const environment = this.#environment;
    if (environment === undefined) return;
    const { state, report, selection, notices } = environment;
    const { strings, changes, formerSecrets } = this.#parts;
    const input = {
      folder: this.#folder.name,
      state,
      report,
      selection,
      notices,
      formerSecrets: formerSecrets(),
      changes: changes(),
    };
    this.#post({ type: "model", model: makeViewModel(input, strings) });
  }

  #postStateSoon(): void {
    this.#stateTimer ??= setTimeout(() => {
      this.#stateTimer = undefined;
      const environment = this.#environment;
      if (environment === undefined) return;
      const { state } = environment;
      const redact = this.#redact(environment, stateTexts(state));
      this.#post({ type: "state", state: makeState(state, redact, this.#parts.strings) });
    }, STATE_DELAY_MS);
  }

  #announceEnd(environment: FolderEnvironment, isNew: boolean): void {
    const { state } = environment;
    const { strings } = this.#parts;
    if (state.kind === "failed") {
      const redact = this.#redact(environment, stateTexts(state));
      const { error } = makeState(state, redact, strings);
      this.#announce(strings.loadFailed.replace("{0}", () => error?.message ?? ""));
    } else if (state.kind === "ready") {
      const count = this.#parts.changes()?.changes.length ?? 0;
      this.#announce(isNew ? strings.reloaded.replace("{0}", String(count)) : strings.nothingChanged);
    }
  }

  #redact({ report }: FolderEnvironment, texts: readonly string[]): Redact {
    return makeRedact([...(report?.variables ?? []), ...this.#parts.formerSecrets()], texts);
  }

  #announce(text: string): void {
    this.#post({ type: "announce", text });
  }

  /** Hidden: the page is gone, and so is what runs for it. */
  #rest(): void {
    this.#isReady = false;
    this.#isLoading = false;
    clearTimeout(this.#stateTimer);
    this.#stateTimer = undefined;
    this.#closureRun?.abort();
    this.#closureRun = undefined;
  }

  #receive(message: unknown): void {
    const request = parseRequest(message);
    const environment = this.#environment;
    if (request === undefined || environment === undefined) return;
    const variable =
      "name" in request ? environment.report?.variables.find(({ name }) => name === request.name) : undefined;
    switch (request.type) {
      case "ready":
        this.#isReady = true;
        this.#post({
          type: "init",
          strings: this.#parts.strings,
          locale: env.language,
          folder: this.#folder.uri.toString(),
        });
        this.#postModel();
        return;
      case "command":
        this.#run(request.command, environment);
        return;
      case "loadClosure":
        void this.#loadClosure(environment);
        return;
      case "copyName":
        this.#copy(request.name, request.name);
        return;
      case "copyValue":
        if (variable !== undefined && variable.action !== "unset") this.#copy(variable.value, variable.name);
        return;
      case "copyElement": {
        const element = variable && !variable.isSecret ? elementsOf(variable)?.[request.index] : undefined;
        if (element !== undefined) this.#copy(element, element);
        return;
      }
      case "copyStorePath":
        this.#copy(request.path, request.path);
        return;
      case "openOrigin":
        this.#open(variable?.origin.position);
        return;
      case "openScript":
        this.#open(environment.report?.scripts.find(({ name }) => name === request.name)?.position);
        return;
    }
  }

  #run(command: ViewCommand, { state }: FolderEnvironment): void {
    if (command === "openError") this.#open(state.kind === "failed" ? state.error.position : undefined);
    else if (command === "manageTrust") void commands.executeCommand("workbench.trust.manage");
    else void commands.executeCommand(`devshell.${command}`, this.#folder.uri);
  }

  #copy(text: string, name: string): void {
    const { copied } = this.#parts.strings;
    const said = copied.replace("{0}", () => (name.length > 60 ? `${name.slice(0, 60)}…` : name));
    env.clipboard.writeText(text).then(
      () => {
        window.setStatusBarMessage(said, COPIED_MS);
        this.#announce(said);
      },
      (error: unknown) => this.#fail(error),
    );
  }

  #open(position: Parameters<typeof openPosition>[0] | undefined): void {
    if (position !== undefined) openPosition(position).catch((error: unknown) => this.#fail(error));
  }

  async #loadClosure(environment: FolderEnvironment): Promise<void> {
    const { cli, log } = this.#parts.services;
    this.#closureRun?.abort();
    const run = (this.#closureRun = new AbortController());
    this.#post({ type: "closure", closure: { state: "loading" } });
    try {
      const report = await loadClosure(cli, environment, { signal: run.signal });
      if (!run.signal.aborted)
        this.#post({ type: "closure", closure: { state: "ready", closure: makeClosure(report) } });
    } catch (error) {
      if (run.signal.aborted) return;
      const message = error instanceof Error ? error.message : String(error);
      const redact = this.#redact(environment, [message]);
      log.warn(`closure: ${redact(message)}`);
      this.#post({ type: "closure", closure: { state: "failed", message: redact(message).slice(0, 2000) } });
    }
  }

  #fail(error: unknown): void {
    void window.showErrorMessage(error instanceof Error ? error.message : String(error));
  }
}
