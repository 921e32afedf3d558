import type { VariableReport } from "../../../cli/protocol/types.ts";
import { own, prepended, type Environment } from "../apply/applyVariables.ts";

/** A debug configuration, whatever its adapter: only what is read here. */
export interface LaunchConfiguration {
  readonly type: string;
  readonly request: string;
  readonly [field: string]: unknown;
}

export interface DebugEnvironment {
  /** The folder's, those that a process can be given. */
  readonly variables: readonly VariableReport[];
  /** The extension host's variables without any environment of ours. */
  readonly base: Environment;
  /** As they are now: another folder's environment may be in them. */
  readonly current: Environment;
  /** Names that the configuration's `envFile` sets. */
  readonly fileNames?: ReadonlySet<string> | undefined;
}

/** How an adapter is told variables. */
type Shape =
  /** `env: { NAME: "value" }`; null takes a variable away. */
  | "objectOrNull"
  | "object"
  /** `environment: [{ name, value }]`. */
  | "list";

const SHAPES: Readonly<Record<string, Shape>> = {
  node: "objectOrNull",
  "pwa-node": "objectOrNull",
  "node-terminal": "objectOrNull",
  bun: "object",
  debugpy: "objectOrNull",
  python: "objectOrNull",
  go: "objectOrNull",
  lldb: "object",
  "lldb-dap": "object",
  "lldb-vscode": "object",
  gdb: "object",
  bashdb: "object",
  coreclr: "object",
  clr: "object",
  dart: "object",
  java: "object",
  php: "object",
  rdbg: "object",
  ruby_lsp: "object",
  "probe-rs-debug": "object",
  cppdbg: "list",
  cppvsdbg: "list",
};

/** They start the editor itself or a browser: not a program of the project. */
const FOREIGN = /^(?:pwa-)?(?:extensionHost|chrome|msedge|webkit|firefox)$|^editor-browser$/;

/** Adapters that have the console put variables before the command line, where hundreds of them do not belong. */
const TERMINAL_TYPES = new Set(["node", "pwa-node", "debugpy", "python", "go"]);

/**
 * The configuration with the environment's variables in it; what the user wrote there stays. Programs in the
 * integrated terminal have the environment from the terminal: these are only told what is taken away.
 */
export function withDebugEnvironment(
  config: LaunchConfiguration,
  environment: DebugEnvironment,
): LaunchConfiguration {
  const shape = shapeOf(config);
  if (shape === undefined) return config;
  const field = shape === "list" ? "environment" : "env";
  const given = config[field];
  const taken = new Set([...namesIn(given), ...(environment.fileNames ?? [])]);
  const all = isInTerminal(config) ? takenAway(environment) : changesOf(environment);
  const changes = all.filter(([name, value]) => !taken.has(name) && canTake(shape, value));
  if (changes.length === 0) return config;
  if (shape === "list") {
    const added = changes.map(([name, value]) => ({ name, value }));
    return { ...config, [field]: [...added, ...(Array.isArray(given) ? (given as unknown[]) : [])] };
  }
  return { ...config, [field]: Object.fromEntries([...changes, ...Object.entries(given ?? {})]) };
}

/** The names that a file of `NAME=value` lines sets. */
export function envFileNames(text: string): Set<string> {
  return new Set(
    [...text.matchAll(/^[ \t]*(?:export[ \t]+)?([\w.-]+)[ \t]*=/gm)].map((match) => match[1] ?? ""),
  );
}

function shapeOf(config: LaunchConfiguration): Shape | undefined {
  if (config.request !== "launch" || FOREIGN.test(config.type)) return undefined;
  const known = own(SHAPES as Environment, config.type) as Shape | undefined;
  // An unknown adapter is a child of the extension host, whose environment is ours already; its own schema may allow
  // no more, unless the configuration shows that it does.
  const shape = known ?? (isObject(config["env"]) ? "object" : undefined);
  const given = config[shape === "list" ? "environment" : "env"];
  if (shape === undefined || given === undefined || given === null) return shape;
  // lldb-dap also takes ["NAME=value"]: that is left as it is.
  return (shape === "list" ? Array.isArray(given) : isObject(given)) ? shape : undefined;
}

/** From what the adapter inherits to what the folder's environment says; null: taken away. */
function changesOf({ variables, base, current }: DebugEnvironment): (readonly [string, string | null])[] {
  const changes = new Map<string, string | null>();
  // Another folder's variables, which the extension host has for all.
  for (const name of new Set([...Object.keys(current), ...Object.keys(base)]))
    if (own(current, name) !== own(base, name)) changes.set(name, own(base, name) ?? null);
  for (const variable of variables)
    switch (variable.action) {
      case "set":
        changes.set(variable.name, variable.value);
        break;
      case "prepend":
        changes.set(variable.name, prepended(variable, own(base, variable.name)));
        break;
      case "unset":
        if (own(base, variable.name) !== undefined || own(current, variable.name) !== undefined)
          changes.set(variable.name, null);
        else changes.delete(variable.name);
        break;
    }
  return [...changes];
}

function takenAway({ variables, base }: DebugEnvironment): (readonly [string, null])[] {
  return variables
    .filter(({ action, name }) => action === "unset" && own(base, name) !== undefined)
    .map(({ name }) => [name, null] as const);
}

function canTake(shape: Shape, value: string | null): boolean {
  if (value === null) return shape === "objectOrNull";
  // gdb is told each one in a line of its own.
  return shape !== "list" || !/[\r\n]/.test(value);
}

function isInTerminal(config: LaunchConfiguration): boolean {
  if (config.type === "node-terminal") return true;
  return TERMINAL_TYPES.has(config.type) && config["console"] === "integratedTerminal";
}

function namesIn(given: unknown): string[] {
  if (Array.isArray(given))
    return (given as unknown[]).flatMap((entry) =>
      isObject(entry) && typeof entry["name"] === "string" ? [entry["name"]] : [],
    );
  return isObject(given) ? Object.keys(given) : [];
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
