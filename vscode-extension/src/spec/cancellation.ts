import { setTimeout as after } from "node:timers/promises";
import type { CancellationToken } from "vscode";

export interface Cancellation extends Disposable {
  readonly signal: AbortSignal;
  /** @throws when it is cancelled meanwhile */
  after(ms: number): Promise<void>;
}

/** The editor's cancellation as ours; nothing listens once it is disposed of. */
export function cancellation(token: CancellationToken): Cancellation {
  const controller = new AbortController();
  const { signal } = controller;
  if (token.isCancellationRequested) controller.abort();
  const listener = token.onCancellationRequested(() => controller.abort());
  return {
    signal,
    after: (ms) => after(ms, undefined, { signal }),
    [Symbol.dispose]: () => void listener.dispose(),
  };
}
