// until - waits for what an editor shows sooner or later.
import { setTimeout as sleep } from "node:timers/promises";

const POLL_MS = 50;

/**
 * Calls `read` until it returns something other than `undefined` or `false`.
 * @param what      for the message: "terminal shows X"
 * @param seen      says what was there instead, for the message
 * @throws {Error} after `timeoutMs`; what `read` throws is tried again until then
 */
export async function until<Value>(
  what: string,
  read: () => Promise<Value | undefined | false> | Value | undefined | false,
  { timeoutMs = 60_000, seen }: { readonly timeoutMs?: number; readonly seen?: () => unknown } = {},
): Promise<Value> {
  const deadline = Date.now() + timeoutMs;
  let failure: unknown;
  for (;;) {
    try {
      const value = await read();
      if (value !== undefined && value !== false) return value;
      failure = undefined;
    } catch (error) {
      failure = error;
    }
    if (Date.now() > deadline) break;
    await sleep(POLL_MS);
  }
  const found = seen === undefined ? "" : `; found ${JSON.stringify(await seen())}`;
  throw new Error(`Waited ${timeoutMs} ms in vain: ${what}${found}`, { cause: failure });
}
