// A process of its own that does what a synchronous evaluation waits for: request on stdin, what happens and the reply
// on stdout.
import { readFileSync } from "node:fs";
import { DevshellError } from "../../core/index.ts";
import { answerSyncTask } from "./answerSyncTask.ts";
import type { SyncTaskLine, SyncTaskRequest } from "./syncTask.ts";

const request = JSON.parse(readFileSync(0, "utf8")) as SyncTaskRequest;
// Where whoever asked has gone, nobody need be told.
process.stdout.on("error", () => undefined);
const reply = await answerSyncTask(request, {
  signal: signalOfProcess(),
  onEvent: (event) => write({ kind: "event", event }),
});
write({ kind: "reply", reply });

function write(line: SyncTaskLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** Aborted when this process is told to end: the programs it runs end with it. */
function signalOfProcess(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.once(signal, () => controller.abort(new DevshellError("INTERRUPTED", "interrupted by the user")));
  return controller.signal;
}
