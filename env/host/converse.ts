import { spawn } from "node:child_process";
import { readSync, writeSync } from "node:fs";
import type { Readable, Writable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import { DevshellError } from "../../core/index.ts";

/**
 * Starts a program, gives it a text and waits for each line that it writes, on this thread, until it closes its
 * standard output. (`spawnSync` tells nothing before the end.) What it says on standard error goes to ours. Where the
 * lines are not read to the end the program is told to end.
 * @throws {DevshellError} `EVAL_TASK` for a line without end
 */
export function* converse(program: string, words: readonly string[], text: string): Generator<string> {
  const child = spawn(program, words, { stdio: ["pipe", "pipe", "inherit"] });
  child.on("error", () => undefined); // It writes nothing, then.
  if (child.pid === undefined) return;
  const { stdin, stdout } = child;
  let isRead = false;
  try {
    if (!tryWrite(blockingDescriptor(stdin), Buffer.from(text))) return;
    stdin.destroy();
    yield* linesOf(blockingDescriptor(stdout));
    isRead = true;
  } finally {
    if (!isRead) child.kill();
    stdin.destroy();
    stdout.destroy();
  }
}

/** A pipe's end, made to be waited for: Node's own way of reading it needs the event loop. */
function blockingDescriptor(stream: Readable | Writable): number {
  const { _handle: handle } = stream as {
    _handle?: { fd?: number; setBlocking?: (isBlocking: boolean) => number };
  };
  handle?.setBlocking?.(true);
  return handle?.fd ?? -1;
}

/** @returns false where nobody reads any more */
function tryWrite(descriptor: number, bytes: Buffer): boolean {
  try {
    for (let at = 0; at < bytes.length;) at += unlessInterrupted(() => writeSync(descriptor, bytes, at));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EPIPE") return false;
    throw error;
  }
}

const READ_BYTES = 64 << 10;
const MAX_LINE_BYTES = 64 << 20;
const NEWLINE = 0x0a;

function* linesOf(descriptor: number): Generator<string> {
  const decoder = new StringDecoder("utf8");
  const buffer = Buffer.alloc(READ_BYTES);
  let rest = "";
  const read = (): number => unlessInterrupted(() => readSync(descriptor, buffer));
  for (let count = read(); count > 0; count = read()) {
    const bytes = buffer.subarray(0, count);
    rest += decoder.write(bytes);
    if (bytes.includes(NEWLINE)) {
      const lines = rest.split("\n");
      rest = lines.pop() ?? "";
      yield* lines;
    } else if (rest.length > MAX_LINE_BYTES)
      throw new DevshellError(
        "EVAL_TASK",
        `Cannot finish what evaluation waits for: its process wrote a line of more than ${MAX_LINE_BYTES} bytes`,
      );
  }
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
