import type { FolderEnvironment } from "../model.ts";
import type { Localiser } from "./statusText.ts";

export interface Action {
  readonly command: string;
  /** A codicon's name. */
  readonly icon: string;
  readonly title: string;
}

/** What a click on the status bar offers: only what does something in this state, the likeliest first. */
export function actionsOf(environment: FolderEnvironment | undefined, l10n: Localiser): readonly Action[] {
  const showLog = { command: "devshell.showLog", icon: "output", title: l10n.t("Show Log") };
  const doctor = { command: "devshell.doctor", icon: "pulse", title: l10n.t("Check This Machine") };
  if (environment === undefined) return [showLog];
  const { state, report } = environment;

  const cancel = { command: "devshell.cancel", icon: "stop-circle", title: l10n.t("Cancel Loading") };
  const openSpec = { command: "devshell.openSpec", icon: "go-to-file", title: l10n.t("Open Spec") };
  const reload = { command: "devshell.reload", icon: "refresh", title: l10n.t("Reload") };
  const select = {
    command: "devshell.selectEnvironment",
    icon: "list-selection",
    title: l10n.t("Select Environment…"),
  };
  const openFor = {
    command: "devshell.openTerminalFor",
    icon: "terminal",
    title: l10n.t("Open Terminal for…"),
  };
  const disable = { command: "devshell.disable", icon: "circle-slash", title: l10n.t("Disable Here") };
  const enable = { command: "devshell.enable", icon: "play-circle", title: l10n.t("Enable Here") };
  const initialise = {
    command: "devshell.initialise",
    icon: "new-file",
    title: l10n.t("Create a Spec from a Template…"),
  };
  const trust = {
    command: "workbench.trust.manage",
    icon: "workspace-trusted",
    title: l10n.t("Manage Workspace Trust"),
  };
  const restart = {
    command: "devshell.restartExtensions",
    icon: "debug-restart",
    title: l10n.t("Restart Extensions"),
  };
  const ofReport =
    report === undefined
      ? []
      : [
          {
            command: "devshell.showEnvironment",
            icon: "symbol-variable",
            title: l10n.t("Show Environment"),
          },
          { command: "devshell.openTerminal", icon: "terminal", title: l10n.t("Open Terminal") },
        ];

  switch (state.kind) {
    case "untrusted":
      return [trust, showLog];
    case "disabled":
      return [enable, showLog];
    case "none":
      return [initialise, openFor, select, reload, doctor, disable, showLog];
    case "loading":
    case "stale":
      return [cancel, ...ofReport, openSpec, select, disable, showLog];
    case "ready":
      return [...ofReport, reload, select, openFor, openSpec, restart, doctor, disable, showLog];
    case "failed":
      return [openSpec, reload, showLog, ...ofReport, select, openFor, doctor, disable];
  }
}
