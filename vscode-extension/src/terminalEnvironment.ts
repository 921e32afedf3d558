import {
  l10n,
  type EnvironmentVariableCollection,
  type EnvironmentVariableMutator,
  type WorkspaceFolder,
} from "vscode";
import type { EnvironmentReport } from "../../cli/protocol/types.ts";
import type { FolderEnvironment, Services } from "./model.ts";
import { mutationsOf, type Mutation } from "./terminalMutations.ts";

/** EnvironmentVariableMutatorType's; the module `vscode` is not asked for it so that this can be compared cheaply. */
const TYPES = { 1: "replace", 2: "append", 3: "prepend" } as const;

/**
 * Gives each folder's environment to its terminals and tasks. Only what differs is touched: each change marks the
 * terminals that are open as outdated.
 */
export function registerTerminalEnvironment(services: Services): void {
  const { context, environments } = services;
  const collectionOf = (workspaceFolder: WorkspaceFolder): EnvironmentVariableCollection =>
    context.environmentVariableCollection.getScoped({ workspaceFolder });

  const follow = ({ folder, state, report }: FolderEnvironment): void => {
    // While it is not known what comes, the last window's stays.
    if (report === undefined && (state.kind === "loading" || state.kind === "failed")) return;
    apply(collectionOf(folder), report, services);
  };
  context.subscriptions.push(
    environments.onDidChange(({ environment, previousReport }) => {
      const isSettled =
        environment.report === undefined && !["loading", "failed"].includes(environment.state.kind);
      if (environment.report !== previousReport || isSettled) follow(environment);
    }),
  );
}

function apply(
  collection: EnvironmentVariableCollection,
  report: EnvironmentReport | undefined,
  { baseEnvironment }: Services,
): void {
  if (report === undefined) {
    if (!isEmpty(collection)) collection.clear();
    if (collection.description !== undefined) collection.description = undefined;
    return;
  }
  const wanted = mutationsOf(report, baseEnvironment());
  const outdated: string[] = [];
  collection.forEach((name) => {
    if (!wanted.has(name)) outdated.push(name);
  });
  for (const name of outdated) collection.delete(name);
  for (const [name, mutation] of wanted) {
    if (isSame(collection.get(name), mutation)) continue;
    const { kind, value, options } = mutation;
    if (kind === "prepend") collection.prepend(name, value, options);
    else collection.replace(name, value, options);
  }
  const description = l10n.t("The environment {0} of devshell", report.name);
  if (collection.description !== description) collection.description = description;
}

function isSame(found: EnvironmentVariableMutator | undefined, { kind, value, options }: Mutation): boolean {
  return (
    found !== undefined &&
    TYPES[found.type] === kind &&
    found.value === value &&
    (found.options.applyAtProcessCreation ?? false) === options.applyAtProcessCreation &&
    (found.options.applyAtShellIntegration ?? false) === options.applyAtShellIntegration
  );
}

function isEmpty(collection: EnvironmentVariableCollection): boolean {
  for (const _ of collection) return false;
  return true;
}
