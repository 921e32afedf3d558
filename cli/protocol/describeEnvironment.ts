import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { textOfBytes } from "../../core/index.ts";
import { watchedPaths, type BuildEnvironment, type DevSpec, type TrackedInput } from "../../env/index.ts";
import { describePosition } from "./describePosition.ts";
import { describeVariables } from "./describeVariables.ts";
import { describeSearchPaths } from "./searchPaths.ts";
import { PROTOCOL } from "./types.ts";
import type { EnvironmentReport, HookReport, ScriptReport, SpecReport, VariableReport } from "./types.ts";

export interface DescribeRequest {
  readonly environment: BuildEnvironment;
  /** The cache record's directory. */
  readonly record: string;
  readonly inputs: readonly TrackedInput[];
  readonly warnings: readonly string[];
  readonly directory: string;
  readonly selection: readonly string[];
  readonly caller: NodeJS.ProcessEnv;
  readonly startedMs: number;
  /** The variables after the shell hook, and how that went. */
  readonly hooked?:
    | {
        readonly variables: readonly VariableReport[];
        readonly report: HookReport;
        readonly warnings: readonly string[];
      }
    | undefined;
}

/** An environment as editors need it. */
export function describeEnvironment(request: DescribeRequest): EnvironmentReport {
  const { environment, hooked } = request;
  const variables =
    hooked?.variables ?? describeVariables(environment, request.caller, scriptsOf(request.record));
  const facts = {
    name: textOfBytes(environment.name),
    directory: request.directory,
    selection: request.selection,
    spec: describeSpec(environment.spec),
    drvPath: textOfBytes(environment.drvPath),
    storeDir: textOfBytes(environment.storeDir),
    isPure: environment.isPure,
    keep: environment.keep,
    variables,
    searchPaths: describeSearchPaths(variables),
    scripts: describeScripts(environment),
    packages: environment.packages ?? [],
    roots: environment.roots.map(textOfBytes),
    warnings: [...request.warnings, ...(hooked?.warnings ?? [])],
  };
  const hook = hooked?.report ?? { state: "none" };
  // What takes how long is not what it is.
  const lasting = { ...facts, hook: hook.state === "done" ? { state: "done" } : hook };
  const id = createHash("sha256").update(JSON.stringify(lasting)).digest("hex");
  const watch = describeWatch(request.inputs);
  const durationMs = Math.max(0, Math.round(Date.now() - request.startedMs));
  return { protocol: PROTOCOL, state: "ready", id, ...facts, hook, watch, durationMs };
}

/** Where the environment's scripts are, for those who render it. */
export function scriptsOf(record: string): { readonly scriptsDir?: string } {
  const scriptsDir = join(record, "scripts");
  return existsSync(scriptsDir) ? { scriptsDir } : {};
}

export function describeSpec(
  spec: Pick<DevSpec, "kind" | "root"> & { readonly path?: string | undefined },
): SpecReport {
  const { kind, path, root } = spec;
  return { kind, ...(path !== undefined && isAbsolute(path) && { path }), root };
}

/** The files and directories of an evaluation that can change; the tracker left out the store's. */
export function describeWatch(inputs: readonly TrackedInput[]): string[] {
  return watchedPaths(inputs)
    .map(textOfBytes)
    .filter((path) => isAbsolute(path));
}

function describeScripts(environment: BuildEnvironment): ScriptReport[] {
  return [...environment.scripts].map(([name, text]) => {
    const position = describePosition(environment.scriptPositions?.get(name));
    return { name, text, ...(position !== undefined && { position }) };
  });
}
