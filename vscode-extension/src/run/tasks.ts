import {
  l10n,
  ProcessExecution,
  Task,
  TaskGroup,
  tasks,
  TaskScope,
  workspace,
  type TaskDefinition,
  type TaskProvider,
  type WorkspaceFolder,
} from "vscode";
import { usableVariables } from "../apply/applyVariables.ts";
import type { FolderEnvironment, Services } from "../model.ts";
import { planDefinition, planScripts, taskArguments } from "./taskPlans.ts";
import type { TaskDefinitionFields, TaskKind, TaskPlan } from "./taskPlans.ts";
import { withoutVariables } from "./terminalOptions.ts";

const TASK_TYPE = "devshell";

/** The spec's scripts as tasks, and tasks of tasks.json that run in the environment. */
export function registerTasks(services: Services): void {
  const provider: TaskProvider = {
    provideTasks: () =>
      services.environments.all.flatMap((environment) => scriptTasks(environment, services)),
    resolveTask: (task) => resolveTask(task, services),
  };
  services.context.subscriptions.push(tasks.registerTaskProvider(TASK_TYPE, provider));
}

function scriptTasks(environment: FolderEnvironment, services: Services): Task[] {
  if (environment.report === undefined) return [];
  return planScripts(environment.report).map((plan) =>
    makeTask({ type: TASK_TYPE, script: plan.script }, plan, environment, environment.folder, services),
  );
}

function resolveTask(task: Task, services: Services): Task | undefined {
  const definition = fieldsOf(task.definition);
  const environment = environmentOf(definition, task.scope, services);
  if (environment === undefined) return undefined;
  const plan = planDefinition(definition, environment.report?.scripts ?? []);
  if (plan === undefined) {
    services.log.warn(l10n.t('Cannot run task "{0}": it has neither "script" nor "command"', task.name));
    return undefined;
  }
  // The very definition that came: VS Code finds the task by it.
  const scope = task.scope === undefined || task.scope === TaskScope.Global ? environment.folder : task.scope;
  return makeTask(
    task.definition,
    { ...plan, name: task.name === "" ? plan.name : task.name },
    environment,
    scope,
    services,
  );
}

function makeTask(
  definition: TaskDefinition,
  plan: TaskPlan,
  environment: FolderEnvironment,
  scope: WorkspaceFolder | TaskScope.Workspace,
  services: Services,
): Task {
  const { folder, selection, report } = environment;
  const [program, ...first] = services.cli.commandFor(folder);
  const fields = fieldsOf(definition);
  const args = [...first, ...(taskArguments(fields, selection) ?? [])];
  const base = services.baseEnvironment();
  // The folder's environment belongs to the folder's selection.
  const variables =
    fields.attribute === undefined || report === undefined ? [] : usableVariables(report, base).variables;
  const environmentOfCli = services.cli.settingsEnvironment(folder);
  const start = withoutVariables({ program, args, environment: environmentOfCli }, variables, base);
  const execution = new ProcessExecution(start.program, [...start.args], {
    cwd: folder.uri.fsPath,
    env: { ...start.environment },
  });
  const task = new Task(definition, scope, plan.name, TASK_TYPE, execution, [...plan.problemMatchers]);
  task.detail = plan.detail;
  const group = plan.kind === undefined ? undefined : groupOf(plan.kind);
  if (group !== undefined) task.group = group;
  return task;
}

/** Of the folder that the task names, else that it is written in. */
function environmentOf(
  definition: TaskDefinitionFields,
  scope: Task["scope"],
  { environments }: Services,
): FolderEnvironment | undefined {
  const named = workspace.workspaceFolders?.find(({ name }) => name === definition.folder);
  const folder = named ?? (typeof scope === "object" ? scope : undefined);
  return environments.of(folder?.uri);
}

function groupOf(kind: TaskKind): TaskGroup {
  switch (kind) {
    case "build":
      return TaskGroup.Build;
    case "test":
      return TaskGroup.Test;
    case "clean":
      return TaskGroup.Clean;
  }
}

/** tasks.json is written by people: only what has the right type counts. */
function fieldsOf(definition: TaskDefinition): TaskDefinitionFields {
  const text = (name: string): string | undefined => {
    const value: unknown = definition[name];
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const args: unknown = definition["args"];
  return {
    type: TASK_TYPE,
    script: text("script"),
    command: text("command"),
    args: Array.isArray(args) ? args.filter((word) => typeof word === "string") : undefined,
    attribute: text("attribute"),
    folder: text("folder"),
  };
}
