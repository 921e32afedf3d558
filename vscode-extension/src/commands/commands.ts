import { existsSync } from "node:fs";
import { join } from "node:path";
import { commands, l10n, Uri, window, workspace, type QuickPickItem } from "vscode";
import { actionsOf } from "./actions.ts";
import { pickSelection } from "./attributePicker.ts";
import { registerDoctor } from "./doctor.ts";
import { initialise } from "./initialise.ts";
import type { FolderEnvironment, Services } from "../model.ts";
import { openPosition } from "./openPosition.ts";
import { restartExtensions } from "../apply/restartExtensions.ts";

interface ActionItem extends QuickPickItem {
  readonly command: string;
}

/** Where a spec may be, the likeliest first; for a folder whose spec nobody could report. */
const SPEC_FILES = [
  "devshell.yaml",
  "devshell.yml",
  "devshell.toml",
  "devshell.json",
  "devshell.ts",
  ".devshellrc",
  "shell.nix",
  "default.nix",
  "flake.nix",
];

/** The extension's commands but for those that open a view or a terminal. */
export function registerCommands(services: Services): void {
  const { context, environments, log } = services;
  /** A command on the folder of a resource, else of the active editor. */
  const onFolder = (id: string, run: (environment: FolderEnvironment) => Promise<unknown> | void): void => {
    context.subscriptions.push(
      commands.registerCommand(id, async (resource?: unknown) => {
        const environment = environments.of(resource instanceof Uri ? resource : undefined);
        if (environment === undefined)
          void window.showInformationMessage(l10n.t("Open a folder first: an environment belongs to one"));
        else await run(environment);
      }),
    );
  };
  onFolder("devshell.reload", ({ folder }) => environments.reload(folder));
  onFolder("devshell.cancel", ({ folder }) => environments.cancel(folder));
  onFolder("devshell.disable", ({ folder }) => environments.disable(folder));
  onFolder("devshell.enable", ({ folder }) => environments.enable(folder));
  onFolder("devshell.openSpec", (environment) => openSpec(environment));
  onFolder("devshell.initialise", ({ folder }) => initialise(folder, services));
  onFolder("devshell.selectEnvironment", async (environment) => {
    const selection = await pickSelection(environment, services);
    if (selection !== undefined) await environments.select(environment.folder, selection);
  });
  context.subscriptions.push(
    commands.registerCommand("devshell.showLog", () => log.show()),
    commands.registerCommand("devshell.showActions", () => showActions(services)),
    commands.registerCommand("devshell.restartExtensions", () => restartExtensions()),
  );
  registerDoctor(services);
}

/** At the error where there is one. */
async function openSpec({ folder, state, report }: FolderEnvironment): Promise<void> {
  const position = state.kind === "failed" ? state.error.position : undefined;
  if (position !== undefined && existsSync(position.path)) {
    await openPosition(position);
    return;
  }
  const candidates = [
    ...(report?.spec.path === undefined ? [] : [report.spec.path]),
    ...SPEC_FILES.map((name) => join(folder.uri.fsPath, name)),
  ];
  const path = candidates.find((candidate) => existsSync(candidate));
  if (path !== undefined) {
    await window.showTextDocument(await workspace.openTextDocument(Uri.file(path)));
    return;
  }
  const create = l10n.t("Create a Spec");
  const answer = await window.showInformationMessage(
    l10n.t('Cannot find a spec in "{0}"', folder.name),
    create,
  );
  if (answer === create) await commands.executeCommand("devshell.initialise", folder.uri);
}

async function showActions({ environments }: Services): Promise<void> {
  const resource = environments.of()?.folder.uri;
  const picker = window.createQuickPick<ActionItem>();
  const update = (): void => {
    const environment = environments.of(resource);
    picker.title =
      environment === undefined
        ? "Devshell"
        : l10n.t("Devshell: {0}", environment.report?.name ?? environment.folder.name);
    const items = actionsOf(environment, l10n).map(({ icon, title, command }): ActionItem => ({
      label: `$(${icon}) ${title}`,
      command,
    }));
    const active = picker.activeItems[0]?.command;
    picker.items = items;
    if (active !== undefined) picker.activeItems = items.filter(({ command }) => command === active);
  };
  picker.placeholder = l10n.t("What is to be done?");
  picker.keepScrollPosition = true;
  update();
  // What can be done changes while the list is open: loading ends.
  let shown = environments.of(resource)?.state.kind;
  const following = environments.onDidChange(({ environment, previousReport }) => {
    const isSame = environment.state.kind === shown && environment.report === previousReport;
    if (isSame || environment.folder.uri.toString() !== resource?.toString()) return;
    shown = environment.state.kind;
    update();
  });
  try {
    const chosen = await new Promise<string | undefined>((resolve) => {
      picker.onDidAccept(() => resolve(picker.selectedItems[0]?.command));
      picker.onDidHide(() => resolve(undefined));
      picker.show();
    });
    picker.hide();
    if (chosen !== undefined) await commands.executeCommand(chosen);
  } finally {
    following.dispose();
    picker.dispose();
  }
}
