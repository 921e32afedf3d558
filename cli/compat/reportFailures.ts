import type { RealiseReport } from "../../store/index.ts";

/** Prints what failed. @returns the exit status: Nix's 100 and its bits for builds, else 1 */
export async function reportFailures(report: RealiseReport, hasTrace = false): Promise<number> {
  if (report.failures.length === 0) return 0;
  const { printError } = await import("../printError.ts");
  for (const failure of report.failures) printError(failure, { hasTrace });
  return report.exitStatus;
}
