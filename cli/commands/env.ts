import { existsSync } from "node:fs";
import { join } from "node:path";
import { renderDirenv, renderFish, renderPosix, watchedPaths } from "../../env/index.ts";
import type { Invocation } from "../invocation.ts";
import { openEnvironment } from "../openEnvironment.ts";
import { printError } from "../printError.ts";
import { makeReport } from "../protocol/index.ts";

/** `devshell env`: the environment as text for shells, editors and direnv. */
export async function run(invocation: Invocation): Promise<number> {
  const { flags } = invocation;
  if (flags.has("json")) return printReport(invocation);
  const { environment, record, inputs } = await openEnvironment(invocation);
  const scripts = join(record, "scripts");
  const options = existsSync(scripts) ? { scriptsDir: scripts } : {};
  if (flags.has("fish")) printBytes(renderFish(environment, options));
  else if (flags.has("direnv")) printBytes(renderDirenv(environment, watchedPaths(inputs), options));
  else printBytes(renderPosix(environment, options));
  return 0;
}

/** For programs: a failure, too, is told on standard output, and for people on standard error. */
async function printReport(invocation: Invocation): Promise<number> {
  const { report, error } = await makeReport(invocation);
  if (error !== undefined) printError(error, { hasTrace: invocation.flags.has("showTrace") });
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  return report.state === "ready" ? 0 : 1;
}

function printBytes(bytes: string): void {
  process.stdout.write(Buffer.from(bytes, "latin1"));
}
