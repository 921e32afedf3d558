import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { parentPort } from "node:worker_threads";
import { filterCalls, hideFiles } from "./filterCalls.ts";
import type { StartOrder, ThreadReport } from "./builderStarter.ts";

/*
 * A thread that starts builders, or a process where there are no threads. The kernel's filters of system calls belong
 * to a thread and what it starts, and never go away: so the rest of the process is free of them.
 */

const port = parentPort;
/** Noted at once: were it to end, another would be our parent. */
const asker = process.ppid;
const report = (message: ThreadReport): void => {
  if (port === null) process.send?.(message);
  else port.postMessage(message);
};

// The way to who asks is no builder's, nor is what this process was started with.
const canHide = port !== null || hideFiles();
report({ kind: "ready", obstacle: canHide ? filterCalls() : "koffi cannot be loaded" });

if (port === null) {
  process.on("message", (order) => start(order as StartOrder));
  // Builders are killed when who started them ends.
  process.on("disconnect", () => process.exit());
} else port.on("message", start);

function start({ id, program, args, cwd, env, stdio }: StartOrder): void {
  const opened = port === null ? stdio.slice(1, 3).map(openOfParent) : [];
  try {
    const own = port === null ? (["ignore", ...opened] as const) : stdio;
    const child = spawn(program, args, { cwd, env, stdio: [...own], detached: true });
    child.on("error", (error: NodeJS.ErrnoException) =>
      report({ kind: "failed", id, message: error.message, code: error.code }),
    );
    child.on("exit", (status, signal) => report({ kind: "exited", id, status, signal }));
    if (child.pid !== undefined) report({ kind: "started", id, pid: child.pid });
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

/** A pipe that the process which asks has open for writing. */
function openOfParent(fd: number | "ignore"): number {
  return openSync(`/proc/${asker}/fd/${fd}`, "w");
}
