import { spawn } from "node:child_process";
import { closeSync, lstatSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { fsPath, textOfBytes, type ByteString } from "../../core/index.ts";
import type { StorePath, StoreSettings } from "../types.ts";
import { findProgram } from "../../io/index.ts";

/** Lines longer than this reach listeners in pieces; the log file has them whole. */
const MAX_LINE_BYTES = 64 << 10;

/** Shorter logs are not compressed. */
const COMPRESSED_FROM_BYTES = 64 << 10;

export interface LogListener {
  /** A byte string without its line end. */
  readonly line: (line: string) => void;
  readonly phase: (phase: string) => void;
  readonly warn: (problem: string) => void;
}

/** Where Nix keeps the log of a derivation's build, without the suffix of its compression. */
export function buildLogPath(settings: StoreSettings, drvPath: StorePath): string {
  const baseName = drvPath.slice(settings.storeDir.length + 1);
  return `${settings.logDir}/drvs/${baseName.slice(0, 2)}/${baseName.slice(2)}`;
}

/**
 * A build's log: written to its file (plain; long ones end up bzip2-compressed; `nix log` reads both), split into lines
 * for listeners, its last lines kept for the error message.
 */
export class BuildLog implements AsyncDisposable {
  readonly #listener: LogListener;
  readonly #sink: LogSink | undefined;
  readonly #tailLength: number;
  readonly #tail: string[] = [];
  #line = "";
  #sizeBytes = 0;

  private constructor(sink: LogSink | undefined, tailLength: number, listener: LogListener) {
    this.#sink = sink;
    this.#tailLength = tailLength;
    this.#listener = listener;
  }

  /** @param isEmptyKept whether there is a file even when nothing is said */
  static open(
    settings: StoreSettings,
    drvPath: StorePath,
    listener: LogListener,
    isEmptyKept = true,
  ): BuildLog {
    const { raw } = settings.config;
    const tailLength = Number(raw.get("log-lines") ?? "25");
    const sink = raw.get("keep-build-log") === "false" ? undefined : openSink(settings, drvPath, isEmptyKept);
    return new BuildLog(sink, Number.isSafeInteger(tailLength) ? tailLength : 25, listener);
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get tail(): readonly string[] {
    return this.#tail;
  }

  write(chunk: Buffer): void {
    this.#sizeBytes += chunk.length;
    this.#split(chunk.toString("latin1"));
    this.#sink?.write(chunk);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#line !== "") this.#endLine();
    await this.#sink?.close();
  }

  #split(text: string): void {
    let start = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", start)) {
      this.#line += text.slice(start, end);
      this.#endLine();
      start = end + 1;
    }
    this.#line += text.slice(start);
    if (this.#line.length > MAX_LINE_BYTES) this.#endLine();
  }

  #endLine(): void {
    const whole = this.#line.endsWith("\r") ? this.#line.slice(0, -1) : this.#line;
    this.#line = "";
    // A progress bar's carriage returns: what a terminal would show in the end.
    const line = whole.slice(whole.lastIndexOf("\r") + 1);
    if (line.startsWith("@nix ") && this.#handleMessage(line.slice(5))) return;
    this.#listener.line(line);
    this.#tail.push(line);
    if (this.#tail.length > this.#tailLength) this.#tail.shift();
  }

  #handleMessage(json: string): boolean {
    let message: unknown;
    try {
      message = JSON.parse(Buffer.from(json, "latin1").toString("utf8"));
    } catch (error) {
      this.#listener.warn(`bad JSON log message from the derivation builder: ${(error as Error).message}`);
      return false;
    }
    if (
      typeof message !== "object" ||
      message === null ||
      !("action" in message) ||
      typeof message.action !== "string"
    ) {
      const why = "it has no action";
      this.#listener.warn(`Unable to handle a JSON message from the derivation builder: ${why}`);
      return false;
    }
    if (message.action === "setPhase" && "phase" in message && typeof message.phase === "string")
      this.#listener.phase(message.phase);
    if (message.action === "msg" && "msg" in message && typeof message.msg === "string")
      for (const line of message.msg.split("\n"))
        this.#listener.line(Buffer.from(line, "utf8").toString("latin1"));
    return true;
  }
}

interface LogSink {
  write(chunk: Buffer): void;
  close(): Promise<void>;
}

/**
 * Writes the log as it comes, for whoever follows it; compresses it at the end where that is worth a process (a spawn
 * costs this process up to 30 ms, and most builds of packages say nothing). Written at once: it goes to the system's
 * memory, sooner than a thread of the pool would begin to.
 */
function openSink(settings: StoreSettings, drvPath: StorePath, isEmptyKept: boolean): LogSink {
  const path = buildLogPath(settings, drvPath);
  let fd: number | undefined;
  let sizeBytes = 0;
  let failed = false;
  // No space for the log is no reason to fail the build; the build itself will meet it soon enough.
  const attempt = (work: () => void): void => {
    try {
      if (!failed) work();
    } catch {
      failed = true;
    }
  };
  const start = (): void => {
    const compressed = fsPath(`${path}.bz2`);
    if (lstatSync(compressed, { throwIfNoEntry: false }) !== undefined) rmSync(compressed, { force: true });
    mkdirSync(fsPath(dirname(path)), { recursive: true });
    attempt(() => (fd = openSync(fsPath(path), "w", 0o644)));
  };
  if (isEmptyKept) start();
  return {
    write(chunk) {
      if (fd === undefined && !failed) start();
      sizeBytes += chunk.length;
      attempt(() => {
        for (let at = 0; at < chunk.length;) at += writeSync(fd ?? -1, chunk, at);
      });
    },
    async close() {
      if (fd === undefined) return;
      const isWhole = !failed;
      closeSync(fd);
      // What comes later must not go to whatever file has this number then.
      fd = undefined;
      failed = true;
      const isCompressed = settings.config.raw.get("compress-build-log") !== "false";
      if (isCompressed && isWhole && sizeBytes >= COMPRESSED_FROM_BYTES) await compressLog(path);
    },
  };
}

/** Replaces a log by its compressed form; where that fails it stays as it is. */
function compressLog(path: ByteString): Promise<void> {
  const bzip2 = findProgram("bzip2");
  if (bzip2 === undefined) return Promise.resolve();
  return new Promise((resolve) => {
    // Its own session: an interrupt at the terminal must not cut the log short.
    const child = spawn(bzip2, ["-f", "--", textOfBytes(path)], { stdio: "ignore", env: {}, detached: true });
    child.on("close", () => resolve());
    child.on("error", () => resolve());
  });
}
