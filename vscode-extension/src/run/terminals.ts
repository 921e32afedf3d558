import {
  commands,
  l10n,
  TerminalProfile,
  ThemeIcon,
  version,
  window,
  workspace,
  type TerminalOptions,
  type Uri,
} from "vscode";
import { usableVariables } from "../apply/applyVariables.ts";
import { pickSelection } from "../commands/attributePicker.ts";
import { selectionText } from "../cli/commandLine.ts";
import type { FolderEnvironment, Services } from "../model.ts";
import { sessionEnvironment, withoutVariables } from "./terminalOptions.ts";

/**
 * Terminals that are devshell sessions: hook, functions, phases, unset variables, pure environments and live reload are
 * as in any other terminal, since the CLI itself runs there. Nothing is typed into them.
 */
export function registerTerminals(services: Services): void {
  const { context, environments } = services;
  context.subscriptions.push(
    window.registerTerminalProfileProvider("devshell.terminal", {
      provideTerminalProfile: () => {
        const environment = usable(environments.of());
        // Without one the editor opens its default terminal.
        return environment === undefined
          ? undefined
          : new TerminalProfile(sessionOptions(environment, environment.selection, services));
      },
    }),
    commands.registerCommand("devshell.openTerminal", (resource?: Uri) => {
      const environment = usable(environments.of(uriOf(resource)));
      if (environment !== undefined) open(sessionOptions(environment, environment.selection, services));
    }),
    commands.registerCommand("devshell.openTerminalFor", async (selection?: unknown) => {
      const environment = usable(environments.of());
      if (environment === undefined) return;
      const words = isWords(selection) ? selection : await pickSelection(environment, services);
      if (words !== undefined) open(sessionOptions(environment, words, services));
    }),
  );
}

/** Options of a terminal that is a session of the CLI. */
function sessionOptions(
  { folder, selection: own, report }: FolderEnvironment,
  selection: readonly string[],
  { cli, baseEnvironment }: Services,
): TerminalOptions {
  const [program, ...first] = cli.commandFor(folder);
  const base = baseEnvironment();
  const settings = workspace
    .getConfiguration("terminal.integrated.env", folder)
    .get<Readonly<Record<string, unknown>>>("linux", {});
  const environment = sessionEnvironment(base, settings, cli.settingsEnvironment(folder), version);
  const variables = report === undefined ? [] : usableVariables(report, base).variables;
  const start = withoutVariables(
    { program, args: [...first, ...selection], environment },
    variables,
    environment,
  );
  const isOwn = selectionText(selection) === selectionText(own);
  return {
    name: isOwn ? `devshell: ${folder.name}` : `devshell ${selectionText(selection)}`,
    iconPath: new ThemeIcon("package"),
    cwd: folder.uri,
    shellPath: start.program,
    shellArgs: [...start.args],
    env: start.environment,
    // So no mark says that it is out of date: a session reloads by itself.
    strictEnv: true,
  };
}

function open(options: TerminalOptions): void {
  window.createTerminal(options).show();
}

/** Where no session can be opened, says so. */
function usable(environment: FolderEnvironment | undefined): FolderEnvironment | undefined {
  if (environment === undefined) {
    void window.showInformationMessage(l10n.t("Open a folder first: an environment belongs to one"));
    return undefined;
  }
  if (!workspace.isTrusted) {
    void window.showWarningMessage(l10n.t("Cannot open a devshell: the workspace is not trusted"));
    return undefined;
  }
  return environment;
}

function uriOf(resource: unknown): Uri | undefined {
  return typeof resource === "object" && resource !== null && "fsPath" in resource
    ? (resource as Uri)
    : undefined;
}

function isWords(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length > 0 && value.every((word) => typeof word === "string");
}
