// A thread that waits for Ctrl-C while the main thread evaluates, where no listener would be called.
import { Session } from "node:inspector";
import { Script } from "node:vm";
import { parentPort, workerData } from "node:worker_threads";

const given = workerData as { readonly state: SharedArrayBuffer; readonly stop: string };
/** Whether it was pressed, what is waited on and never changes, and whether this thread is ready. */
const state = new Int32Array(given.state);

const scope = globalThis as unknown as { waitForever: () => void; watch: () => void };
scope.waitForever = () => {
  Atomics.store(state, 2, 1);
  Atomics.notify(state, 2);
  Atomics.wait(state, 1, 0);
};
scope.watch = () => runUntilInterrupts(new Script("waitForever()"));
// Node gives the signal to the innermost of those that wait; where none does, it ends the process. The outer one is
// there for the moments between two waits of the inner one.
runUntilInterrupts(new Script("watch()"));

function runUntilInterrupts(script: Script): never {
  for (;;) {
    try {
      script.runInThisContext({ breakOnSigint: true });
    } catch {
      Atomics.store(state, 0, 1);
      stopMainThread();
      parentPort?.postMessage("interrupted");
    }
  }
}

/** What is posted to the main thread's inspector is run there between two steps of a loop, or at the next call. */
function stopMainThread(): void {
  const session = new Session();
  session.connectToMainThread();
  session.post("Runtime.evaluate", { expression: `globalThis.${given.stop}?.()` });
  // In turn. A process that is connected waits at its end.
  session.disconnect();
}
