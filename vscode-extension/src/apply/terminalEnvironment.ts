import {
  EventEmitter,
  l10n,
  type EnvironmentVariableCollection,
  type EnvironmentVariableMutator,
  type WorkspaceFolder,
} from "vscode";
import type { EnvironmentReport } from "../../../cli/protocol/types.ts";
import type { Environment } from "./applyVariables.ts";
import type { Services } from "../model.ts";
import { mutationsOf, type Mutation } from "./terminalMutations.ts";

/** The values of `EnvironmentVariableMutatorType`. */
const KINDS = { 1: "replace", 2: "append", 3: "prepend" } as const;

/**
 * Gives each folder's environment to its terminals and tasks. Only what differs is touched: each change marks the
 * terminals that are open as outdated. Collections persist, so that terminals which open before any extension runs have
 * the last window's.
 * @param windowEnvironment what terminals have without us
 */
export function registerTerminalEnvironment(
  { context, environments }: Services,
  windowEnvironment: Environment,
): void {
  const collectionOf = (workspaceFolder: WorkspaceFolder): EnvironmentVariableCollection =>
    context.environmentVariableCollection.getScoped({ workspaceFolder });

  const outdated = new Map<WorkspaceFolder, EnvironmentReport | undefined>();
  const flush = (): void => {
    const changes = [...outdated].flatMap(([folder, report]) =>
      changesOf(collectionOf(folder), report, windowEnvironment),
    );
    outdated.clear();
    allAtOnce(changes);
  };

  context.subscriptions.push(
    environments.onDidChange(({ environment: { folder, state, report }, previousReport }) => {
      if (report !== undefined && report === previousReport) return;
      // While another is awaited the former one stays, be it the last window's.
      if (report === undefined && state.kind === "loading") return;
      // Many folders that begin at once are one change.
      if (outdated.size === 0) queueMicrotask(flush);
      outdated.set(folder, report);
    }),
  );
}

/** What makes the collection say what the report does. */
function changesOf(
  collection: EnvironmentVariableCollection,
  report: EnvironmentReport | undefined,
  base: Readonly<Record<string, string>>,
): (() => void)[] {
  const wanted = report === undefined ? new Map<string, Mutation>() : mutationsOf(report, base);
  const changes: (() => void)[] = [];
  collection.forEach((name) => {
    if (!wanted.has(name)) changes.push(() => collection.delete(name));
  });
  for (const [name, mutation] of wanted)
    if (!isSame(collection.get(name), mutation)) changes.push(() => change(collection, name, mutation));
  const description = report && l10n.t("The environment {0} of devshell", report.name);
  if (collection.description !== description) changes.push(() => (collection.description = description));
  return changes;
}

function change(
  collection: EnvironmentVariableCollection,
  name: string,
  { kind, value, options }: Mutation,
): void {
  if (kind === "prepend") collection.prepend(name, value, options);
  else collection.replace(name, value, options);
}

function isSame(found: EnvironmentVariableMutator | undefined, { kind, value, options }: Mutation): boolean {
  return (
    found !== undefined &&
    KINDS[found.type] === kind &&
    found.value === value &&
    (found.options.applyAtProcessCreation ?? false) === options.applyAtProcessCreation &&
    (found.options.applyAtShellIntegration ?? false) === options.applyAtShellIntegration
  );
}

/**
 * The editor sends a whole collection, of all folders, after each change of it: 500 variables took 0.3 s, 4,000 43 s,
 * and a terminal that opened meanwhile had half of them. Its events are emitters like those it offers to extensions, so
 * they are held back until the last change; nothing else happens meanwhile. Were they others, it would only be slow.
 */
function allAtOnce(changes: readonly (() => void)[]): void {
  const emitter = EventEmitter.prototype as { fire: (event: unknown) => void };
  const { fire } = emitter;
  for (const [index, make] of changes.entries()) {
    const isLast = index === changes.length - 1;
    try {
      if (!isLast) emitter.fire = () => undefined;
      make();
    } finally {
      emitter.fire = fire;
    }
  }
}
