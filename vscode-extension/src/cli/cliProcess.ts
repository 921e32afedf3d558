import { spawn, type ChildProcess } from "node:child_process";
import { statSync } from "node:fs";
import { StringDecoder } from "node:string_decoder";
import type { CliResult } from "../model.ts";

/** One program run to its end. */
export interface ProcessRun {
  readonly program: string;
  readonly args: readonly string[];
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
  readonly onLine?: ((line: string) => void) | undefined;
  readonly stdoutLimitBytes?: number | undefined;
}

export type CliErrorCode =
  | "CLI_CANCELLED"
  | "CLI_NOT_FOUND"
  | "CLI_NO_DIRECTORY"
  | "CLI_OUTPUT_TOO_LARGE"
  | "CLI_PROTOCOL"
  | "CLI_START"
  | "CLI_TIMEOUT"
  | "CLI_UNTRUSTED";

/** Why a run of the CLI has no result. */
export class CliError extends Error {
  readonly code: CliErrorCode;
  readonly hint: string | undefined;

  constructor(code: CliErrorCode, message: string, hint?: string) {
    super(message);
    this.name = "CliError";
    this.code = code;
    this.hint = hint;
  }
}

const STDOUT_LIMIT_BYTES = 64 * 1024 * 1024;
/** The end counts: that is where a program says why it failed. */
const STDERR_LIMIT_CHARACTERS = 256 * 1024;
const KILL_AFTER_MS = 2_000;
/** Longest wait for a process that was killed, or for output that a left-over child holds open. */
const ABANDON_AFTER_MS = 1_000;

/**
 * Runs a program without a shell, in a process group of its own.
 * @returns its end, whatever its status
 * @throws {CliError} when it cannot be started, takes too long, prints too much or is cancelled; it is gone by then
 */
export async function runProcess(run: ProcessRun): Promise<CliResult> {
  if (run.signal?.aborted === true) throw cancelled();
  const child = start(run);
  return await new Promise<CliResult>((resolve, reject) => {
    child.on("error", (error) => settle(() => reject(startError(error, run))));
    let failure: CliError | undefined;
    let isSettled = false;
    let stdoutBytes = 0;
    let stderr = "";
    const lines = new LineSplitter(run.onLine);
    const timers: NodeJS.Timeout[] = [];
    const later = (ms: number, action: () => void): void => void timers.push(setTimeout(action, ms));

    const closeOutput = (): void => {
      child.stdout?.destroy();
      child.stderr?.destroy();
    };
    const settle = (finish: () => void): void => {
      if (isSettled) return;
      isSettled = true;
      for (const timer of timers) clearTimeout(timer);
      run.signal?.removeEventListener("abort", onAbort);
      closeOutput();
      child.unref();
      finish();
    };
    const stop = (error: CliError): void => {
      if (failure !== undefined || isSettled) return;
      failure = error;
      killGroup(child.pid, "SIGTERM");
      later(KILL_AFTER_MS, () => {
        killGroup(child.pid, "SIGKILL");
        later(ABANDON_AFTER_MS, () => settle(() => reject(error)));
      });
    };
    const onAbort = (): void => stop(cancelled());
    run.signal?.addEventListener("abort", onAbort, { once: true });
    if (run.timeoutMs !== undefined && run.timeoutMs > 0)
      later(Math.min(run.timeoutMs, 2 ** 31 - 1), () =>
        stop(new CliError("CLI_TIMEOUT", `${run.program}: ${Math.round((run.timeoutMs ?? 0) / 1000)} s`)),
      );

    child.stdout?.on("data", (chunk: Buffer) => {
      if (failure !== undefined) return;
      stdoutBytes += chunk.length;
      if (stdoutBytes > (run.stdoutLimitBytes ?? STDOUT_LIMIT_BYTES))
        stop(new CliError("CLI_OUTPUT_TOO_LARGE", run.program));
      else lines.write(chunk);
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      stderr = (stderr + text).slice(-STDERR_LIMIT_CHARACTERS);
    });
    child.on("exit", () => {
      if (failure === undefined) later(ABANDON_AFTER_MS, closeOutput);
      else if (!isGroupAlive(child.pid)) settle(() => reject(failure));
    });
    child.on("close", (status) => {
      // A cancelled group may have members left; they get their SIGKILL in time.
      if (failure !== undefined && isGroupAlive(child.pid)) return;
      settle(() => {
        if (failure !== undefined) return reject(failure);
        lines.end();
        resolve({ status: status ?? undefined, stdout: lines.text, stderr });
      });
    });
  });
}

function start(run: ProcessRun): ChildProcess {
  try {
    return spawn(run.program, run.args, {
      cwd: run.directory,
      env: run.environment,
      detached: true,
      shell: false,
      stdio: ["ignore", "pipe", "pipe"],
    });
  } catch (error) {
    throw startError(error instanceof Error ? error : new Error(String(error)), run);
  }
}

/** Complete lines are handed on; without a taker all is kept. */
class LineSplitter {
  text = "";
  readonly #onLine: ((line: string) => void) | undefined;
  readonly #decoder = new StringDecoder("utf8");
  #parts: string[] = [];

  constructor(onLine: ((line: string) => void) | undefined) {
    this.#onLine = onLine;
  }

  write(chunk: Buffer): void {
    this.#add(this.#decoder.write(chunk));
  }

  end(): void {
    this.#add(this.#decoder.end());
    const rest = this.#parts.join("");
    this.#parts = [];
    if (this.#onLine === undefined) this.text = rest;
    else if (rest !== "") this.#onLine(rest);
  }

  #add(text: string): void {
    if (this.#onLine === undefined || !text.includes("\n")) {
      this.#parts.push(text);
      return;
    }
    const pieces = text.split("\n");
    const last = pieces.pop() ?? "";
    pieces[0] = this.#parts.join("") + (pieces[0] ?? "");
    this.#parts = [last];
    for (const line of pieces) if (line !== "") this.#onLine(line);
  }
}

function cancelled(): CliError {
  return new CliError("CLI_CANCELLED", "cancelled");
}

function startError(error: NodeJS.ErrnoException, { program, directory }: ProcessRun): CliError {
  // Node says ENOENT for a missing working directory, too.
  if (!(statSync(directory, { throwIfNoEntry: false })?.isDirectory() ?? false))
    return new CliError("CLI_NO_DIRECTORY", directory);
  if (error.code === "ENOENT") return new CliError("CLI_NOT_FOUND", program);
  return new CliError("CLI_START", `${program}: ${error.message}`);
}

function killGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal);
  } catch {
    // It is gone.
  }
}

function isGroupAlive(pid: number | undefined): boolean {
  try {
    return pid !== undefined && process.kill(-pid, 0);
  } catch {
    return false;
  }
}
