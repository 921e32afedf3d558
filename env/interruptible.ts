const SIGNALS = ["SIGINT", "SIGTERM"] as const;
const SHOW_CURSOR = "\x1b[?25h";

/**
 * Runs synchronous work that may take long, or for ever, so that Ctrl-C ends the process as if nobody listened: a
 * listener would be called only after the work. A display that hides the cursor gets no turn to show it again, so
 * that is done here.
 */
export function runInterruptibly<T>(work: () => T): T {
  const saved = SIGNALS.map((signal) => [signal, process.listeners(signal)] as const);
  if (saved.some(([, listeners]) => listeners.length > 0) && process.stderr.isTTY)
    process.stderr.write(SHOW_CURSOR);
  for (const [signal] of saved) process.removeAllListeners(signal);
  try {
    return work();
  } finally {
    for (const [signal, listeners] of saved) for (const listener of listeners) process.on(signal, listener);
  }
}
