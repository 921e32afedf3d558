import { setTimeout as sleep } from "node:timers/promises";
import { DevshellError } from "../core/index.ts";
import { PassingError, isPassing } from "./sendRequest.ts";

export interface RetryOptions {
  /** Total tries of a transfer that failed for a passing reason. */
  readonly attempts?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** One line for each thing that went wrong and is tried again. */
  readonly onRetry?: ((message: string) => void) | undefined;
}

const DEFAULT_ATTEMPTS = 5;
const FIRST_BACKOFF_MS = 250;
/** As much new data forgives earlier failures. */
const PROGRESS_BYTES = 64 << 10;

/**
 * Tries again, later and later, what fails for a passing reason.
 * @param failing begins messages, e.g. `unable to download 'https://…'`
 * @param hint    what to do once the last try has failed
 * @throws {DevshellError} `FETCH_FAILED`, and what `attempt` throws for a lasting reason
 */
export async function withRetries<T>(
  failing: string,
  hint: string,
  options: RetryOptions,
  attempt: (moved: (doneBytes: number) => void) => Promise<T>,
): Promise<T> {
  const attempts = options.attempts ?? DEFAULT_ATTEMPTS;
  // What moves on is not stuck: a transfer cut every now and then still ends.
  let furthest = 0;
  for (let failures = 0; ;) {
    try {
      return await attempt((doneBytes) => {
        if (doneBytes < furthest + PROGRESS_BYTES) return;
        furthest = doneBytes;
        failures = 0;
      });
    } catch (error) {
      options.signal?.throwIfAborted();
      const why = passingReason(error);
      if (why === undefined) throw error;
      failures++;
      if (failures >= attempts)
        throw new DevshellError("FETCH_FAILED", `${failing}: ${why}`, { cause: error, hint });
      const backoff = FIRST_BACKOFF_MS * 2 ** (failures - 1) * (0.75 + Math.random() / 2);
      const waitMs = Math.max(backoff, error instanceof PassingError ? (error.retryAfterMs ?? 0) : 0);
      options.onRetry?.(`${failing}: ${why}; retrying in ${Math.round(waitMs)} ms`);
      await sleep(waitMs, undefined, { signal: options.signal });
    }
  }
}

function passingReason(error: unknown): string | undefined {
  if (error instanceof AggregateError && error.message === "") return passingReason(error.errors[0]);
  if (!isPassing(error)) return undefined;
  // Node's word for it tells nobody whose doing it is.
  return error.message === "aborted" ? "the connection was cut off" : error.message;
}
