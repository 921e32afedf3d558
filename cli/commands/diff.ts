import { existsSync } from "node:fs";
import { join } from "node:path";
import { diffEnvironment } from "../../env/index.ts";
import type { Invocation } from "../invocation.ts";
import { openEnvironment } from "../openEnvironment.ts";

const MAX_VALUE_LENGTH = 160;

/** `devshell diff`: what entering changes of the caller's variables; secrets are masked. */
export async function run(invocation: Invocation): Promise<number> {
  const { environment, record } = await openEnvironment(invocation);
  const scripts = join(record, "scripts");
  const changes = diffEnvironment(
    environment,
    process.env,
    existsSync(scripts) ? { scriptsDir: scripts } : {},
  );
  if (invocation.flags.has("json")) {
    process.stdout.write(`${JSON.stringify(changes, null, 2)}\n`);
    return 0;
  }
  for (const { name, kind, value, previous } of changes) {
    if (kind === "unset") process.stdout.write(`- ${name}=${shorten(previous)}\n`);
    else if (kind === "set") process.stdout.write(`+ ${name}=${shorten(value)}\n`);
    else if (kind === "prepended") process.stdout.write(`^ ${name}=${shorten(value)}:…\n`);
    else process.stdout.write(`~ ${name}=${shorten(value)}\n    was ${shorten(previous)}\n`);
  }
  return 0;
}

function shorten(value: string | undefined): string {
  const line = JSON.stringify(value ?? "").slice(1, -1);
  return line.length > MAX_VALUE_LENGTH ? `${line.slice(0, MAX_VALUE_LENGTH)}…` : line;
}
