import type { ProgressReport } from "../../../cli/protocol/types.ts";
import { selectionText } from "../cli/commandLine.ts";
import type { FolderEnvironment, FolderState } from "../model.ts";

/** `vscode.l10n`, as far as it is used. */
export interface Localiser {
  readonly t: (message: string, ...args: (string | number)[]) => string;
}

/** When the item is shown: `devshell.statusBar`. */
export type StatusBarMode = "always" | "withSpec" | "never";

export interface StatusText {
  readonly text: string;
  /** Markdown; what comes from specs is escaped in it. */
  readonly tooltip: string;
  /** For screen readers: the text without icons. */
  readonly label: string;
  readonly severity: "normal" | "warning" | "error";
}

export interface StatusOptions {
  readonly mode: StatusBarMode;
  /** There is more than one folder: the folder is named. */
  readonly hasSeveralFolders: boolean;
}

/** Commands that a tooltip may link; no other runs from one. */
export const STATUS_COMMANDS = [
  "devshell.reload",
  "devshell.selectEnvironment",
  "devshell.showEnvironment",
  "devshell.openSpec",
  "devshell.openTerminal",
  "devshell.showLog",
  "devshell.cancel",
  "devshell.disable",
  "devshell.enable",
  "devshell.initialise",
  "workbench.trust.manage",
] as const;

export type StatusCommand = (typeof STATUS_COMMANDS)[number];

const SHOWN_PACKAGES = 12;
const TEXT_LIMIT = 40;

/** What the status bar's item says; `undefined`: it is hidden. */
export function statusText(
  environment: FolderEnvironment | undefined,
  options: StatusOptions,
  l10n: Localiser,
): StatusText | undefined {
  if (environment === undefined || options.mode === "never") return undefined;
  if (options.mode === "withSpec" && environment.state.kind === "none") return undefined;
  const face = faceOf(environment, l10n);
  const folder = options.hasSeveralFolders ? ` (${environment.folder.name})` : "";
  const words = shorten(face.words, TEXT_LIMIT) + folder;
  return {
    text: `$(${face.icon}) ${withoutIcons(words)}`,
    label: `Devshell: ${face.label}${folder}`,
    severity: face.severity,
    tooltip: tooltipOf(environment, face.label, l10n),
  };
}

/** Text in which Markdown finds nothing, for one line; icons are looked for once Markdown is rendered. */
export function escapeMarkdown(text: string): string {
  return withoutIcons(text)
    .replace(/[\\`*_{}[\]()#+\-.!~|<>&$:@^=]/g, "\\$&")
    .replace(/\s+/g, " ");
}

export function durationText(milliseconds: number, l10n: Localiser): string {
  if (milliseconds < 1000) return l10n.t("{0} ms", Math.round(milliseconds));
  const seconds = milliseconds / 1000;
  if (seconds < 60) return l10n.t("{0} s", seconds < 10 ? seconds.toFixed(1) : Math.round(seconds));
  return l10n.t("{0} min {1} s", Math.floor(seconds / 60), Math.round(seconds % 60));
}

interface Face {
  readonly icon: string;
  readonly words: string;
  readonly label: string;
  readonly severity: StatusText["severity"];
}

function faceOf({ state, report, notices }: FolderEnvironment, l10n: Localiser): Face {
  const name = report?.name ?? "devshell";
  const normal = (icon: string, words: string, label: string): Face => ({
    icon,
    words,
    label,
    severity: "normal",
  });
  switch (state.kind) {
    case "none":
      return normal("package", l10n.t("No devshell"), l10n.t("no spec in this folder"));
    case "untrusted":
      return normal("workspace-untrusted", "devshell", l10n.t("off, the workspace is not trusted"));
    case "disabled":
      return normal("circle-slash", "devshell", l10n.t("disabled in this folder"));
    case "loading":
      return normal("loading~spin", workText(state.progress, l10n), l10n.t("loading the environment"));
    case "stale":
      return normal("sync~spin", name, l10n.t("{0}, a newer environment is being made", name));
    case "ready":
      return notices.length > 0
        ? normal("warning", name, l10n.t("{0}, ready, with warnings", name))
        : normal("package", name, l10n.t("{0}, ready", name));
    case "failed":
      return {
        icon: state.isCancelled ? "debug-stop" : "error",
        words: name,
        label: failureLabel(state.isCancelled, report !== undefined, l10n),
        severity: state.isCancelled ? "warning" : "error",
      };
  }
}

function failureLabel(isCancelled: boolean, hasReport: boolean, l10n: Localiser): string {
  if (isCancelled)
    return hasReport
      ? l10n.t("cancelled, the last environment is in use")
      : l10n.t("cancelled, no environment is in use");
  return hasReport ? l10n.t("failed, the last environment is in use") : l10n.t("failed");
}

function workText(progress: ProgressReport | undefined, l10n: Localiser): string {
  if (progress === undefined) return "devshell";
  if (progress.text !== undefined && progress.text !== "") return progress.text.replace(/\s+/g, " ");
  return stageText(progress.stage, l10n);
}

function stageText(stage: ProgressReport["stage"], l10n: Localiser): string {
  switch (stage) {
    case "discover":
      return l10n.t("Looking for the spec");
    case "evaluate":
      return l10n.t("Evaluating");
    case "realise":
      return l10n.t("Fetching packages");
    case "setup":
      return l10n.t("Setting up");
    case "hook":
      return l10n.t("Running the shell hook");
  }
}

function tooltipOf(environment: FolderEnvironment, label: string, l10n: Localiser): string {
  const { state, report, selection, notices } = environment;
  const parts = [`**Devshell** — ${escapeMarkdown(label)}`];
  const facts: string[] = [];
  if (report !== undefined) {
    facts.push(escapeMarkdown(l10n.t("Environment: {0}", report.name)));
    if (report.spec.path !== undefined) facts.push(escapeMarkdown(l10n.t("Spec: {0}", report.spec.path)));
  }
  if (selection.length > 0) facts.push(escapeMarkdown(l10n.t("Selected: {0}", selectionText(selection))));
  if (report !== undefined) {
    if (report.packages.length > 0) facts.push(escapeMarkdown(packagesText(report.packages, l10n)));
    const duration = escapeMarkdown(durationText(report.durationMs, l10n));
    facts.push(
      environment.isFromCache
        ? l10n.t("From the last window, not yet checked")
        : l10n.t("Made in {0}", duration),
    );
  }
  if (facts.length > 0) parts.push(facts.map((fact) => `- ${fact}`).join("\n"));
  if (state.kind === "loading" || state.kind === "stale") parts.push(escapeMarkdown(workLine(state, l10n)));
  for (const warning of notices.slice(0, 5))
    parts.push(`$(warning) ${escapeMarkdown(shorten(warning, 200))}`);
  if (state.kind === "failed" && !state.isCancelled) {
    parts.push(`$(error) ${escapeMarkdown(shorten(state.error.message, 400))}`);
    if (state.error.hint !== undefined) parts.push(`$(lightbulb) ${escapeMarkdown(state.error.hint)}`);
  }
  parts.push(linksOf(state, report !== undefined, l10n));
  return parts.join("\n\n");
}

function workLine(state: FolderState & { kind: "loading" | "stale" }, l10n: Localiser): string {
  const { progress } = state;
  const text = workText(progress, l10n);
  return progress?.fraction === undefined ? text : `${text} (${Math.round(progress.fraction * 100)} %)`;
}

function packagesText(packages: readonly string[], l10n: Localiser): string {
  const shown = packages.slice(0, SHOWN_PACKAGES).join(", ");
  const more = packages.length - SHOWN_PACKAGES;
  return more > 0 ? l10n.t("Packages: {0} and {1} more", shown, more) : l10n.t("Packages: {0}", shown);
}

function linksOf(state: FolderState, hasReport: boolean, l10n: Localiser): string {
  const link = (command: StatusCommand, title: string): string => `[${title}](command:${command})`;
  const show = hasReport
    ? [link("devshell.showEnvironment", l10n.t("Show")), link("devshell.openTerminal", l10n.t("Terminal"))]
    : [];
  const log = link("devshell.showLog", l10n.t("Log"));
  switch (state.kind) {
    case "none":
      return [link("devshell.initialise", l10n.t("Create a Spec")), log].join(" · ");
    case "untrusted":
      return link("workbench.trust.manage", l10n.t("Manage Workspace Trust"));
    case "disabled":
      return link("devshell.enable", l10n.t("Enable"));
    case "loading":
    case "stale":
      return [link("devshell.cancel", l10n.t("Cancel")), ...show, log].join(" · ");
    case "ready":
      return [...show, link("devshell.reload", l10n.t("Reload")), log].join(" · ");
    case "failed":
      return [
        link("devshell.openSpec", l10n.t("Open Spec")),
        link("devshell.reload", l10n.t("Reload")),
        ...show,
        log,
      ].join(" · ");
  }
}

function shorten(text: string, limit: number): string {
  return text.length > limit ? `${text.slice(0, limit - 1)}…` : text;
}

/** A name such as `$(bug)` is no icon. */
function withoutIcons(text: string): string {
  return text.replaceAll("$(", "$ (");
}
