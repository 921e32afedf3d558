// A process of its own that does what a synchronous evaluation waits for, one task after the other: requests on stdin,
// what happens and the replies on stdout, a line each.
import { DevshellError } from "../../core/index.ts";
import { answerSyncTask } from "./answerSyncTask.ts";
import type { SyncTaskLine, SyncTaskRequest } from "./syncTask.ts";

/** Of the task at hand: the programs it runs end with it. */
let task = new AbortController();

const interrupt = (): void => task.abort(new DevshellError("INTERRUPTED", "interrupted by the user"));
process.on("SIGINT", interrupt);
for (const signal of ["SIGTERM", "SIGHUP"] as const) process.once(signal, end);
// Where whoever asked has gone, nobody need be told.
process.stdout.on("error", () => undefined);

let rest = "";
process.stdin.setEncoding("utf8").on("data", (text: string) => {
  const lines = (rest + text).split("\n");
  rest = lines.pop() ?? "";
  for (const line of lines) void answer(JSON.parse(line) as SyncTaskRequest);
});
process.stdin.on("close", end);

async function answer(request: SyncTaskRequest): Promise<void> {
  task = new AbortController();
  const reply = await answerSyncTask(request, {
    signal: task.signal,
    onEvent: (event) => write({ kind: "event", event }),
  });
  write({ kind: "reply", reply });
}

function write(line: SyncTaskLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function end(): void {
  process.stdin.destroy();
  interrupt();
}
