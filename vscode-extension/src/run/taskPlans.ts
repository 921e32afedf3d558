import type { EnvironmentReport, ScriptReport } from "../../../cli/protocol/types.ts";
import { runArguments, textArguments } from "../cli/commandLine.ts";

/** A task of type `devshell`, as tasks.json has it: `script` or `command`. */
export interface TaskDefinitionFields {
  readonly type: "devshell";
  /** A script of the spec. */
  readonly script?: string | undefined;
  /** With `args`: a program; without: a command line of Bash. */
  readonly command?: string | undefined;
  readonly args?: readonly string[] | undefined;
  /** In place of the folder's own environment: `-A`. */
  readonly attribute?: string | undefined;
  /** A folder of the workspace, by name. */
  readonly folder?: string | undefined;
}

export type TaskKind = "build" | "test" | "clean";

export interface TaskPlan {
  readonly name: string;
  readonly detail: string;
  readonly kind?: TaskKind | undefined;
  readonly problemMatchers: readonly string[];
}

const KINDS: readonly (readonly [RegExp, TaskKind])[] = [
  [/^(?:build|make|compile|all|dist|package|bundle)(?:$|[:._-])/i, "build"],
  [/^(?:test|tests|check|spec)(?:$|[:._-])/i, "test"],
  [/^(?:clean|distclean)(?:$|[:._-])/i, "clean"],
];

/** Problem matchers by the words of a script. gcc's form is that of most compilers and of mypy, shellcheck -f gcc…. */
const MATCHERS: readonly (readonly [RegExp, string])[] = [
  [/\b(?:tsc|vue-tsc)\b/, "$tsc"],
  [/\beslint\b/, "$eslint-stylish"],
  [/\bgo (?:build|test|vet|run|install)\b/, "$go"],
  [/\b(?:python3?|pytest|unittest|tox)\b/, "$devshell-python"],
  [
    /\b(?:c?make|ninja|meson|gcc|g\+\+|cc|c\+\+|clang|clang\+\+|gfortran|mypy|pylint|shellcheck|buildPhase|checkPhase|genericBuild)\b|\b[cg]\+\+/,
    "$devshell-gcc",
  ],
];

/** The tasks of an environment: one a script. */
export function planScripts(report: EnvironmentReport): readonly (TaskPlan & { readonly script: string })[] {
  return report.scripts.map((script) => ({ ...planText(script.name, script.text), script: script.name }));
}

/** What a task that a user wrote is for; the spec's script of that name says it where there is one. */
export function planDefinition(
  definition: TaskDefinitionFields,
  scripts: readonly ScriptReport[],
): TaskPlan | undefined {
  const { script, command, args = [] } = definition;
  if (script !== undefined)
    return planText(script, scripts.find(({ name }) => name === script)?.text ?? script);
  if (command === undefined || command === "") return undefined;
  const text = [command, ...args].join(" ");
  return planText(text, text);
}

/**
 * The CLI's words that run a task.
 * @param selection the folder's own
 */
export function taskArguments(
  definition: TaskDefinitionFields,
  selection: readonly string[],
): readonly string[] | undefined {
  const { script, command, args, attribute } = definition;
  const chosen = attribute === undefined || attribute === "" ? selection : ["-A", attribute];
  if (script !== undefined && script !== "") return runArguments(chosen, [script, ...(args ?? [])]);
  if (command === undefined || command === "") return undefined;
  return args === undefined ? textArguments(chosen, command) : runArguments(chosen, [command, ...args]);
}

function planText(name: string, text: string): TaskPlan {
  const lines = text.split("\n").map((line) => line.trim());
  const first = lines.find((line) => line !== "" && !line.startsWith("#")) ?? "";
  return {
    name,
    detail: first.length > 100 ? `${first.slice(0, 99)}…` : first,
    kind: KINDS.find(([pattern]) => pattern.test(name))?.[1],
    problemMatchers: MATCHERS.filter(([pattern]) => pattern.test(text)).map(([, matcher]) => matcher),
  };
}
