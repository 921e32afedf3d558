import { spawn } from "node:child_process";
import type { Readable } from "node:stream";

export interface ServedCommand {
  readonly env: NodeJS.ProcessEnv;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

const MAX_MESSAGE_BYTES = 16 << 20;

/**
 * Runs one command by Mercurial's command server, which is told its words through a pipe: what stands on a command line
 * is for everybody to read.
 * @returns its exit status and what it said on standard error, as bytes
 * @see https://wiki.mercurial-scm.org/CommandServer
 */
export async function serveMercurial(
  program: string,
  args: readonly string[],
  { env, timeoutMs, signal }: ServedCommand,
): Promise<{ readonly status: number; readonly said: string }> {
  const child = spawn(program, ["serve", "--cmdserver", "pipe"], {
    env,
    stdio: ["pipe", "pipe", "ignore"],
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", () => resolve());
  });
  ended.catch(() => undefined); // awaited below, after the output
  child.stdin.on("error", () => undefined); // it ended before it read all
  const words = Buffer.from(args.join("\0"));
  let said = "";
  let status: number | undefined;
  try {
    let isGreeted = false;
    for await (const { channel, data } of messagesOf(child.stdout)) {
      if (!isGreeted) child.stdin.write(Buffer.concat([Buffer.from("runcommand\n"), lengthOf(words), words]));
      isGreeted = true;
      if (channel === "e") said += data.toString("latin1");
      else if (channel === "I" || channel === "L") child.stdin.write(lengthOf(Buffer.alloc(0)));
      else if (channel === "r") {
        status = data.readInt32BE(0);
        child.stdin.end();
      }
    }
  } finally {
    child.stdin.end();
    if (status === undefined) child.kill();
  }
  await ended;
  if (status === undefined) throw new Error(`it ended within a command: ${said}`);
  return { status, said };
}

interface Message {
  readonly channel: string;
  readonly data: Buffer;
}

async function* messagesOf(output: Readable): AsyncGenerator<Message> {
  let rest = Buffer.alloc(0);
  for await (const chunk of output as AsyncIterable<Buffer>) {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 5) {
      const channel = String.fromCharCode(rest[0]!);
      // What is asked for has a length, and nothing after it.
      const length = channel === "I" || channel === "L" ? 0 : rest.readUInt32BE(1);
      if (length > MAX_MESSAGE_BYTES) throw new Error(`a message of ${length} bytes`);
      if (rest.length < 5 + length) break;
      yield { channel, data: rest.subarray(5, 5 + length) };
      rest = rest.subarray(5 + length);
    }
  }
}

function lengthOf({ length }: Buffer): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(length);
  return bytes;
}
