import { workspace } from "vscode";
import type { EnvironmentReport } from "../../../cli/protocol/types.ts";
import type { FolderEnvironment, Services } from "../model.ts";
import type { ProcessEnvironment } from "./processEnvironment.ts";

/** The extension host's own environment was, or could have been, changed. */
export interface HostChange {
  readonly report: EnvironmentReport | undefined;
  readonly isFromCache: boolean;
  /** What became of others: empty, where they had it so already. */
  readonly names: readonly string[];
}

/**
 * Gives other extensions, and what they start, the environment of the first folder that has one (as terminals outside
 * of all folders get it), while the setting `devshell.extensionHost` is on.
 */
export function registerExtensionHost(
  { context, environments, log }: Services,
  processEnvironment: ProcessEnvironment,
  onChange: (change: HostChange) => void,
): void {
  let used: EnvironmentReport | undefined;
  const follow = (): void => {
    const isOn = workspace.getConfiguration("devshell").get<boolean>("extensionHost", true);
    const environment = isOn ? firstOf(environments.all) : undefined;
    // What is awaited comes at once in the place of what is in use.
    if (environment !== undefined && environment.report === undefined) return;
    if (environment?.report === used) return;
    used = environment?.report;
    const names = processEnvironment.patch(used);
    log.debug(`process.env: ${names.length} variables changed: ${names.slice(0, 20).join(" ")}`);
    onChange({ report: used, isFromCache: environment?.isFromCache ?? false, names });
  };
  context.subscriptions.push(
    environments.onDidChange(follow),
    workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration("devshell.extensionHost")) follow();
    }),
    workspace.onDidChangeWorkspaceFolders(follow),
    { dispose: () => void processEnvironment.restore() },
  );
}

/** Not one of a later folder while an earlier one's is awaited: each change may cost others a restart. */
function firstOf(all: readonly FolderEnvironment[]): FolderEnvironment | undefined {
  return all.find(({ report, state }) => report !== undefined || state.kind === "loading");
}
