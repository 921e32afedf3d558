import { Interrupted } from "../core/index.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** While something is at work that has to clean up behind it: the first Ctrl-C aborts a signal, the second ends at once. */
export class Interruption implements Disposable {
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();

  /** @param outer aborts it too */
  constructor(outer?: AbortSignal) {
    const { signal } = this.#controller;
    this.signal = outer === undefined ? signal : AbortSignal.any([outer, signal]);
    for (const name of SIGNALS) process.on(name, this.#interrupt);
  }

  [Symbol.dispose](): void {
    for (const name of SIGNALS) process.off(name, this.#interrupt);
  }

  readonly #interrupt = (): void => {
    if (this.#controller.signal.aborted) process.exit(130);
    this.#controller.abort(new Interrupted());
  };
}
