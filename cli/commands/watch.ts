import type { Invocation } from "../invocation.ts";
import { printError } from "../printError.ts";
import { PROTOCOL, makeReport, openWatchOutput, progressReporter, watchRounds } from "../protocol/index.ts";
import { version } from "../version.ts";

/** `devshell watch`: what the environment is, and what becomes of it. */
export async function run(invocation: Invocation): Promise<number> {
  const output = openWatchOutput(invocation.flags.has("json"));
  // It ends only when stopped; what its reader did not take by then it never will.
  if (!invocation.flags.has("once")) process.exit(await watchRounds(invocation, output));
  output.send({ event: "hello", protocol: PROTOCOL, version: version() });
  output.send({ event: "begin", reason: "start" });
  const progress = progressReporter((report) => output.send({ event: "progress", ...report }));
  // A reader that has gone ends the work as Ctrl-C does.
  process.stdout.removeAllListeners("error");
  let isGone = false;
  process.stdout.on("error", () => {
    if (isGone) return;
    isGone = true;
    if (process.listenerCount("SIGTERM") === 0) process.exit(0);
    process.kill(process.pid, "SIGTERM");
  });
  const { report, error } = await makeReport(invocation, progress);
  progress.close();
  if (error !== undefined) printError(error, { hasTrace: invocation.flags.has("showTrace") });
  output.send({ event: "report", report });
  return report.state === "ready" ? 0 : 1;
}
