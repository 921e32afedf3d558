import {
  l10n,
  MarkdownString,
  StatusBarAlignment,
  ThemeColor,
  window,
  workspace,
  type StatusBarItem,
} from "vscode";
import type { Services } from "../model.ts";
import { STATUS_COMMANDS, statusText, type StatusBarMode, type StatusText } from "./statusText.ts";

/** Loading reports progress faster than anyone reads. */
const PROGRESS_INTERVAL_MS = 100;

/** One item: the environment of the active editor's folder. A click offers what can be done. */
export function registerStatusBar({ context, environments }: Services): void {
  const item = window.createStatusBarItem("devshell.status", StatusBarAlignment.Left, 0);
  item.name = "Devshell";
  item.command = "devshell.showActions";

  let timer: NodeJS.Timeout | undefined;
  let shown = "";
  const update = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const text = statusText(environments.of(), optionsOf(), l10n);
    const key = JSON.stringify(text);
    // A tooltip that is open must not be rewritten for nothing.
    if (key === shown) return;
    shown = key;
    show(item, text);
  };
  const updateSoon = (): void => {
    timer ??= setTimeout(update, PROGRESS_INTERVAL_MS);
  };
  update();
  context.subscriptions.push(
    item,
    { dispose: () => clearTimeout(timer) },
    environments.onDidChange(({ environment: { state } }) => {
      if (state.kind === "loading" || state.kind === "stale") updateSoon();
      else update();
    }),
    window.onDidChangeActiveTextEditor(updateSoon),
    workspace.onDidChangeWorkspaceFolders(updateSoon),
    workspace.onDidGrantWorkspaceTrust(updateSoon),
    workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration("devshell")) update();
    }),
  );
}

function show(item: StatusBarItem, status: StatusText | undefined): void {
  if (status === undefined) {
    item.hide();
    return;
  }
  const tooltip = new MarkdownString(status.tooltip, true);
  tooltip.isTrusted = { enabledCommands: STATUS_COMMANDS };
  item.text = status.text;
  item.tooltip = tooltip;
  item.accessibilityInformation = { label: status.label, role: "button" };
  item.backgroundColor = backgroundOf(status.severity);
  item.show();
}

function backgroundOf(severity: StatusText["severity"]): ThemeColor | undefined {
  switch (severity) {
    case "normal":
      return undefined;
    case "warning":
      return new ThemeColor("statusBarItem.warningBackground");
    case "error":
      return new ThemeColor("statusBarItem.errorBackground");
  }
}

function optionsOf(): { readonly mode: StatusBarMode; readonly hasSeveralFolders: boolean } {
  const mode = workspace.getConfiguration("devshell").get<string>("statusBar", "withSpec");
  return {
    mode: mode === "always" || mode === "never" ? mode : "withSpec",
    hasSeveralFolders: (workspace.workspaceFolders?.length ?? 0) > 1,
  };
}
