export { applyReport } from "./describeVariables.ts";
export { describeError } from "./describeError.ts";
export { describeSpec } from "./describeEnvironment.ts";
export { makeReport, type MadeReport } from "./makeReport.ts";
export { progressReporter, type ProgressReporter } from "./reportProgress.ts";
export { openWatchOutput, type WatchOutput } from "./watchOutput.ts";
export { watchRounds } from "./watchRounds.ts";
export * from "./types.ts";
