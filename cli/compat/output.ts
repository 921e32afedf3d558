import { readSync, writeSync } from "node:fs";
import { NIX_VERSION, bytesOfShown, logText, rawText } from "../../core/index.ts";
import { isColoured } from "../isColoured.ts";

/** Prints a line of bytes. */
export function printLine(line: string): void {
  process.stdout.write(`${line}\n`, "latin1");
}

/** Prints many lines of bytes in few writes. */
export function printLines(lines: Iterable<string>): void {
  let text = "";
  for (const line of lines) {
    text += `${line}\n`;
    if (text.length < WRITE_BYTES) continue;
    printBytes(text);
    text = "";
  }
  if (text !== "") printBytes(text);
}

const WRITE_BYTES = 64 << 10;

export function printBytes(bytes: string): void {
  process.stdout.write(bytes, "latin1");
}

/** A line on standard error, in bytes, as Nix's logger has it. */
export function say(line: string): void {
  process.stderr.write(bytesOfShown(`${logText(rawText(line), isColoured(process.stderr))}\n`));
}

/** `nix-store (devshell) 2.34.8`: the version is that of the Nix whose behaviour this is. */
export function printVersion(name: string): number {
  process.stdout.write(`${name} (devshell) ${NIX_VERSION}\n`);
  return 0;
}

/** Help of a drop-in command: what it does is Nix's, so its manual page is Nix's too. */
export function printHelp(name: string, summary?: string): number {
  process.stdout.write(
    `${name}${summary === undefined ? "" : ` - ${summary}`}: as Nix's command of this name, by devshell.\nSee https://nix.dev/manual/nix/stable/command-ref/${name}\n`,
  );
  return 0;
}

export const ROOT_WARNING =
  "warning: you did not specify '--add-root'; the result might be removed by the garbage collector";

/** Once, as Nix does, where something is printed that nothing protects. */
export function warnNoRoot(): void {
  if (isRootWarned) return;
  isRootWarned = true;
  say(ROOT_WARNING);
}

let isRootWarned = false;

/** All of standard input, as bytes. */
export function* standardInput(): Generator<Buffer> {
  const buffer = Buffer.alloc(1 << 20);
  for (;;) {
    const count = readPatiently(buffer);
    if (count === 0) return;
    yield buffer.subarray(0, count);
  }
}

/** The words of standard input: one installable each. */
export function wordsOfStandardInput(): string[] {
  const text = Buffer.concat([...standardInput()].map((chunk) => Buffer.from(chunk))).toString("utf8");
  return text.split(/\s+/).filter((word) => word !== "");
}

function readPatiently(buffer: Buffer): number {
  for (;;) {
    try {
      return readSync(0, buffer);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EOF") return 0;
      if (code !== "EAGAIN") throw error;
      wait(5);
    }
  }
}

/** Writes synchronously: an archive may be larger than memory, and a pipe pushes back. */
export function writeStandardOutput(chunk: Buffer): void {
  let at = 0;
  while (at < chunk.length) {
    try {
      at += writeSync(1, chunk, at);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EPIPE") process.exit(0);
      if (code !== "EAGAIN") throw error;
      // Node has made the pipe not to be waited for: a wait for each 64 KB would take longer than all else.
      if (!waitInWrites()) wait(1);
    }
  }
}

/** Has the system wait for whoever reads. @returns false where that cannot be had, or has been */
function waitInWrites(): boolean {
  if (isWaitingInWrites) return false;
  isWaitingInWrites = true;
  const { _handle: handle } = process.stdout as {
    _handle?: { setBlocking?: (isBlocking: boolean) => number };
  };
  return handle?.setBlocking?.(true) === 0;
}

let isWaitingInWrites = false;

function wait(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
