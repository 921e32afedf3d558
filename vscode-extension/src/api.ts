import { EventEmitter, type Uri } from "vscode";
import { applyVariables, usableVariables } from "./apply/applyVariables.ts";
import type { DevshellApi, Services } from "./model.ts";

/** What other extensions get from `vscode.extensions.getExtension(…).exports`. */
export function createApi({ context, environments, baseEnvironment }: Services): DevshellApi {
  const emitter = new EventEmitter<{ readonly uri: Uri }>();
  context.subscriptions.push(
    emitter,
    environments.onDidChange(({ environment, previousReport }) => {
      if (environment.report !== previousReport) emitter.fire({ uri: environment.folder.uri });
    }),
  );
  return {
    version: 1,
    async getEnvironment(uri) {
      const report = environments.of(uri)?.report;
      if (report === undefined) return undefined;
      const base = baseEnvironment();
      return applyVariables(usableVariables(report, base).variables, base);
    },
    getReport: (uri) => environments.of(uri)?.report,
    onDidChangeEnvironment: emitter.event,
  };
}
