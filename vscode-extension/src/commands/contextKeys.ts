import { commands, window, workspace } from "vscode";
import type { FolderEnvironment, Services } from "../model.ts";

type ContextKey = "devshell.hasEnvironment" | "devshell.isDisabled" | "devshell.isLoading";

/** What the manifest's `when` clauses ask for: the state of the active editor's folder. */
export function registerContextKeys({ context, environments }: Services): void {
  const known = new Map<ContextKey, boolean>();
  const update = (): void => {
    for (const [key, value] of contextOf(environments.of())) {
      if (known.get(key) === value) continue;
      known.set(key, value);
      void commands.executeCommand("setContext", key, value);
    }
  };
  update();
  context.subscriptions.push(
    environments.onDidChange(update),
    window.onDidChangeActiveTextEditor(update),
    workspace.onDidChangeWorkspaceFolders(update),
  );
}

function contextOf(environment: FolderEnvironment | undefined): readonly (readonly [ContextKey, boolean])[] {
  const kind = environment?.state.kind;
  return [
    ["devshell.hasEnvironment", environment?.report !== undefined],
    ["devshell.isDisabled", kind === "disabled"],
    ["devshell.isLoading", kind === "loading" || kind === "stale"],
  ];
}
