import { DevshellError, type ByteString } from "../../../core/index.ts";
import { writeError } from "../../format/narRestore.ts";
import type { Activities } from "../activities.ts";
import type { RealiseStore } from "../storePort.ts";

/** Why work that was not at fault ended: something else failed and `keep-going` is off. */
export class Cancelled extends Error {
  constructor() {
    super("cancelled");
  }
}

/**
 * No substituter has a path, or something that it refers to: no failure to whoever can build it. Others have it told
 * as one.
 */
export class Unavailable extends DevshellError {}

/** What all that is done for one request shares: its failures, and how one of them stops the rest. */
export class Work {
  readonly store: RealiseStore;
  /** Aborted by the caller, or by a failure that ends everything. */
  readonly signal: AbortSignal;
  readonly activities: Activities;
  readonly failures: DevshellError[] = [];
  readonly #stop: AbortController;
  #crash: { readonly error: unknown } | undefined;

  /** @param stop what this aborts; `signal` follows it */
  constructor(store: RealiseStore, activities: Activities, stop: AbortController, signal: AbortSignal) {
    this.store = store;
    this.activities = activities;
    this.signal = signal;
    this.#stop = stop;
  }

  /** Notes a failure and, unless `keep-going` is on or something else will be tried, stops everything else. */
  fail(path: ByteString, error: unknown, isTriedOtherwise = false): unknown {
    if (this.signal.aborted) return new Cancelled();
    // The disk's refusals are the user's to mend; anything else that is no DevshellError is a bug, thrown at the end.
    const failure = writeError(failedPath(error) ?? path, error);
    if (!(failure instanceof DevshellError)) {
      this.#crash ??= { error };
      this.#stop.abort(new Cancelled());
      return error;
    }
    this.note(failure);
    if (!this.store.settings.config.keepGoing && !isTriedOtherwise) this.#stop.abort(new Cancelled());
    return failure;
  }

  /** Notes what follows from a failure. */
  note(error: DevshellError): DevshellError {
    if (!this.failures.includes(error)) this.failures.push(error);
    return error;
  }

  /** Takes a failure back: the thing will be had in another way. */
  forgive(failure: unknown): void {
    const at = this.failures.findIndex((known) => known === failure);
    if (at >= 0) this.failures.splice(at, 1);
  }

  /** An error as those who wait for a goal get it: noted, once. */
  settle(error: unknown): unknown {
    const isKnown =
      error instanceof Cancelled ||
      error instanceof Unavailable ||
      this.failures.some((failure) => failure === error);
    return isKnown ? error : this.fail(this.store.settings.storeDir, error);
  }

  throwIfStopped(): void {
    if (this.signal.aborted) throw new Cancelled();
  }

  /** @throws the bug that was met, if one was */
  throwCrash(): void {
    if (this.#crash !== undefined) throw this.#crash.error;
  }
}

/** One promise for each thing to do, made before it starts, so that nothing is done twice. */
export class Goals<T> {
  readonly #work: Work;
  readonly #goals = new Map<string, Promise<T>>();

  constructor(work: Work) {
    this.#work = work;
  }

  reach(key: string, how: () => Promise<T>): Promise<T> {
    const known = this.#goals.get(key);
    if (known !== undefined) return known;
    const goal = Promise.resolve()
      .then(how)
      .catch((error: unknown) => {
        throw this.#work.settle(error);
      });
    this.#goals.set(key, goal);
    goal.catch(() => undefined); // those who wait hear of it
    return goal;
  }

  forget(key: string): void {
    this.#goals.delete(key);
  }

  /** Work whose last waiter has gone may still be ending. */
  async end(): Promise<void> {
    await Promise.allSettled(this.#goals.values());
  }
}

/** A failure of its own, not the echo of another one. */
export function isFailure(outcome: PromiseSettledResult<unknown>): outcome is PromiseRejectedResult {
  return outcome.status === "rejected" && !(outcome.reason instanceof Cancelled);
}

/** What a system call was refused for, where its error says so. */
function failedPath(error: unknown): string | undefined {
  return error instanceof Error && "path" in error && typeof error.path === "string" ? error.path : undefined;
}
