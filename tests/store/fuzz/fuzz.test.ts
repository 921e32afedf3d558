import { expect, it } from "vitest";
import { FUZZ_TIMEOUT_MS, fuzz } from "./fuzz.ts";

it.each([
  ["nar", 50],
  ["narInfo", 50],
  ["derivation", 50],
  ["decompress", 30],
  ["cache", 10],
  ["daemon", 20],
  ["blockingDaemon", 10],
  ["serve", 10],
  ["web", 20],
] as const)(
  "whatever is read as %s is read or refused, in bounded time and memory",
  { timeout: FUZZ_TIMEOUT_MS },
  async (name, leastCount) => {
    const { failure, count } = await fuzz(new URL(`./${name}Target.ts`, import.meta.url), leastCount);
    expect(failure).toBeUndefined();
    expect(count).toBeGreaterThanOrEqual(leastCount);
  },
);
