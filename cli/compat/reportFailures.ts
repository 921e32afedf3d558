import type { RealiseReport } from "../../store/index.ts";
import { printError } from "../printError.ts";

/** Prints what failed. @returns the exit status: Nix's 100 and its bits for builds, else 1 */
export function reportFailures(report: RealiseReport, hasTrace = false): number {
  if (report.failures.length === 0) return 0;
  for (const failure of report.failures) printError(failure, { hasTrace });
  return report.exitStatus;
}
