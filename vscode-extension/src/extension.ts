import { window, type ExtensionContext } from "vscode";
import { createApi } from "./api.ts";
import { createCli, type DisposableCli } from "./cli.ts";
import { registerCommands } from "./commands.ts";
import { registerContextKeys } from "./contextKeys.ts";
import { registerCppTools } from "./cppTools.ts";
import { registerDebug } from "./debug.ts";
import { createEnvironments } from "./environments.ts";
import { registerEnvironmentView } from "./environmentView.ts";
import { registerExtensionHost } from "./extensionHost.ts";
import { LAUNCH_VARIABLE, readLaunch } from "./launch.ts";
import type { DevshellApi, Services } from "./model.ts";
import { ProcessEnvironment } from "./processEnvironment.ts";
import { registerRestartOffer } from "./restartOffer.ts";
import { registerStatusBar } from "./statusBar.ts";
import { registerTasks } from "./tasks.ts";
import { registerSpecEditing } from "./specEditing.ts";
import { registerTerminalEnvironment } from "./terminalEnvironment.ts";
import { registerTerminals } from "./terminals.ts";

let processEnvironment: ProcessEnvironment | undefined;
let cli: DisposableCli | undefined;

/** Waits for nothing: what is known from the last window is in use when this returns. */
export function activate(context: ExtensionContext): DevshellApi {
  const startedMs = performance.now();
  const log = window.createOutputChannel("Devshell", { log: true });
  context.subscriptions.push(log);
  const launch = readLaunch(process.env[LAUNCH_VARIABLE]);
  // What terminals have before we change anything, which in a window of `devshell code` is an environment already.
  const windowEnvironment = { ...process.env } as Readonly<Record<string, string>>;
  const patched = (processEnvironment = new ProcessEnvironment(process.env, launch?.changes));
  const baseEnvironment = (): Readonly<Record<string, string>> => patched.base();
  cli = createCli(log, baseEnvironment);
  const environments = createEnvironments(context, cli, log, baseEnvironment, launch);
  context.subscriptions.push(environments);
  const services: Services = { context, environments, cli, log, baseEnvironment };

  const restartOffer = registerRestartOffer(services);
  // First of all: other extensions may start their programs at any moment.
  registerExtensionHost(services, patched, (change) => restartOffer.changed(change));
  registerTerminalEnvironment(services, windowEnvironment);
  registerCommands(services);
  registerContextKeys(services);
  registerStatusBar(services);
  registerTasks(services);
  registerDebug(services);
  registerTerminals(services);
  registerCppTools(services);
  registerEnvironmentView(services);
  registerSpecEditing(services);
  const api = createApi(services);

  environments.start();
  log.info(`activated in ${Math.round(performance.now() - startedMs)} ms`);
  return api;
}

export async function deactivate(): Promise<void> {
  processEnvironment?.restore();
  await cli?.close();
}
