import { spawnSync } from "node:child_process";
import { performance } from "node:perf_hooks";

/** One whole process to time: program, arguments, extra environment, working directory. */
export interface Contender {
  readonly name: string;
  readonly argv: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly cwd?: string | undefined;
  /** Run before each timed run, not timed. */
  readonly prepare?: (() => void) | undefined;
}

export interface Sample {
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly peakMiB: number;
}

const TIME_FORMAT = "%e %U %S %M";

/** Words before each program, where others work on the machine: `BENCH_PREFIX="nice -n -15"`. */
const PREFIX = (process.env["BENCH_PREFIX"] ?? "").split(" ").filter((word) => word !== "");
const DEFAULT_RUNS = Number(process.env["BENCH_RUNS"] ?? "7");

/** Runs a contender once; a failing process is an error, since its time would mean nothing. */
export function runOnce(contender: Contender): Sample {
  contender.prepare?.();
  const [program, ...args] = contender.argv;
  const started = performance.now();
  const result = spawnSync("/usr/bin/time", ["-f", TIME_FORMAT, ...PREFIX, program, ...args], {
    env: { ...process.env, ...contender.env },
    cwd: contender.cwd,
    stdio: ["ignore", "ignore", "pipe"],
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  const wallMs = performance.now() - started;
  const stderr = result.stderr ?? "";
  if (result.status !== 0)
    throw new Error(
      `${contender.name} failed (${result.status ?? result.error?.message}): ${stderr.slice(-2000)}`,
    );
  const [, user = "0", system = "0", peakKiB = "0"] = stderr.trim().split("\n").at(-1)?.split(" ") ?? [];
  return { wallMs, cpuMs: (Number(user) + Number(system)) * 1000, peakMiB: Number(peakKiB) / 1024 };
}

export interface Comparison {
  readonly a: Sample;
  readonly b: Sample;
  /** Median of the pairwise wall ratios a : b. */
  readonly ratio: number;
  /** The same of processor time. */
  readonly cpuRatio: number;
}

/** Times two contenders in turn, A B, B A, …, after one warm-up of each; medians of `runs` pairs. */
export function compare(a: Contender, b: Contender, runs = DEFAULT_RUNS): Comparison {
  runOnce(a);
  runOnce(b);
  const pairs: { a: Sample; b: Sample }[] = [];
  for (let i = 0; i < runs; i++) {
    // Who goes second may find what the first has left in the processor's and the disk's caches.
    const first = runOnce(i % 2 === 0 ? a : b);
    const second = runOnce(i % 2 === 0 ? b : a);
    pairs.push(i % 2 === 0 ? { a: first, b: second } : { a: second, b: first });
  }
  return {
    a: medianSample(pairs.map((pair) => pair.a)),
    b: medianSample(pairs.map((pair) => pair.b)),
    ratio: median(pairs.map((pair) => pair.a.wallMs / pair.b.wallMs)),
    cpuRatio: median(pairs.map((pair) => pair.a.cpuMs / pair.b.cpuMs)),
  };
}

export function measure(contender: Contender, runs = DEFAULT_RUNS): Sample {
  runOnce(contender);
  return medianSample(Array.from({ length: runs }, () => runOnce(contender)));
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((x, y) => x - y);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? NaN)
    : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

export function geomean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

export function show(sample: Sample): string {
  return `${sample.wallMs.toFixed(1)} ms wall, ${sample.cpuMs.toFixed(0)} ms cpu, ${sample.peakMiB.toFixed(0)} MiB`;
}

function medianSample(samples: readonly Sample[]): Sample {
  return {
    wallMs: median(samples.map((sample) => sample.wallMs)),
    cpuMs: median(samples.map((sample) => sample.cpuMs)),
    peakMiB: median(samples.map((sample) => sample.peakMiB)),
  };
}
