import { spawn, type ChildProcess } from "node:child_process";
import { readSync, writeSync } from "node:fs";
import type { Socket } from "node:net";
import { constants } from "node:os";
import { StringDecoder } from "node:string_decoder";
import { DevshellError } from "../../core/index.ts";
import { describeExit } from "../../store/index.ts";

/**
 * Waits for the program, which Node's own processes cannot without their event loop, and says how it failed. Of the
 * terminal's Ctrl-C only the program hears: it may go on after it.
 */
const WAITING_SHELL = String.raw`trap '' INT; "$@" || printf '\n%s%s\n' '#status ' $? 2>/dev/null`;
const STATUS = /^#status (\d+)$/;
/** A shell's status of a program that a signal ended is this and the signal. */
const SIGNALLED = 128;

const READ_BYTES = 64 << 10;
const MAX_LINE_BYTES = 64 << 20;
const NEWLINE = 0x0a;

/**
 * A program that is given lines and waited for, on this thread, until it has written lines itself (`spawnSync` tells
 * nothing before the end). What it says on standard error goes to ours. It does not keep our process from ending, and
 * is told that we have gone by the end of its standard input.
 */
export class LineProcess implements Disposable {
  readonly #child: ChildProcess;
  readonly #buffer = Buffer.alloc(READ_BYTES);
  readonly #decoder = new StringDecoder("utf8");
  readonly #lines: string[] = [];
  #rest = "";
  #isClosed: boolean;

  constructor(program: string, words: readonly string[] = []) {
    this.#child = spawn("/bin/sh", ["-c", WAITING_SHELL, "sh", program, ...words], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#child.on("error", () => undefined); // It writes nothing, then.
    this.#child.unref();
    this.#isClosed = this.#child.pid === undefined;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Nothing is said where nobody reads any more: {@link read} tells. */
  write(line: string): void {
    if (this.#isClosed) return;
    const bytes = Buffer.from(`${line}\n`);
    const descriptor = blockingDescriptor(this.#child.stdin);
    try {
      for (let at = 0; at < bytes.length;) at += unlessInterrupted(() => writeSync(descriptor, bytes, at));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EPIPE") throw error;
    }
  }

  /**
   * @returns the next line
   * @throws {DevshellError} `EVAL_TASK` at its end, which says how it ended, and for a line without end
   */
  read(): string {
    while (this.#lines.length === 0) this.#readMore();
    const line = this.#lines.shift() ?? "";
    const status = STATUS.exec(line)?.[1];
    if (status !== undefined) this.#fail(`its process ${describeStatus(Number(status))}`);
    return line;
  }

  /** Tells the program to end. */
  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#child.stdin?.destroy();
    this.#child.stdout?.destroy();
  }

  #readMore(): void {
    if (this.#isClosed) this.#fail("its process cannot be started");
    const descriptor = blockingDescriptor(this.#child.stdout);
    const count = unlessInterrupted(() => readSync(descriptor, this.#buffer));
    if (count === 0) this.#fail("its process ended without a reply");
    const bytes = this.#buffer.subarray(0, count);
    this.#rest += this.#decoder.write(bytes);
    if (bytes.includes(NEWLINE)) {
      const lines = this.#rest.split("\n");
      this.#rest = lines.pop() ?? "";
      this.#lines.push(...lines.filter((line) => line !== ""));
    } else if (this.#rest.length > MAX_LINE_BYTES)
      this.#fail(`its process wrote a line of more than ${MAX_LINE_BYTES} bytes`);
  }

  #fail(how: string): never {
    this[Symbol.dispose]();
    throw new DevshellError("EVAL_TASK", `Cannot finish what evaluation waits for: ${how}`);
  }
}

function describeStatus(status: number): string {
  const [signal] =
    Object.entries(constants.signals).find(([, number]) => number === status - SIGNALLED) ?? [];
  return describeExit(
    signal === undefined
      ? { kind: "exited", status }
      : { kind: "signalled", signal: signal as NodeJS.Signals },
  );
}

/** A pipe's end, made to be waited for: Node's own way of reading it needs the event loop. */
function blockingDescriptor(stream: unknown): number {
  const { _handle: handle } = stream as Socket & {
    _handle?: { fd?: number; setBlocking?: (isBlocking: boolean) => number };
  };
  handle?.setBlocking?.(true);
  return handle?.fd ?? -1;
}

/** Makes a call again that a signal interrupted: the program is told of the signal itself, and ends. */
function unlessInterrupted<T>(call: () => T): T {
  for (;;) {
    try {
      return call();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EINTR") throw error;
    }
  }
}
