import { spawn } from "node:child_process";
import { fstatSync, lstatSync } from "node:fs";
import { createInterface } from "node:readline";
import { loadCachedEnvironment, workingDirectory } from "../../env/index.ts";
import type { Invocation } from "../invocation.ts";
import { launcherPath, withoutInternals } from "../launcher.ts";
import { selectionFor } from "../openEnvironment.ts";
import { version } from "../version.ts";
import { openInputWatcher } from "./inputWatcher.ts";
import { makeReport } from "./makeReport.ts";
import { PROTOCOL } from "./types.ts";
import type { EnvironmentReport, Report, WatchEvent } from "./types.ts";
import type { WatchOutput } from "./watchOutput.ts";

/** How long a round has to end after it was told to. */
const GRACE_MS = 3000;

/**
 * Round after round, until it is stopped. A round that has more to do than to read a valid record is a process of its
 * own: so this one stays small, and can be stopped, while a spec is evaluated.
 * @returns the exit status
 */
export async function watchRounds(invocation: Invocation, output: WatchOutput): Promise<number> {
  using stopper = listenForStop();
  const { signal } = stopper;
  const watcher = openInputWatcher();
  let lastReady: EnvironmentReport | undefined;
  let watch: readonly string[] = [];
  let isSecondLook = false;
  output.send({ event: "hello", protocol: PROTOCOL, version: version() });
  try {
    for (let reason: "start" | "change" = "start"; !signal.aborted; reason = "change") {
      const startedMs = Date.now();
      output.send({ event: "begin", reason });
      const report = await makeRound(invocation, output, watch, signal);
      if (report === undefined) break;
      if (report.state === "ready" && isSameReport(report, lastReady))
        output.send({ event: "same", id: report.id });
      else output.send({ event: "report", report });
      if (report.state === "ready") lastReady = report;
      ({ watch } = report);
      await watcher.watch(watch);
      await output.drained(signal);
      // What changed between its reading and the watch; once, lest a round that touches its own inputs never ends.
      isSecondLook = !isSecondLook && hasChangedSince(invocation, report, startedMs);
      if (!isSecondLook) await watcher.changed(signal);
    }
  } finally {
    await watcher.close();
  }
  return stopper.status();
}

/** One round's report; undefined when it was stopped. */
async function makeRound(
  invocation: Invocation,
  output: WatchOutput,
  watch: readonly string[],
  signal: AbortSignal,
): Promise<Report | undefined> {
  if (hasValidRecord(invocation)) return (await makeReport(invocation)).report;
  let report: Report | undefined;
  const how = await runRound(
    invocation,
    (event) => {
      if (event.event === "progress") output.send(event);
      else if (event.event === "report") ({ report } = event);
    },
    signal,
  );
  if (signal.aborted || report !== undefined) return signal.aborted ? undefined : report;
  const message = `Cannot make the environment: its process ended with ${how}`;
  return {
    protocol: PROTOCOL,
    state: "failed",
    directory: workingDirectory(),
    selection: selectionFor(invocation),
    error: { code: "WATCH_ROUND_LOST", message, suggestions: [], trace: [], text: `error: ${message}` },
    watch,
  };
}

/** `devshell watch --json --once` with the same words. @returns how it ended */
async function runRound(
  invocation: Invocation,
  onEvent: (event: WatchEvent) => void,
  signal: AbortSignal,
): Promise<string> {
  const child = spawn(launcherPath(), ["watch", "--json", "--once", ...invocation.argv], {
    env: withoutInternals(process.env),
    stdio: ["ignore", "pipe", "inherit"],
    // A group of its own: all that it starts ends with it.
    detached: true,
  });
  const kill = (name: NodeJS.Signals): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, name);
    } catch {
      // it ended already
    }
  };
  let deadline: NodeJS.Timeout | undefined;
  const stop = (): void => {
    kill("SIGTERM");
    deadline = setTimeout(() => kill("SIGKILL"), GRACE_MS);
  };
  const onExit = (): void => kill("SIGKILL");
  process.once("exit", onExit);
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (line !== "") onEvent(JSON.parse(line) as WatchEvent);
  });
  try {
    return await new Promise<string>((resolve) => {
      child.once("error", (error) => resolve(error.message));
      child.once("close", (status, killedBy) => resolve(killedBy ?? `status ${String(status)}`));
    });
  } finally {
    clearTimeout(deadline);
    signal.removeEventListener("abort", stop);
    process.off("exit", onExit);
  }
}

function hasValidRecord(invocation: Invocation): boolean {
  if ((process.env["DEVSHELL_NO_CACHE"] ?? "") !== "") return false;
  const cached = loadCachedEnvironment(workingDirectory(), selectionFor(invocation));
  return cached !== undefined && cached.changed.length === 0;
}

function isSameReport(report: EnvironmentReport, last: EnvironmentReport | undefined): boolean {
  return report.id === last?.id && JSON.stringify(report.watch) === JSON.stringify(last.watch);
}

function hasChangedSince(invocation: Invocation, report: Report, startedMs: number): boolean {
  if (report.state === "ready" && (process.env["DEVSHELL_NO_CACHE"] ?? "") === "")
    return !hasValidRecord(invocation);
  return report.watch.some((path) => {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    return stat !== undefined && !stat.isDirectory() && stat.ctimeMs > startedMs;
  });
}

interface Stopper extends Disposable {
  readonly signal: AbortSignal;
  status(): number;
}

/** Ends with SIGINT and SIGTERM, and with the reader: when standard output, or a pipe to standard input, is closed. */
function listenForStop(): Stopper {
  const stopped = new AbortController();
  let status = 0;
  const stop = (why: number): void => {
    if (stopped.signal.aborted) return;
    status = why;
    stopped.abort();
  };
  const onInterrupt = (): void => stop(130);
  const onTerminate = (): void => stop(143);
  const onEnd = (): void => stop(0);
  process.on("SIGINT", onInterrupt);
  process.on("SIGTERM", onTerminate);
  process.stdout.removeAllListeners("error");
  process.stdout.on("error", onEnd);
  if (isPipe(0)) void endOf(process.stdin).then((isEnd) => (isEnd ? onEnd() : undefined));
  return {
    signal: stopped.signal,
    status: () => status,
    [Symbol.dispose]: () => {
      process.off("SIGINT", onInterrupt);
      process.off("SIGTERM", onTerminate);
      process.stdin.destroy();
    },
  };
}

function isPipe(descriptor: number): boolean {
  try {
    const stat = fstatSync(descriptor);
    return stat.isFIFO() || stat.isSocket();
  } catch {
    return false;
  }
}

/** Resolves at the end of a stream that was open: one that has ended already says nothing of its writer. */
async function endOf(stream: NodeJS.ReadStream): Promise<boolean> {
  let hasEnded = false;
  const ended = new Promise<void>((resolve) => {
    for (const event of ["end", "close", "error"])
      stream.once(event, () => {
        hasEnded = true;
        resolve();
      });
  });
  stream.resume();
  await new Promise((resolve) => setTimeout(resolve, 20));
  if (hasEnded) return false;
  await ended;
  return true;
}
