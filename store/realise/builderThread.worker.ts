import { spawn } from "node:child_process";
import { parentPort } from "node:worker_threads";
import { filterCalls } from "./filterCalls.ts";
import type { StartOrder, ThreadReport } from "./builderThread.ts";

/*
 * A thread that starts builders. The kernel's filters of system calls belong to a thread and what it starts, and never
 * go away: so the rest of the process is free of them.
 */

const port = parentPort;
if (port === null) throw new Error("This runs only in a worker thread");
const report = (message: ThreadReport): void => port.postMessage(message);

report({ kind: "ready", obstacle: filterCalls() });

port.on("message", ({ id, program, args, cwd, env, stdio }: StartOrder) => {
  const child = spawn(program, args, { cwd, env, stdio: [...stdio], detached: true });
  child.on("error", (error: NodeJS.ErrnoException) =>
    report({ kind: "failed", id, message: error.message, code: error.code }),
  );
  child.on("exit", (status, signal) => report({ kind: "exited", id, status, signal }));
  if (child.pid !== undefined) report({ kind: "started", id, pid: child.pid });
});
