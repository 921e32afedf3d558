/** Runs a bounded number of tasks at a time, in the order they came. */
export class RunQueue {
  readonly #limit: number;
  readonly #waiting = new Set<() => void>();
  #running = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** @throws the signal's reason when it is aborted while waiting, else what the task throws */
  async run<T>(task: () => Promise<T>, { signal }: { readonly signal: AbortSignal }): Promise<T> {
    await this.#turn(signal);
    try {
      return await task();
    } finally {
      this.#running--;
      const [next] = this.#waiting;
      next?.();
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#running < this.#limit) {
      this.#running++;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting.delete(begin);
        reject(signal.reason as Error);
      };
      const begin = (): void => {
        this.#waiting.delete(begin);
        signal.removeEventListener("abort", onAbort);
        this.#running++;
        resolve();
      };
      this.#waiting.add(begin);
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }
}
