import type { Worker } from "node:worker_threads";
import { resumeCalls, stopCalls, stopClaims } from "../../lang/index.ts";
import { Interrupted, listenForInterrupts, spawnWorker } from "../../core/index.ts";

/** Without the thread, Ctrl-C ends the process: a user would rather have that than wait. */
const MAX_START_MS = 5000;
const STOP = "devshellStopEvaluation";

/** Makes Ctrl-C end what is evaluated or built, and not the process, from its start on. */
export class InterruptWatch implements Disposable {
  readonly #state = new Int32Array(new SharedArrayBuffer(12));
  readonly #thread: Worker;
  #stop = new AbortController();

  constructor() {
    this.#thread = spawnWorker("cli/repl/interruptWatch.worker", { state: this.#state.buffer, stop: STOP });
    this.#thread.on("message", () => {
      // One that came before this turn began is over.
      if (this.#isInterrupted()) this.#stop.abort(new Interrupted());
    });
    this.#thread.unref();
    listenForInterrupts(() => this.#isInterrupted());
    // Called by that thread in the midst of what runs here.
    Object.assign(globalThis, { [STOP]: this.#stopEvaluation });
  }

  /** Aborted by Ctrl-C since the last {@link begin}, where the event loop has its turns. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Forgets what was pressed before: something else begins, which Ctrl-C can end. */
  begin(): void {
    Atomics.wait(this.#state, 2, 0, MAX_START_MS);
    Atomics.store(this.#state, 0, 0);
    resumeCalls();
    if (this.#stop.signal.aborted) this.#stop = new AbortController();
  }

  [Symbol.dispose](): void {
    listenForInterrupts(undefined);
    Reflect.deleteProperty(globalThis, STOP);
    void this.#thread.terminate();
  }

  readonly #stopEvaluation = (): void => {
    if (!this.#isInterrupted()) return;
    stopCalls();
    stopClaims();
  };

  #isInterrupted(): boolean {
    return Atomics.load(this.#state, 0) !== 0;
  }
}
