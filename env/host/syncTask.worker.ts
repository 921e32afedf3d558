// A process of its own that does what a synchronous evaluation waits for: request on stdin, reply on stdout.
import { readFileSync } from "node:fs";
import { DevshellError } from "../../core/index.ts";
import { answerSyncTask } from "./answerSyncTask.ts";
import type { SyncTaskRequest } from "./syncTask.ts";

const request = JSON.parse(readFileSync(0, "utf8")) as SyncTaskRequest;
process.stdout.write(JSON.stringify(await answerSyncTask(request, signalOfProcess())));

/** Aborted when this process is told to end: the programs it runs end with it. */
function signalOfProcess(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.once(signal, () => controller.abort(new DevshellError("INTERRUPTED", "interrupted by the user")));
  return controller.signal;
}
