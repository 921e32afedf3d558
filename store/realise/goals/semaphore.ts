/** Lets at most `limit` pieces of work run at once, first come, first served. */
export class Semaphore {
  readonly #limit: number;
  #running = 0;
  readonly #waiting = new Set<Waiter>();
  /** One listener for all that wait by a signal: a signal looks through its listeners for each that is added. */
  readonly #bySignal = new Map<
    AbortSignal,
    { readonly waiters: Set<Waiter>; readonly onAbort: () => void }
  >();

  constructor(limit: number) {
    this.#limit = Math.max(1, limit);
  }

  /** Whether work would begin at once. */
  get hasRoom(): boolean {
    return this.#running < this.#limit && this.#waiting.size === 0;
  }

  /** @throws the signal's reason when aborted before its turn; else what the work throws */
  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.#enter(signal);
    try {
      return await work();
    } finally {
      this.#running--;
      this.#admit();
    }
  }

  async #enter(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (this.#running < this.#limit) {
      this.#running++;
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter = { resolve, reject, signal };
    this.#waiting.add(waiter);
    if (signal !== undefined) this.#listen(waiter, signal);
    await promise;
  }

  #admit(): void {
    for (const waiter of this.#waiting) {
      this.#waiting.delete(waiter);
      this.#forget(waiter);
      this.#running++;
      waiter.resolve();
      return;
    }
  }

  #listen(waiter: Waiter, signal: AbortSignal): void {
    const known = this.#bySignal.get(signal);
    if (known !== undefined) {
      known.waiters.add(waiter);
      return;
    }
    const waiters = new Set([waiter]);
    const onAbort = (): void => {
      this.#bySignal.delete(signal);
      for (const each of waiters) {
        this.#waiting.delete(each);
        each.reject(signal.reason);
      }
    };
    this.#bySignal.set(signal, { waiters, onAbort });
    signal.addEventListener("abort", onAbort, { once: true });
  }

  #forget(waiter: Waiter): void {
    const { signal } = waiter;
    const known = signal === undefined ? undefined : this.#bySignal.get(signal);
    if (signal === undefined || known === undefined) return;
    known.waiters.delete(waiter);
    if (known.waiters.size > 0) return;
    this.#bySignal.delete(signal);
    signal.removeEventListener("abort", known.onAbort);
  }
}

interface Waiter {
  readonly signal: AbortSignal | undefined;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}
