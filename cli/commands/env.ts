import { join } from "node:path";
import { existsSync } from "node:fs";
import {
  environmentToJson,
  loadRecord,
  renderDirenv,
  renderFish,
  renderPosix,
  watchedPaths,
} from "../../env/index.ts";
import type { Invocation } from "../invocation.ts";
import { openEnvironment } from "../openEnvironment.ts";

/** `devshell env`: the environment as text for shells, editors and direnv. */
export async function run(invocation: Invocation): Promise<number> {
  const { flags } = invocation;
  const { environment, record } = await openEnvironment(invocation);
  const scripts = join(record, "scripts");
  const options = existsSync(scripts) ? { scriptsDir: scripts } : {};
  const watched = watchedPaths(loadRecord(record)?.inputs ?? []);
  if (flags.has("json"))
    process.stdout.write(`${JSON.stringify(environmentToJson(environment, watched), null, 2)}\n`);
  else if (flags.has("fish")) printBytes(renderFish(environment, options));
  else if (flags.has("direnv")) printBytes(renderDirenv(environment, watched, options));
  else printBytes(renderPosix(environment, options));
  return 0;
}

function printBytes(bytes: string): void {
  process.stdout.write(Buffer.from(bytes, "latin1"));
}
