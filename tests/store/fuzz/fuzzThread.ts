// A thread that gives mutated inputs to one reader. What hangs it, or fills its memory, is its end alone.
import { parentPort, workerData } from "node:worker_threads";
import { DevshellError } from "../../../core/index.ts";
import { Random, mutate, mutateText } from "../mutate.ts";
import type { FuzzTarget, MakeTarget } from "./target.ts";

export interface FuzzThreadData {
  /** A module whose `makeTarget` makes the target. */
  readonly target: string;
  readonly seed: number;
  readonly seconds: number;
  readonly leastCount: number;
  /** One number: which input is being read. */
  readonly progress: SharedArrayBuffer;
}

export interface FuzzOutcome {
  readonly count: number;
  readonly accepted: number;
  /** Kinds of ends that were seen. */
  readonly kinds: number;
  readonly seconds: number;
  readonly failure?: string | undefined;
}

/** What takes so long of this thread's own time is as good as a hang. */
const SLOW_MS = 2000;
/** What is looked at only now and then, since it takes longer than most inputs. */
const CHECKED_EACH = 64;
const STACK_DEPTH = 50;
const MOST_MEMORY_BYTES = 768 << 20;
const MOST_MESSAGE_LENGTH = 10_000;
const MOST_INPUTS = 4000;
const MOST_KINDS = 1000;
const MOST_INPUT_BYTES = 1 << 16;

const { target: module, seed, seconds, leastCount, progress } = workerData as FuzzThreadData;
const current = new Int32Array(progress);
const { makeTarget } = (await import(module)) as { readonly makeTarget: MakeTarget };
const target = await makeTarget();
parentPort?.postMessage(await fuzz(target));

async function fuzz({ corpus, isCorpusRight = false, tokens, run, end }: FuzzTarget): Promise<FuzzOutcome> {
  const pool = [...corpus];
  // Most inputs are refused, and looking where took half of the time.
  Error.stackTraceLimit = 0;
  let cpuBefore = process.threadCpuUsage();
  const kinds = new Set<string>();
  const memoryBefore = process.memoryUsage.rss();
  const start = performance.now();
  let [count, accepted] = [0, 0];
  let failure: string | undefined;
  for (; failure === undefined; count++) {
    const elapsed = performance.now() - start;
    if (count >= leastCount && elapsed > seconds * 1000) break;
    Atomics.store(current, 0, count);
    const random = new Random(seed * 1_000_003 + count);
    const base = random.of(pool);
    // Whatever else, what is right is read.
    const whole = count % 2 === 0 ? corpus[count / 2] : undefined;
    const mutated =
      random.below(2) === 0 ? mutate(base, random) : mutateText(base, random, tokens, random.of(pool));
    const input = whole ?? mutated;
    const runSeed = random.below(2 ** 32);
    const beganMs = performance.now();
    let kind = "accepted";
    try {
      const running = run(input, new Random(runSeed));
      if (running instanceof Promise) await running;
      accepted++;
    } catch (error) {
      if (!(error instanceof DevshellError)) failure = await describeAgain(error, run, input, runSeed);
      else if (error.message.length > MOST_MESSAGE_LENGTH)
        failure = `a message of ${error.message.length} characters: ${error.message.slice(0, 200)}`;
      else if (isCorpusRight && whole !== undefined) failure = `what is right is refused: ${describe(error)}`;
      else kind = kindOf(error);
    }
    if (performance.now() - beganMs > SLOW_MS) {
      const { user, system } = process.threadCpuUsage(cpuBefore);
      const tookMs = (user + system) / 1000;
      // With a few before it; on a busy machine it may just have waited.
      if (tookMs > SLOW_MS) failure ??= `it took ${tookMs} ms`;
    }
    if (count % CHECKED_EACH === 0) {
      cpuBefore = process.threadCpuUsage();
      const rss = process.memoryUsage.rss();
      if (rss - memoryBefore > MOST_MEMORY_BYTES) failure ??= `memory grew to ${rss} bytes`;
    }
    if (failure !== undefined)
      failure += `\nseed ${seed}, input ${count}, ${input.length} bytes: ${input.subarray(0, 3000).toString("base64")}`;
    // What ends in a new way is worth more mutations.
    if (!kinds.has(kind) && kinds.size < MOST_KINDS) {
      kinds.add(kind);
      if (pool.length < MOST_INPUTS && input.length < MOST_INPUT_BYTES) pool.push(input);
    }
  }
  await end?.();
  return { count, accepted, kinds: kinds.size, seconds: (performance.now() - start) / 1000, failure };
}

/** An error's reason, as far as it quotes nothing. */
function kindOf({ code, message }: DevshellError): string {
  const reason = message.slice(message.indexOf(": ") + 1).split(/["']/)[0] ?? "";
  return `${code} ${reason.replace(/[^a-z ]+/gi, "").slice(0, 40)}`;
}

/** With the place, if it fails again. */
async function describeAgain(
  error: unknown,
  run: FuzzTarget["run"],
  input: Buffer,
  runSeed: number,
): Promise<string> {
  Error.stackTraceLimit = STACK_DEPTH;
  try {
    await run(input, new Random(runSeed));
  } catch (again) {
    return describe(again);
  }
  return `${describe(error)} (though not a second time)`;
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
