import type { DevshellError } from "../../core/index.ts";
import type { DerivedPath, OutputName, StorePath } from "../types.ts";
import type { RealisePlan } from "./plan.ts";

export interface RealiseResult {
  readonly target: DerivedPath;
  /** `planned`: a dry run. */
  readonly status: "done" | "failed" | "cancelled" | "planned";
  /** Of a built target its wanted outputs, of an opaque one itself under `out`; empty unless known. */
  readonly outputs: ReadonlyMap<OutputName, StorePath>;
  readonly error?: unknown;
}

export interface RealiseReport {
  /** One for each target, in their order. */
  readonly results: readonly RealiseResult[];
  readonly plan: RealisePlan;
  /** What failed, causes before what depended on them; empty when all is done. */
  readonly failures: readonly DevshellError[];
  /** As Nix's: 0, 1, or 100 with more bits for time-outs, hash mismatches and differing rebuilds. */
  readonly exitStatus: number;
}

/** @throws {DevshellError} the first failure of a report */
export function throwFailure(report: RealiseReport): void {
  const [first] = report.failures;
  if (first !== undefined) throw first;
}

/** The failures' statuses together; Nix's are bit fields from 96 on. */
export function exitStatusOf(failures: readonly DevshellError[]): number {
  // That something depends on what failed is no failure of its own.
  const causes = failures.filter(({ code }) => code !== "BUILD_DEPENDENCY_FAILED");
  const statuses = (causes.length > 0 ? causes : failures).map((failure) => failure.exitStatus);
  const bits = statuses.filter((status) => status >= 96).reduce((sum, status) => sum | status, 0);
  return bits !== 0 ? bits : failures.length > 0 ? 1 : 0;
}
