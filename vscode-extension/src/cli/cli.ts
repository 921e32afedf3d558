import { isAbsolute, resolve } from "node:path";
import { homedir } from "node:os";
import { commands, env, l10n, window, workspace, type LogOutputChannel, type WorkspaceFolder } from "vscode";
import { CliError, runProcess } from "./cliProcess.ts";
import { loggedWords } from "./commandLine.ts";
import type { Cli, CliResult, CliRun } from "../model.ts";

export { CliError } from "./cliProcess.ts";

export interface DisposableCli extends Cli {
  /** Ends what runs; resolves when it is gone. */
  close(): Promise<void>;
}

/** @param baseEnvironment the extension host's own, without what the extension patched in */
export function createCli(
  log: LogOutputChannel,
  baseEnvironment: () => Readonly<Record<string, string>>,
): DisposableCli {
  const closing = new AbortController();
  const running = new Set<Promise<CliResult>>();
  let offeredFor: string | undefined;

  const run = async (request: CliRun): Promise<CliResult> => {
    const { folder, args, timeoutMs, onLine } = request;
    if (!workspace.isTrusted)
      throw new CliError(
        "CLI_UNTRUSTED",
        l10n.t("Cannot run devshell: the workspace is not trusted"),
        l10n.t("trust the workspace, if you do"),
      );
    const [program, ...first] = commandFor(folder);
    const signals = [closing.signal, ...(request.signal === undefined ? [] : [request.signal])];
    const environment = { ...baseEnvironment(), ...settingsEnvironment(folder) };
    const startedMs = Date.now();
    const shown = loggedWords([program, ...first, ...args]);
    log.debug(`${folder.name}: ${shown}`);
    const process = runProcess({
      program,
      args: [...first, ...args],
      directory: folder.uri.fsPath,
      environment,
      signal: AbortSignal.any(signals),
      timeoutMs,
      onLine,
    });
    running.add(process);
    try {
      const result = await process;
      log.debug(`${folder.name}: ${shown}: status ${result.status}, ${Date.now() - startedMs} ms`);
      return result;
    } catch (error) {
      const described = error instanceof CliError ? describe(error, program, timeoutMs) : error;
      if (described instanceof CliError && described.code === "CLI_NOT_FOUND" && offeredFor !== program) {
        offeredFor = program;
        void offerSetting(described);
      }
      throw described;
    } finally {
      running.delete(process);
    }
  };

  return {
    get command() {
      return commandFor(workspace.workspaceFolders?.[0]);
    },
    commandFor,
    settingsEnvironment,
    run,
    async close() {
      closing.abort();
      await Promise.allSettled(running);
    },
  };
}

function commandFor(folder?: WorkspaceFolder): readonly [string, ...string[]] {
  const path = trustedSetting(folder, "path", isText) ?? "";
  const args = trustedSetting(folder, "arguments", isTexts) ?? [];
  return [programOf(path.trim() === "" ? "devshell" : path.trim(), folder), ...args];
}

/** A bare name is looked up in PATH; what has a slash is a file, relative to the folder. */
function programOf(path: string, folder: WorkspaceFolder | undefined): string {
  if (path === "~" || path.startsWith("~/")) return homedir() + path.slice(1);
  if (!path.includes("/") || isAbsolute(path) || folder === undefined) return path;
  return resolve(folder.uri.fsPath, path);
}

function settingsEnvironment(folder?: WorkspaceFolder): Readonly<Record<string, string>> {
  const setting = trustedSetting(folder, "environment", isRecord) ?? {};
  return Object.fromEntries(
    Object.entries(setting).flatMap(([name, value]) =>
      typeof value === "string" || typeof value === "number" || typeof value === "boolean"
        ? [[name, String(value)]]
        : [],
    ),
  );
}

/** In an untrusted workspace only the user's own value counts, whatever the manifest says of the setting. */
function trustedSetting<T>(
  folder: WorkspaceFolder | undefined,
  name: string,
  isValid: (value: unknown) => value is T,
): T | undefined {
  const configuration = workspace.getConfiguration("devshell", folder);
  if (workspace.isTrusted) {
    const value: unknown = configuration.get(name);
    return isValid(value) ? value : undefined;
  }
  const found = configuration.inspect<unknown>(name);
  return [found?.globalValue, found?.defaultValue].find(isValid);
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(isText);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function describe(error: CliError, program: string, timeoutMs: number | undefined): CliError {
  switch (error.code) {
    case "CLI_NOT_FOUND":
      return new CliError(
        error.code,
        l10n.t('Cannot run devshell: there is no program "{0}"', program),
        l10n.t("install devshell, or name it in the setting devshell.path"),
      );
    case "CLI_TIMEOUT":
      return new CliError(
        error.code,
        l10n.t("Cannot wait for devshell: it took longer than {0} s", Math.round((timeoutMs ?? 0) / 1000)),
        l10n.t("the setting devshell.timeoutSeconds allows more"),
      );
    case "CLI_CANCELLED":
      return new CliError(error.code, l10n.t("Cancelled"));
    case "CLI_OUTPUT_TOO_LARGE":
      return new CliError(error.code, l10n.t('Cannot read the output of "{0}": it is too large', program));
    case "CLI_NO_DIRECTORY":
      return new CliError(error.code, l10n.t('Cannot run devshell: there is no folder "{0}"', error.message));
    case "CLI_START":
      return new CliError(error.code, l10n.t("Cannot run devshell: {0}", error.message));
    case "CLI_PROTOCOL":
    case "CLI_UNTRUSTED":
      return error;
  }
}

async function offerSetting(error: CliError): Promise<void> {
  const open = l10n.t("Open Setting");
  const message = error.hint === undefined ? error.message : `${error.message} (${error.hint})`;
  if ((await window.showErrorMessage(message, open)) !== open) return;
  // Where the extension runs on another machine, that machine's settings count.
  const scope = env.remoteName === undefined ? "Settings" : "RemoteSettings";
  await commands.executeCommand(`workbench.action.open${scope}`, { query: "devshell.path" });
}
