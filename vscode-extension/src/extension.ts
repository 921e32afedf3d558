import { window, type ExtensionContext } from "vscode";
import { createApi } from "./api.ts";
import { createCli, type DisposableCli } from "./cli/cli.ts";
import { registerCommands } from "./commands/commands.ts";
import { registerContextKeys } from "./commands/contextKeys.ts";
import { registerCppTools } from "./run/cppTools.ts";
import { registerDebug } from "./run/debug.ts";
import { createEnvironments } from "./environment/environments.ts";
import { registerEnvironmentView } from "./view/environmentView.ts";
import { registerExtensionHost } from "./apply/extensionHost.ts";
import { LAUNCH_VARIABLE, readLaunch } from "./environment/launch.ts";
import type { DevshellApi, Services } from "./model.ts";
import { ProcessEnvironment } from "./apply/processEnvironment.ts";
import { registerRestartOffer } from "./apply/restartOffer.ts";
import { registerStatusBar } from "./commands/statusBar.ts";
import { registerTasks } from "./run/tasks.ts";
import { registerSpecEditing } from "./spec/specEditing.ts";
import { registerTerminalEnvironment } from "./apply/terminalEnvironment.ts";
import { registerTerminals } from "./run/terminals.ts";

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
