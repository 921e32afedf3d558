import { createHash } from "node:crypto";
import { isAbsolute } from "node:path";
import { textOfBytes } from "../../core/index.ts";
import { watchedPaths, type BuildEnvironment, type DevSpec, type TrackedInput } from "../../env/index.ts";
import { describePosition } from "./describePosition.ts";
import { describeSearchPaths } from "./searchPaths.ts";
import { PROTOCOL } from "./types.ts";
import type { EnvironmentReport, HookReport, ScriptReport, SpecReport, VariableReport } from "./types.ts";

export interface DescribeRequest {
  readonly environment: BuildEnvironment;
  /** After the shell hook. */
  readonly variables: readonly VariableReport[];
  readonly hook: HookReport;
  readonly inputs: readonly TrackedInput[];
  readonly warnings: readonly string[];
  readonly directory: string;
  readonly selection: readonly string[];
  readonly startedMs: number;
}

/** An environment as editors need it. */
export function describeEnvironment(request: DescribeRequest): EnvironmentReport {
  const { environment, variables, hook } = request;
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
    searchPaths: describeSearchPaths(variables, textOfBytes(environment.storeDir)),
    scripts: describeScripts(environment),
    packages: environment.packages ?? [],
    roots: environment.roots.map(textOfBytes),
    warnings: request.warnings,
  };
  // What takes how long is not what it is.
  const lasting = { ...facts, hook: hook.state === "done" ? { state: "done" } : hook };
  const id = createHash("sha256").update(JSON.stringify(lasting)).digest("hex");
  const watch = describeWatch(request.inputs);
  const durationMs = Math.max(0, Math.round(Date.now() - request.startedMs));
  return { protocol: PROTOCOL, state: "ready", id, ...facts, hook, watch, durationMs };
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
