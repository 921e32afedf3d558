import { workspace } from "vscode";
import type { EnvironmentReport } from "../../cli/protocol/types.ts";
import type { Services } from "./model.ts";
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
    const environment = isOn ? environments.all.find(({ report }) => report !== undefined) : undefined;
    if (environment?.report === used) return;
    used = environment?.report;
    const names = processEnvironment.patch(used);
    log.debug(`process.env: ${names.length} variables changed`);
    onChange({ report: used, isFromCache: environment?.isFromCache ?? false, names });
  };
  context.subscriptions.push(
    environments.onDidChange(({ environment, previousReport }) => {
      if (environment.report !== previousReport) follow();
    }),
    workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration("devshell.extensionHost")) follow();
    }),
    workspace.onDidChangeWorkspaceFolders(follow),
    { dispose: () => void processEnvironment.restore() },
  );
}
