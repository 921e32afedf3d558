/** Lets at most `limit` pieces of work run at once, first come, first served. */
export class Semaphore {
  readonly #limit: number;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(limit: number) {
    this.#limit = Math.max(1, limit);
  }

  /** Whether work would begin at once. */
  get hasRoom(): boolean {
    return this.#running < this.#limit && this.#waiting.length === 0;
  }

  /** @throws the signal's reason when aborted before its turn; else what the work throws */
  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.#enter(signal);
    try {
      return await work();
    } finally {
      this.#running--;
      this.#waiting.shift()?.();
    }
  }

  async #enter(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (this.#running < this.#limit) {
      this.#running++;
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const enter = (): void => {
      this.#running++;
      resolve();
    };
    const onAbort = (): void => {
      const at = this.#waiting.indexOf(enter);
      if (at < 0) return;
      this.#waiting.splice(at, 1);
      reject(signal?.reason as Error);
    };
    this.#waiting.push(enter);
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      await promise;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }
}
