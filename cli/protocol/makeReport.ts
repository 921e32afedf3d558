import { dirname, join } from "node:path";
import { DevshellError, Interrupted } from "../../core/index.ts";
import { lastingScripts, probeHook, workingDirectory } from "../../env/index.ts";
import type { BuildEnvironment, DevSpec, EnvironmentRequest, TrackedInput } from "../../env/index.ts";
import type { Invocation } from "../invocation.ts";
import { withoutInternals } from "../launcher.ts";
import { openRequest, selectionFor, type OpenedEnvironment, type OpenObserver } from "../openEnvironment.ts";
import { requestOf } from "../request.ts";
import { describeEnvironment, describeSpec, describeWatch } from "./describeEnvironment.ts";
import type { DescribeRequest } from "./describeEnvironment.ts";
import { describeError } from "./describeError.ts";
import { describeVariables } from "./describeVariables.ts";
import { withHookChanges } from "./hookVariables.ts";
import { PROTOCOL } from "./types.ts";
import type { Report, SpecReport } from "./types.ts";

export interface MadeReport {
  readonly report: Report;
  /** What stopped it, unless it is `ready`: to be printed, too. */
  readonly error?: unknown;
}

export interface ReportObserver {
  readonly onEvent?: OpenObserver["onEvent"];
  /** The environment is there; its hook begins. */
  readonly onHook?: (() => void) | undefined;
}

/**
 * The environment that a command line selects, or why there is none.
 * @throws {Interrupted} when it was stopped; what is no fault of the spec's throws, too
 */
export async function makeReport(invocation: Invocation, observer: ReportObserver = {}): Promise<MadeReport> {
  const startedMs = Date.now();
  const directory = workingDirectory();
  const selection = selectionFor(invocation);
  const words = invocation.words;
  let request: EnvironmentRequest | undefined;
  let spec: DevSpec | undefined;
  let inputs: readonly TrackedInput[] = [];
  try {
    request = requestOf(words, invocation.flags, selection);
    const opened = await openRequest(invocation, request, {
      onEvent: observer.onEvent,
      onSpec: (found) => (spec = found),
      onInputs: (read) => (inputs = read),
    });
    const made = await variablesOf(opened, directory, observer.onHook);
    const { environment } = opened;
    ({ inputs } = opened);
    const report = describeEnvironment({ environment, inputs, directory, selection, startedMs, ...made });
    return { report };
  } catch (error) {
    if (error instanceof Interrupted) throw error;
    const asked = { protocol: PROTOCOL, directory, selection } as const;
    const watch = describeWatch(inputs);
    if (request !== undefined && isWithoutSpec(error, request))
      return { report: { ...asked, state: "none", watch }, error };
    const described = describeError(error);
    const found = spec === undefined ? unreadSpec(error, described.position?.path) : describeSpec(spec);
    return {
      report: {
        ...asked,
        state: "failed",
        ...(found !== undefined && { spec: found }),
        error: described,
        watch,
      },
      error,
    };
  }
}

/** The variables after the shell hook, where there is one. */
async function variablesOf(
  { environment, record, warnings }: OpenedEnvironment,
  directory: string,
  onHook: (() => void) | undefined,
): Promise<Pick<DescribeRequest, "variables" | "hook" | "warnings">> {
  const startedMs = Date.now();
  const caller = withoutInternals(process.env);
  const options = { scriptsDir: scriptsOf(environment, record) };
  const variables = describeVariables(environment, caller, options);
  if (environment.shellHook === "") return { variables, hook: { state: "none" }, warnings };
  onHook?.();
  const stopped = new AbortController();
  const stop = (): void => stopped.abort(new Interrupted());
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  try {
    const changes = await probeHook(
      { environment, caller, directory, ...options },
      { signal: stopped.signal },
    );
    return {
      variables: withHookChanges(variables, changes, caller, environment.isPure),
      hook: { state: "done", durationMs: Math.max(0, Date.now() - startedMs) },
      warnings,
    };
  } catch (error) {
    if (stopped.signal.aborted) throw new Interrupted();
    const { message } = describeError(error);
    const [first = ""] = message.split("\n");
    return {
      variables,
      hook: { state: "failed", message },
      warnings: [...warnings, first.replace(/[:,]$/, "")],
    };
  } finally {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  }
}

/** A cache that cannot be written has the record's own. */
function scriptsOf(environment: BuildEnvironment, record: string): string | undefined {
  try {
    return lastingScripts(environment);
  } catch {
    return join(record, "scripts");
  }
}

/** Nothing was named, and nothing is there. */
function isWithoutSpec(error: unknown, request: EnvironmentRequest): boolean {
  return (
    error instanceof DevshellError && error.code === "SPEC_NOT_FOUND" && (request.files ?? []).length === 0
  );
}

/** A data spec that could not be read far enough to be one. */
function unreadSpec(error: unknown, path: string | undefined): SpecReport | undefined {
  if (!(error instanceof DevshellError) || path === undefined) return undefined;
  if (error.code !== "SPEC_SYNTAX" && error.code !== "SPEC_INVALID") return undefined;
  return { kind: "data", path, root: dirname(path) };
}
