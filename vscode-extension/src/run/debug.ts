import { readFile } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import {
  debug,
  type DebugConfiguration,
  type DebugConfigurationProvider,
  type WorkspaceFolder,
} from "vscode";
import { usableVariables } from "../apply/applyVariables.ts";
import { envFileNames, withDebugEnvironment } from "./debugEnvironment.ts";
import type { Services } from "../model.ts";

/** Gives what debuggers start the environment of its folder. */
export function registerDebug(services: Services): void {
  const provider: DebugConfigurationProvider = {
    // After the adapters' own: what they made of the user's settings is there, and `${…}` is replaced.
    resolveDebugConfigurationWithSubstitutedVariables: (folder, config) => resolve(folder, config, services),
  };
  services.context.subscriptions.push(debug.registerDebugConfigurationProvider("*", provider));
}

async function resolve(
  folder: WorkspaceFolder | undefined,
  config: DebugConfiguration,
  { environments, baseEnvironment, log }: Services,
): Promise<DebugConfiguration> {
  const report = environments.of(folder?.uri)?.report;
  if (report === undefined) return config;
  const base = baseEnvironment();
  const { variables } = usableVariables(report, base);
  const fileNames = await namesOfEnvFiles(config["envFile"], folder);
  const resolved = withDebugEnvironment(config, {
    variables,
    base,
    current: definedOf(process.env),
    fileNames,
  });
  if (resolved !== config) log.debug(`debug "${config.name}" (${config.type}): given the environment`);
  // The fields that make it a DebugConfiguration are as they were.
  return { ...config, ...resolved };
}

async function namesOfEnvFiles(
  envFile: unknown,
  folder: WorkspaceFolder | undefined,
): Promise<ReadonlySet<string>> {
  const files = (Array.isArray(envFile) ? (envFile as unknown[]) : [envFile]).filter(
    (file) => typeof file === "string",
  );
  const names = new Set<string>();
  for (const file of files) {
    const path = isAbsolute(file) ? file : join(folder?.uri.fsPath ?? "/", file);
    // The adapter says so itself where a file cannot be read.
    const text = await readFile(path, "utf8").catch(() => "");
    for (const name of envFileNames(text)) names.add(name);
  }
  return names;
}

function definedOf(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
