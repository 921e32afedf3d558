import { createHash } from "node:crypto";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { bytesOfText, textOfBytes, type ByteString } from "../../core/index.ts";
import { PathLocks } from "../../store/index.ts";
import { cacheDirectory } from "../cache/recordPaths.ts";
import type { InputAttributes } from "./types.ts";

/** Nix's own tests set it, so that two processes that start together want the same input at the same time. */
const IS_SLOWED = "_NIX_TEST_CONCURRENT_FETCHES";

/**
 * Locks an input while it is fetched: of several processes one fetches it, and the others find what it fetched.
 * @returns to be discarded once it is fetched
 */
export async function lockInput(
  attributes: InputAttributes,
  reference: ByteString,
  signal: AbortSignal,
): Promise<PathLocks> {
  const sorted = [...attributes].sort(([a], [b]) => (a < b ? -1 : 1));
  const key = createHash("sha256")
    .update(
      JSON.stringify(sorted, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value)),
    )
    .digest("hex");
  const lock = await PathLocks.acquire([bytesOfText(join(cacheDirectory(), "fetcher-locks", key))], {
    signal,
    onWait: () =>
      process.stderr.write(
        `waiting for another Nix process to finish fetching input '${textOfBytes(reference)}'...\n`,
      ),
  });
  if (process.env[IS_SLOWED] === "1") await sleep(1000, undefined, { signal });
  return lock;
}
