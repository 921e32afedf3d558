import { Worker } from "node:worker_threads";
import type { FuzzOutcome, FuzzThreadData } from "./fuzzThread.ts";

/** How long each reader gets mutated inputs; a hunt takes `DEVSHELL_FUZZ_SECONDS=3600`. */
const SECONDS = Number(process.env["DEVSHELL_FUZZ_SECONDS"] ?? "0.3");
const SEED = Number(process.env["DEVSHELL_FUZZ_SEED"] ?? "1");
/** An input that is read for longer hangs. The machine may be busy with other things. */
const HANG_MS = 60_000;
const MOST_HEAP_MB = 512;

export const FUZZ_TIMEOUT_MS = SECONDS * 1000 + 2 * HANG_MS;

/** Gives mutated inputs to a reader in a thread of its own, within bounds of time and memory. */
export async function fuzz(target: URL, leastCount: number): Promise<FuzzOutcome> {
  const progress = new SharedArrayBuffer(4);
  const workerData: FuzzThreadData = {
    target: target.href,
    seed: SEED,
    seconds: SECONDS,
    leastCount,
    progress,
  };
  const thread = new Worker(new URL("./fuzzThread.ts", import.meta.url), {
    workerData,
    execArgv: ["--disable-warning=ExperimentalWarning"],
    resourceLimits: { maxOldGenerationSizeMb: MOST_HEAP_MB },
    trackUnmanagedFds: false,
  });
  const current = new Int32Array(progress);
  const { promise, resolve, reject } = Promise.withResolvers<FuzzOutcome>();
  thread.once("message", resolve);
  const where = (): string => `seed ${SEED}, input ${Atomics.load(current, 0)}`;
  thread.once("error", (error) =>
    reject(new Error(`${where()}: ${error instanceof Error ? error.stack : String(error)}`)),
  );
  thread.once("exit", () => reject(new Error(`${where()}: the thread ended`)));
  let seen = -1;
  const watch = setInterval(() => {
    const now = Atomics.load(current, 0);
    if (now === seen) reject(new Error(`${where()}: it hangs`));
    seen = now;
  }, HANG_MS);
  try {
    const outcome = await promise;
    if (SECONDS > 10) {
      const { count, accepted, kinds, seconds } = outcome;
      const rate = Math.round(count / seconds);
      process.stderr.write(
        `${target.pathname.split("/").at(-1)}: ${count} inputs, ${accepted} accepted, ${kinds} kinds of ends, ${rate} a second\n`,
      );
    }
    return outcome;
  } finally {
    clearInterval(watch);
    await thread.terminate();
  }
}
