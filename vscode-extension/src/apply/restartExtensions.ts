import { commands } from "vscode";

const RESTART_HOST = "workbench.action.restartExtensionHost";

/** Starts all extensions anew; where the editor cannot (in a browser, on a server), the window. */
export async function restartExtensions(): Promise<void> {
  const known = await commands.getCommands(true);
  await commands.executeCommand(
    known.includes(RESTART_HOST) ? RESTART_HOST : "workbench.action.reloadWindow",
  );
}
