import {
  commands,
  EventEmitter,
  l10n,
  ProgressLocation,
  Uri,
  window,
  workspace,
  type WorkspaceFolder,
} from "vscode";
import type { Services } from "../model.ts";

const SCHEME = "devshell-doctor";
const TIMEOUT_MS = 60_000;

/** `devshell.doctor`: what `devshell doctor` says, in a read-only document. */
export function registerDoctor(services: Services): void {
  const changed = new EventEmitter<Uri>();
  const texts = new Map<string, string>();
  services.context.subscriptions.push(
    changed,
    workspace.registerTextDocumentContentProvider(SCHEME, {
      onDidChange: changed.event,
      provideTextDocumentContent: (uri) => texts.get(uri.toString()) ?? "",
    }),
    commands.registerCommand("devshell.doctor", async () => {
      const folder = services.environments.of()?.folder;
      if (folder === undefined) {
        void window.showInformationMessage(l10n.t("Open a folder first: an environment belongs to one"));
        return;
      }
      const uri = Uri.from({ scheme: SCHEME, path: "/devshell doctor", query: folder.uri.toString() });
      const text = await ask(folder, services);
      if (text === undefined) return;
      texts.set(uri.toString(), text);
      changed.fire(uri);
      await window.showTextDocument(await workspace.openTextDocument(uri), { preview: true });
    }),
  );
}

/** @returns `undefined` where it could not be asked; the user was told */
async function ask(folder: WorkspaceFolder, { cli, log }: Services): Promise<string | undefined> {
  const title = l10n.t("Devshell: checking this machine");
  return await window.withProgress(
    { location: ProgressLocation.Notification, title, cancellable: true },
    async (_, token) => {
      const abort = new AbortController();
      token.onCancellationRequested(() => abort.abort());
      try {
        const { signal } = abort;
        const { stdout, stderr } = await cli.run({ folder, args: ["doctor"], signal, timeoutMs: TIMEOUT_MS });
        return stdout === "" ? stderr : stdout;
      } catch (error) {
        log.error(error instanceof Error ? error : String(error));
        if (!abort.signal.aborted)
          void window.showErrorMessage(error instanceof Error ? error.message : String(error));
        return undefined;
      }
    },
  );
}
