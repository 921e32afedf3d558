import {
  commands,
  l10n,
  Uri,
  ViewColumn,
  window,
  workspace,
  type WebviewPanel,
  type WorkspaceFolder,
} from "vscode";
import { EnvironmentPanel } from "./environmentPanel.ts";
import type { EnvironmentChange, Services, VariableReport } from "../model.ts";
import type { ChangesModel } from "./viewMessages.ts";
import { makeChanges } from "./viewModel.ts";
import { makeViewStrings } from "./viewStrings.ts";

const VIEW_TYPE = "devshell.environment";
const FORMER_SECRETS = 1000;

/** The view of a folder's environment: one panel a folder, which comes back with the window. */
export function registerEnvironmentView(services: Services): void {
  const { context, environments } = services;
  const strings = makeViewStrings(l10n);
  const panels = new Map<string, EnvironmentPanel>();
  /** What the last reload of each folder changed, whether anybody looks or not. */
  const changes = new Map<string, ChangesModel>();
  const formerSecrets = new Map<string, readonly VariableReport[]>();
  const keyOf = (folder: WorkspaceFolder): string => folder.uri.toString();

  const adopt = (panel: WebviewPanel, folder: WorkspaceFolder): void => {
    const key = keyOf(folder);
    panels.get(key)?.dispose();
    const adopted = new EnvironmentPanel(panel, folder, {
      services,
      strings,
      changes: () => changes.get(key),
      formerSecrets: () => formerSecrets.get(key) ?? [],
      onDispose: () => {
        if (panels.get(key) === adopted) panels.delete(key);
      },
    });
    panels.set(key, adopted);
  };

  const show = async (resource: unknown): Promise<void> => {
    const environment = environments.of(resource instanceof Uri ? resource : undefined);
    if (environment === undefined) {
      await window.showInformationMessage(l10n.t("Open a folder first: an environment belongs to one"));
      return;
    }
    const { folder } = environment;
    const open = panels.get(keyOf(folder));
    if (open === undefined)
      adopt(window.createWebviewPanel(VIEW_TYPE, strings.title, ViewColumn.Active), folder);
    else open.reveal();
  };

  const remember = ({ environment, previousReport }: EnvironmentChange): void => {
    const { folder, report } = environment;
    if (report === undefined || previousReport === undefined || report === previousReport) return;
    const key = keyOf(folder);
    const secrets = previousReport.variables.filter(({ isSecret }) => isSecret);
    formerSecrets.set(key, [...(formerSecrets.get(key) ?? []), ...secrets].slice(-FORMER_SECRETS));
    const made = makeChanges(previousReport, report, Date.now());
    if (made.changes.length > 0) changes.set(key, made);
  };

  context.subscriptions.push(
    commands.registerCommand("devshell.showEnvironment", show),
    window.registerWebviewPanelSerializer(VIEW_TYPE, {
      deserializeWebviewPanel: async (panel, state: unknown) => {
        const folder = folderOf(state);
        if (folder === undefined) panel.dispose();
        else adopt(panel, folder);
      },
    }),
    environments.onDidChange((change) => {
      remember(change);
      panels.get(keyOf(change.environment.folder))?.changed(change);
    }),
    workspace.onDidChangeWorkspaceFolders(({ removed }) => {
      for (const folder of removed) {
        changes.delete(keyOf(folder));
        formerSecrets.delete(keyOf(folder));
        panels.get(keyOf(folder))?.dispose();
      }
    }),
    {
      dispose: () => {
        for (const panel of panels.values()) panel.dispose();
      },
    },
  );
}

/** The folder that a view of an earlier window showed, where it is open again. */
function folderOf(state: unknown): WorkspaceFolder | undefined {
  const uri = typeof state === "object" && state !== null && "folder" in state ? state.folder : undefined;
  return workspace.workspaceFolders?.find((folder) => folder.uri.toString() === uri);
}
