import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DevshellError } from "../../core/index.ts";
import { createStoreContext, derivationsOf, discoverSpec, evaluateSpec } from "../../env/index.ts";
import type { Invocation } from "../invocation.ts";
import { notBuilt } from "../notBuilt.ts";
import { requestOf } from "../request.ts";
import { withDisplay } from "../withDisplay.ts";

/** `devshell update`: asks the mirrors anew and rewrites the project's lock. */
export async function run({ words, flags }: Invocation): Promise<number> {
  if (words.length > 0)
    throw notBuilt("devshell update of single inputs", "`devshell update` brings all up to date");
  const request = requestOf([], flags);
  return withDisplay(flags, "the project's spec", false, async ({ onEvent, signal }) => {
    using context = createStoreContext({ onEvent, signal });
    const spec = await discoverSpec(request, context.tracker);
    const lock = join(spec.root, spec.kind === "flake" ? "flake.lock" : "devshell.lock");
    const before = readLock(lock);
    onEvent({ kind: "stage", stage: "evaluate" });
    const evaluation = evaluateSpec(context, spec, request, { isShell: true, isUpdate: true });
    for (const value of evaluation.values) derivationsOf(evaluation, value);
    evaluation.host.flush();
    context.finishCollection();
    const after = readLock(lock);
    if (after === undefined)
      throw new DevshellError("CLI_NO_LOCK", "Cannot update: this spec pins nothing", {
        hint: "only what comes from <debian> and the inputs of flakes are locked",
      });
    if (flags.has("json")) process.stdout.write(`${JSON.stringify({ lock, isChanged: before !== after })}\n`);
    else process.stdout.write(before === after ? `${lock} is up to date\n` : `${lock} brought up to date\n`);
    return 0;
  });
}

function readLock(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}
